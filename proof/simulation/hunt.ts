import { runSeeds } from "./crew.ts";
import type { Bug } from "./plant.ts";
import { withBug } from "./plant.ts";
import { totalOf } from "./total.ts";

/** How a planted bug was found. */
export interface Hunted {
  readonly bug: Bug;
  /** The first seed that found it; null: none did. */
  readonly seed: number | null;
  readonly fault: string | null;
  /** Seeds that were run until then. */
  readonly seeds: number;
  readonly seconds: number;
}

/** Runs seeds against a planted bug until one finds it. */
export async function hunt(
  bug: Bug,
  options: {
    readonly from: number;
    readonly seeds: number;
  },
): Promise<Hunted> {
  const started = performance.now();
  const pieces = await withBug(bug, (worker) =>
    runSeeds({ ...options, worker, stopsAtFault: true, progress: () => {} }),
  );
  const { broken, seeds } = totalOf(pieces);
  const first = broken[0];
  return {
    bug,
    seed: first?.seed ?? null,
    fault: first?.fault ?? null,
    seeds,
    seconds: (performance.now() - started) / 1_000,
  };
}
