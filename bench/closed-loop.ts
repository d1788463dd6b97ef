import { percentile } from "./percentile.ts";

export interface LoopOptions {
  readonly callers: number;
  /** No call is begun later than this after the start. */
  readonly ms: number;
  /** The key of the next call; undefined: there are no more. */
  readonly next: () => string | undefined;
  readonly call: (key: string) => Promise<void>;
}

export interface LoopResult {
  readonly calls: number;
  readonly ms: number;
  /** Of all threads, in the user's code and in the kernel. */
  readonly cpuMicros: number;
  /** Of each call, unsorted. */
  readonly latenciesMs: readonly number[];
}

/**
 * A call that is answered without any I/O leaves the event loop no turn. Real callers come from
 * sockets, so these give it one each millisecond; else its delay could not be measured.
 */
const turnMs = 1;

/** So many callers, each of which calls again as soon as it is answered. */
export async function closedLoop({ callers, ms, next, call }: LoopOptions): Promise<LoopResult> {
  const latenciesMs: number[] = [];
  const cpuBefore = process.cpuUsage();
  const started = performance.now();
  const end = started + ms;
  let turnedAt = started;
  let turn: Promise<void> | undefined;
  const nextTurn = (): Promise<void> => {
    turn ??= new Promise((resolve) =>
      setImmediate(() => {
        turnedAt = performance.now();
        turn = undefined;
        resolve();
      }),
    );
    return turn;
  };
  const caller = async (): Promise<void> => {
    for (;;) {
      const begun = performance.now();
      if (begun >= end) return;
      const key = next();
      if (key === undefined) return;
      await call(key);
      const answered = performance.now();
      latenciesMs.push(answered - begun);
      if (answered - turnedAt > turnMs) await nextTurn();
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  const tookMs = performance.now() - started;
  const { user, system } = process.cpuUsage(cpuBefore);
  return { calls: latenciesMs.length, ms: tookMs, cpuMicros: user + system, latenciesMs };
}

export interface Pace {
  readonly calls: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Of CPU time a call. */
  readonly cpuMicros: number;
}

export function paceOf(results: readonly LoopResult[]): Pace {
  const latencies = Float64Array.from(results.flatMap((result) => result.latenciesMs)).sort();
  const ms = results.reduce((sum, result) => sum + result.ms, 0);
  const cpuMicros = results.reduce((sum, result) => sum + result.cpuMicros, 0);
  return {
    calls: latencies.length,
    perSecond: (latencies.length / ms) * 1_000,
    p50Ms: percentile(latencies, 0.5),
    p99Ms: percentile(latencies, 0.99),
    cpuMicros: cpuMicros / latencies.length,
  };
}
