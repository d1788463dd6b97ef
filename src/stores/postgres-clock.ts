/** The server's clock, as it was last heard, carried on by this process's stopwatch. */
export interface ServerClock {
  heard(at: number): void;
  /** Milliseconds since 1970; undefined: it was not heard lately. */
  now(): number | undefined;
}

/** A stopwatch of another crystal drifts: some ten microseconds a second. */
const freshMs = 5_000;

/**
 * Asking for the time would cost each execution a round trip. What was heard was true a moment before
 * it came: this clock is a little late, and a late clock only ends leases later.
 */
export function serverClock(stopwatch: () => number = () => performance.now()): ServerClock {
  let heardAt = Number.NEGATIVE_INFINITY;
  let told = 0;
  return {
    heard(at) {
      if (!Number.isFinite(at)) return;
      heardAt = stopwatch();
      told = at;
    },
    now() {
      const since = stopwatch() - heardAt;
      return since <= freshMs ? Math.floor(told + since) : undefined;
    },
  };
}
