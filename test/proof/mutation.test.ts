import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { explanations, nameOf, sortOut } from "../../proof/mutation/explained.ts";
import type { Fate, Mutant } from "../../proof/mutation/mutate.ts";
import { scoreOf } from "../../proof/mutation/score.ts";

const mutant = (rest: Partial<Mutant> = {}): Mutant => ({
  file: "src/core/a.ts",
  row: 3,
  line: "return a > b;",
  mutator: "EqualityOperator",
  original: "a > b",
  replacement: "a >= b",
  fate: "survived",
  ...rest,
});
const listed = (...mutants: readonly Mutant[]) => [
  { because: "they are the same", mutants: mutants.map(nameOf) },
];

describe("a mutant that survived is explained", () => {
  test("by its file, its line and what was changed in it, wherever the line is by now", () => {
    const moved = mutant({ row: 90 });
    expect(sortOut([moved], listed(mutant()))).toEqual({
      explained: [moved],
      unexplained: [],
      stale: [],
    });
  });

  test.each<[string, Partial<Mutant>]>([
    ["another file", { file: "src/core/b.ts" }],
    ["another line", { line: "return a > b && c;" }],
    ["another mutator", { mutator: "ConditionalExpression" }],
    ["another place in the line", { original: "b" }],
    ["another change", { replacement: "a <= b" }],
  ])("not by that of %s", (_name, rest) => {
    const other = mutant(rest);
    expect(sortOut([other], listed(mutant()))).toEqual({
      explained: [],
      unexplained: [other],
      stale: [nameOf(mutant())],
    });
  });

  test("each by an entry of its own, where two are alike", () => {
    const two = [mutant(), mutant({ row: 9 })];
    expect(sortOut(two, listed(mutant())).unexplained).toEqual([two[1]]);
    expect(sortOut(two, listed(...two)).unexplained).toEqual([]);
  });
});

test("an entry for a mutant that did not survive is stale", () => {
  expect(sortOut([], listed(mutant())).stale).toEqual([nameOf(mutant())]);
});

test("the score is of killed and timed out, without those for which the tests were not loaded", () => {
  const fates: readonly Fate[] = [
    ...Array<Fate>(5).fill("killed"),
    "timed out",
    "not loaded",
    "survived",
    "not covered",
  ];
  expect(scoreOf(fates.map((fate) => mutant({ fate })))).toEqual({
    of: { killed: 5, "timed out": 1, "not loaded": 1, survived: 1, "not covered": 1 },
    total: 75,
    covered: 85.71,
  });
  expect(scoreOf([])).toMatchObject({ total: 0, covered: 0 });
});

describe("the list of survivors", () => {
  test.each(explanations())("is of lines that are in the source: $because", (explanation) => {
    expect(explanation.because).toMatch(/^[A-Z].*\.$/);
    expect(explanation.mutants.length).toBeGreaterThan(0);
    for (const { file, line } of explanation.mutants) {
      const lines = readFileSync(new URL(`../../${file}`, import.meta.url), "utf8").split("\n");
      expect(lines.map((text) => text.trim())).toContain(line);
    }
  });
});
