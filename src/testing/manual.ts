/** A clock that is turned by hand. */
export interface ManualClock {
  now(): number;
  advance(ms: number): void;
  set(at: number): void;
}

/**
 * A clock that stands still until a test turns it.
 *
 * @example const clock = manualClock(); memoryStore({ clock: clock.now }); clock.advance(30_000);
 */
export function manualClock(start = 1_700_000_000_000): ManualClock {
  let at = start;
  return {
    now: () => at,
    advance(ms) {
      at += ms;
    },
    set(to) {
      at = to;
    },
  };
}

/**
 * Ids that a test can predict: `id-1`, `id-2`, …
 *
 * @example createGuard({ store, ids: countingIds("try") })
 */
export function countingIds(prefix = "id"): () => string {
  let count = 0;
  return () => {
    count += 1;
    return `${prefix}-${count}`;
  };
}
