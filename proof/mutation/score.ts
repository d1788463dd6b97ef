import type { Fate, Mutant } from "./mutate.ts";

/** How many mutants met which fate, and the scores that Stryker gives for it. */
export interface Score {
  readonly of: { readonly [fate in Fate]: number };
  /** Percent of the mutants that a test failed for; without those for which tests were not loaded. */
  readonly total: number;
  /** The same of the mutants that any test gets to. */
  readonly covered: number;
}

export function scoreOf(mutants: readonly Mutant[]): Score {
  const of = { killed: 0, "timed out": 0, "not loaded": 0, survived: 0, "not covered": 0 };
  for (const { fate } of mutants) of[fate] += 1;
  const found = of.killed + of["timed out"];
  return {
    of,
    total: percent(found, found + of.survived + of["not covered"]),
    covered: percent(found, found + of.survived),
  };
}

function percent(part: number, whole: number): number {
  return whole === 0 ? 0 : Math.round((10_000 * part) / whole) / 100;
}
