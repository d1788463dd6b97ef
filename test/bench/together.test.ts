import { availableParallelism } from "node:os";
import { expect, test } from "vitest";
import type { Measurement } from "../../bench/measurement.ts";
import { together } from "../../bench/together.ts";

const one: Measurement = {
  phase: "fresh",
  system: "postgres",
  callers: 64,
  processes: 2,
  receipts: 0,
  round: 1,
  calls: 300,
  perSecond: 3_000,
  p50Ms: 1,
  p99Ms: 9,
  cpuMicros: 100,
  serverCpuMicros: 80,
  walBytes: 4_000,
  delayP50Ms: 1,
  delayP99Ms: 5,
  delayFloorMs: 1,
  othersShare: 0.5,
};
const other: Measurement = {
  ...one,
  calls: 100,
  perSecond: 1_000,
  p50Ms: 3,
  p99Ms: 7,
  cpuMicros: 140,
  serverCpuMicros: 240,
  walBytes: 12_000,
};

test("one process is what it measured", () => expect(together([[one]])).toEqual([one]));

test("of two, the rates add up, and each call has its share of what the server did", () => {
  const [both] = together([[one], [other]]);
  expect(both).toMatchObject({ calls: 400, perSecond: 4_000, p50Ms: 3, p99Ms: 9, cpuMicros: 110 });
  // Both saw the same server: 24 ms of CPU and 1.2 MB in 400 calls.
  expect(both).toMatchObject({ serverCpuMicros: 60, walBytes: 3_000 });
});

test("the other process is no stranger", () => {
  const [both] = together([[one], [other]]);
  expect(both?.othersShare).toBeCloseTo(0.5 - 0.14 / availableParallelism());
});
