import { expect, test } from "vitest";
import { tableText } from "../../bench/table.ts";

const table = {
  title: "Speed",
  heads: ["system", "per second"],
  rows: [
    ["a", "9"],
    ["longer", "12,345"],
  ],
  figuresFrom: 1,
};

test("a plain table lines its columns up, figures to the right", () => {
  expect(tableText(table, "plain").split("\n")).toEqual([
    "Speed",
    "system  per second",
    "a                9",
    "longer      12,345",
  ]);
});

test("a Markdown table has a title and a rule", () => {
  expect(tableText(table, "markdown").split("\n")).toEqual([
    "### Speed",
    "",
    "| system | per second |",
    "| --- | ---: |",
    "| a | 9 |",
    "| longer | 12,345 |",
  ]);
});
