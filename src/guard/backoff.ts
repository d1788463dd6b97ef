import type { Executing } from "../core/case.ts";
import { isGuardError } from "../core/errors.ts";
import { limits } from "../core/limits.ts";
import type { Platform } from "./platform.ts";

const shortestMs = 1_000;
const longestMs = 3_600_000;

/** Milliseconds after so many tries that brought nothing: doubling from a second to an hour. */
export function pauseAfter(tries: number): number {
  const doublings = Math.max(0, Math.min(tries - 1, limits.probeDoublings));
  return Math.min(longestMs, shortestMs * 2 ** doublings);
}

/** Anywhere between at once and the whole pause, so that what failed together is not tried together. */
export function spread(ms: number, platform: Platform): number {
  return Math.round(ms * platform.jitter());
}

/** When a worker may try a case again that was not performed; null: none is asked to. */
export function retryAt(
  { intent, claim }: Executing,
  at: number,
  platform: Platform,
): number | null {
  return intent.queued === null ? null : at + spread(pauseAfter(claim.fence), platform);
}

/** Whether it may be well again after a while; of what is not the guard's error, nobody knows. */
export function mayPass(error: unknown): boolean {
  if (!isGuardError(error)) return true;
  if (error.lasting) return false;
  return error.code === "store_unavailable" || error.code === "store_contended";
}
