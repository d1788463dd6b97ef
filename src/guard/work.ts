import { defaults, limits } from "../core/limits.ts";
import { span } from "./ask.ts";
import { mayPass } from "./backoff.ts";
import type { Guard } from "./guard.ts";
import type { Report } from "./hooks.ts";
import type { Platform } from "./platform.ts";
import type { Shift, WorkQueue } from "./queue.ts";
import type { SweepOnce } from "./reconcile.ts";
import type { Waiting } from "./waiting.ts";

export interface WorkerOptions {
  readonly sweep: SweepOnce;
  readonly workQueue: WorkQueue;
  readonly waiting: Waiting;
  readonly platform: Platform;
  readonly report: Report;
  readonly leaseMs: number;
}

/** A worker: goes through the queue and sweeps, side by side. Where one of the two can't begin, both end. */
export function createWork(options: WorkerOptions): Guard["work"] {
  const { sweep, workQueue, waiting, platform, report, leaseMs } = options;

  return async ({ actions, signal, everyMs = Math.ceil(leaseMs / 3), concurrency } = {}) => {
    const only = actions && new Set(actions.map(({ action }) => action));
    span("everyMs", everyMs, 1);
    const atOnce = concurrency ?? defaults.concurrency;
    span("concurrency", atOnce, 1, {}, limits.workersAtOnce);
    const stop = new AbortController();
    const end = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]);
    const shift = { only, concurrency: atOnce, everyMs, signal: end };
    const both = [workQueue(shift), sweeps(shift)];
    for (const one of both) one.catch(() => stop.abort());
    const ends = await Promise.allSettled(both);
    for (const one of ends) if (one.status === "rejected") throw one.reason;
  };

  async function sweeps({ only, everyMs, signal }: Shift): Promise<void> {
    let hasSwept = false;
    while (signal?.aborted !== true && !waiting.isClosed()) {
      try {
        await sweep(only, true);
        hasSwept = true;
      } catch (error) {
        if (!hasSwept && !mayPass(error)) throw error;
        report("failed", "sweep", error);
      }
      await waiting.rest(everyMs * (0.75 + platform.jitter() / 2), signal);
    }
  }
}
