import { expect, test } from "vitest";
import { errorTable, GuardError, type GuardErrorCode } from "../../src/index.ts";
import { linesOf, textOf } from "./page.ts";

const lines = linesOf(textOf("docs/errors.md"));
const headings = lines
  .filter(({ language }) => language === "")
  .flatMap(({ line }) => /^#{2,6} (.+)$/.exec(line)?.[1] ?? []);
const codes = Object.keys(errorTable) as GuardErrorCode[];

test.each(codes)("%s has a heading of its own, where its error points", (code) => {
  expect(headings.filter((heading) => heading === code)).toEqual([code]);
  expect(new GuardError(code, "").docs).toBe(`docs/errors.md#${code}`);
});

test("no heading names a code that does not exist", () => {
  const codeLike = headings.filter((heading) => /^[a-z]+(_[a-z]+)*$/.test(heading));
  expect(codeLike.sort()).toEqual([...codes].sort());
});

test.each(codes)("%s says what the table says", (code) => {
  const { http, exit } = errorTable[code];
  const row = lines.find(({ line }) => line.startsWith(`| [${code}](#${code}) |`))?.line;
  expect(row).toContain(`| ${http} | ${exit} |`);
});
