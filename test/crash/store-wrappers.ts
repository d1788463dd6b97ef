import { GuardError, type Step, type Store } from "../../src/index.ts";

/** Called around the commits that matter. */
export interface Watcher {
  beforeClaim?(): unknown;
  afterClaim?(): unknown;
  beforeSettle?(): unknown;
  afterSettle?(): unknown;
}

/** A store that calls out before a claim or a settle is written, and after it is, before that is told. */
export function watched(inner: Store, watcher: Watcher): Store {
  return {
    ...inner,
    async commit(steps) {
      const kind = kindOf(steps);
      if (kind === "claim") watcher.beforeClaim?.();
      if (kind === "settle") watcher.beforeSettle?.();
      const landed = await inner.commit(steps);
      // Not landed: a renewal was faster, say, and it is tried again.
      if (landed && kind === "claim") watcher.afterClaim?.();
      if (landed && kind === "settle") watcher.afterSettle?.();
      return landed;
    },
  };
}

function kindOf(steps: readonly Step[]): "claim" | "settle" | undefined {
  // A renewal stays EXECUTING too, and has no entry.
  if (steps.some(({ next, entry }) => next.state === "EXECUTING" && entry !== null)) return "claim";
  if (steps.some(({ next }) => next.state === "SETTLED")) return "settle";
  return undefined;
}

/** Makes a callback throw, as a store does that can't be reached: the first `times` times, then never. */
export function unreachable(times: number): () => void {
  let left = times;
  return () => {
    if (left === 0) return;
    left -= 1;
    throw new GuardError("store_unavailable", "The connection was lost.");
  };
}
