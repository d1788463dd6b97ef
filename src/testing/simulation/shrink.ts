import type { Act } from "./plan.ts";
import { type Simulated, type SimulateOptions, simulate } from "./simulate.ts";

/**
 * Cuts the schedule of a failing seed down to acts that all matter: without any one of them, the
 * promise holds. Answers the run of what is left, or the seed's own where it doesn't fail.
 *
 * @param options.runs how many worlds to try at most, default 2,000
 * @example
 * const small = await shrink({ seed: 17 });
 * small.acts; // what is left
 */
export async function shrink(
  options: SimulateOptions & { readonly runs?: number },
): Promise<Simulated> {
  const { runs = 2_000, ...rest } = options;
  let smallest = await simulate(rest);
  if (smallest.fault === undefined) return smallest;
  let left = runs;

  /** Whether the same promise breaks with these acts alone. */
  const breaks = async (acts: readonly Act[]): Promise<boolean> => {
    if (left === 0) return false;
    left -= 1;
    const run = await simulate({ ...rest, keep: new Set(acts.map((act) => act.id)) });
    const same = promiseOf(run) === promiseOf(smallest);
    if (same) smallest = run;
    return same;
  };

  // Larger pieces first; then one by one, as long as that still takes something away.
  for (let size = Math.ceil(smallest.acts.length / 2); size >= 1; ) {
    let cut = false;
    for (let from = 0; from < smallest.acts.length; ) {
      const { acts } = smallest;
      const without = [...acts.slice(0, from), ...acts.slice(from + size)];
      if (without.length > 0 && (await breaks(without))) cut = true;
      else from += size;
    }
    if (size === 1 && !cut) break;
    size = size === 1 ? 1 : Math.ceil(size / 2);
  }
  return smallest;
}

function promiseOf({ fault }: Simulated): string | undefined {
  return fault?.split(":", 1)[0];
}
