import { readFileSync } from "node:fs";
import type { Mutant } from "./mutate.ts";

/** What names a mutant as long as its line stays as it is. */
export type Name = Pick<Mutant, "file" | "line" | "mutator" | "original" | "replacement">;

/** Mutants that no test can tell from the source, and why. */
export interface Explanation {
  readonly because: string;
  readonly mutants: readonly Name[];
}

/** The committed list. */
export function explanations(): readonly Explanation[] {
  return JSON.parse(readFileSync(new URL("survivors.json", import.meta.url), "utf8"));
}

export interface Sorted {
  readonly explained: readonly Mutant[];
  readonly unexplained: readonly Mutant[];
  /** Listed, and not among those that survived: killed since, or no more in the source. */
  readonly stale: readonly Name[];
}

/** Each entry of the list explains one mutant: of two that are alike in all, each needs its own. */
export function sortOut(survivors: readonly Mutant[], list: readonly Explanation[]): Sorted {
  const open = list.flatMap(({ mutants }) => mutants);
  const explained: Mutant[] = [];
  const unexplained: Mutant[] = [];
  for (const mutant of survivors) {
    const at = open.findIndex((name) => keyOf(name) === keyOf(mutant));
    if (at >= 0) open.splice(at, 1);
    (at >= 0 ? explained : unexplained).push(mutant);
  }
  return { explained, unexplained, stale: open };
}

function keyOf({ file, line, mutator, original, replacement }: Name): string {
  return JSON.stringify([file, line, mutator, original, replacement]);
}

export function nameOf({ file, line, mutator, original, replacement }: Mutant): Name {
  return { file, line, mutator, original, replacement };
}
