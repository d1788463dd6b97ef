import { spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { expectedOf, linesOf, programOf, root, runPage, textOf } from "./page.ts";

const page = "README.md";

test("every line of code on the page runs, and prints what the page says", async () => {
  const { code, printed, errors } = await runPage(textOf(page));
  expect(errors).toBe("");
  expect(printed).toEqual(expectedOf(programOf(textOf(page))));
  expect(printed.length).toBeGreaterThan(0);
  expect(code).toBe(0);
});

test("the demo prints what the page shows", () => {
  const shown = linesOf(textOf(page)).filter(({ language }) => language === "text");
  const program = join(root, "src/cli/main.ts");
  const options = { encoding: "utf8", cwd: tmpdir() } as const;
  const { status, stdout } = spawnSync(process.execPath, [program, "demo", "--fast"], options);
  const printed = stdout.split("\n").map(plain);
  expect(shown.length).toBeGreaterThan(10);
  expect(shown.map(({ line }) => plain(line)).filter((line) => !printed.includes(line))).toEqual(
    [],
  );
  expect(status).toBe(0);
});

/** A line without what differs from run to run, or from one width to another. */
function plain(line: string): string {
  return line
    .replace(/st_[0-9a-f]+/g, "st_")
    .replace(/─+/g, "─")
    .replace(/\s+/g, " ")
    .trim();
}
