import { availableParallelism } from "node:os";
import type { Measurement } from "./measurement.ts";

/** What several processes measured at the same time, as one: how fast all of them were, and how slow the slowest. */
export function together(all: readonly (readonly Measurement[])[]): readonly Measurement[] {
  const [first = [], ...others] = all;
  if (others.length === 0) return first;
  return first.map((one, index) =>
    others.flatMap((other) => other[index] ?? []).reduce((sum, other) => merged(sum, other), one),
  );
}

function merged(one: Measurement, other: Measurement): Measurement {
  const calls = one.calls + other.calls;
  const share = one.calls / calls;
  const worse = (name: "p50Ms" | "p99Ms" | "delayP50Ms" | "delayP99Ms" | "delayFloorMs"): number =>
    Math.max(one[name], other[name]);
  // Each has counted all that the server did, and taken the other for a stranger.
  const othersCpu = (other.cpuMicros * other.perSecond) / 1e6 / availableParallelism();
  return {
    ...one,
    calls,
    perSecond: one.perSecond + other.perSecond,
    p50Ms: worse("p50Ms"),
    p99Ms: worse("p99Ms"),
    cpuMicros: one.cpuMicros * share + other.cpuMicros * (1 - share),
    serverCpuMicros: one.serverCpuMicros * share,
    walBytes: one.walBytes * share,
    delayP50Ms: worse("delayP50Ms"),
    delayP99Ms: worse("delayP99Ms"),
    delayFloorMs: worse("delayFloorMs"),
    othersShare: Math.max(0, one.othersShare - othersCpu),
  };
}
