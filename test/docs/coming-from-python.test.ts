import { expect, test } from "vitest";
import { expectedOf, programOf, runPage, textOf } from "./page.ts";

const page = "docs/coming-from-python.md";

test("every line of code on the page runs, and prints what the page says", async () => {
  const { code, printed, errors } = await runPage(textOf(page));
  expect(errors).toBe("");
  expect(printed).toEqual(expectedOf(programOf(textOf(page))));
  expect(printed.length).toBeGreaterThan(0);
  expect(code).toBe(0);
});
