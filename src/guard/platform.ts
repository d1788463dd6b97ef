import { createHash, hash, randomUUID } from "node:crypto";

/** The one place with a clock, chance and digests. Everything else is told. */
export interface Platform {
  /** A name that was never used before. */
  readonly newId: () => string;
  /** SHA-256, in lower-case hex. */
  readonly sha256: (text: string) => string;
  /** Milliseconds on a clock that only runs forward; means nothing outside this process. */
  readonly monotonicMs: () => number;
  /** From 0 up to 1: spreads retries, decides nothing. */
  readonly jitter: () => number;
  /** Calls back once, `ms` from now. `background` timers don't keep the process alive. */
  readonly after: (ms: number, background: boolean, call: () => void) => () => void;
  /** A report that found no hook to go to. */
  readonly warn: (error: unknown) => void;
}

export const system: Platform = {
  newId: randomUUID,
  // One-shot hashing is twice as fast, and not in every runtime that has the rest.
  sha256:
    typeof hash === "function"
      ? (text) => hash("sha256", text, "hex")
      : (text) => createHash("sha256").update(text).digest("hex"),
  monotonicMs: () => performance.now(),
  jitter: Math.random,
  after: alarm,
  warn: (error) => process.emitWarning(error instanceof Error ? error : String(error)),
};

export const systemActor: string = `pid-${process.pid}`;

/** The longest a timer can wait: beyond it, it would fire at once. */
const longestTimerMs = 2 ** 31 - 1;

function alarm(ms: number, background: boolean, call: () => void): () => void {
  if (ms <= longestTimerMs) {
    const timer = setTimeout(call, ms);
    if (background) timer.unref();
    return () => clearTimeout(timer);
  }
  return longAlarm(ms, background, call);
}

function longAlarm(ms: number, background: boolean, call: () => void): () => void {
  let timer: NodeJS.Timeout;
  const arm = (leftMs: number) => {
    const isLong = leftMs > longestTimerMs;
    timer = isLong
      ? setTimeout(() => arm(leftMs - longestTimerMs), longestTimerMs)
      : setTimeout(call, leftMs);
    if (background) timer.unref();
  };
  arm(ms);
  return () => clearTimeout(timer);
}
