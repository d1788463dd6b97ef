import { median } from "./percentile.ts";

/** `cached`: a replay answered from the guard's memory; `stored`: from the store, by a guard that never saw the case. */
export type Phase = "fresh" | "cached" | "stored";

export type SystemName =
  | "memory"
  | "sqlite"
  | "bare"
  | "bare-no-journal"
  | "by-hand"
  | "by-hand-wal"
  | "postgres"
  | "postgres-bare"
  | "postgres-bare-no-journal"
  | "postgres-by-hand";

/** What is measured: the same in every round. */
export interface Subject {
  readonly phase: Phase;
  readonly system: SystemName;
  /** In each process. */
  readonly callers: number;
  /** That share the store. */
  readonly processes: number;
  /** Receipts in the store before the first call. */
  readonly receipts: number;
}

/** One run in one process. Times in milliseconds. */
export interface Measurement extends Subject {
  readonly round: number;
  readonly calls: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** CPU time a call, of all threads: what a busy neighbour disturbs least. */
  readonly cpuMicros: number;
  /** The same of the database server; 0 where the database is inside of the process. */
  readonly serverCpuMicros: number;
  /** What the database server wrote to its log, a call; 0 where there is none. */
  readonly walBytes: number;
  /** The event loop's delay as the meter reads it, and the meter's reading of an idle loop in the same process. */
  readonly delayP50Ms: number;
  readonly delayP99Ms: number;
  readonly delayFloorMs: number;
  /** What other processes took of the machine's CPU time meanwhile. */
  readonly othersShare: number;
}

/** The rounds of one subject together: medians, and how far apart the rounds were. */
export interface Summary extends Subject {
  readonly rounds: number;
  readonly perSecond: number;
  readonly perSecondLeast: number;
  readonly perSecondMost: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cpuMicros: number;
  readonly serverCpuMicros: number;
  readonly walBytes: number;
  /** Above the meter's floor. */
  readonly delayP99Ms: number;
}

export function isOf(measurement: Subject, subject: Subject): boolean {
  return (
    measurement.phase === subject.phase &&
    measurement.system === subject.system &&
    measurement.callers === subject.callers &&
    measurement.processes === subject.processes &&
    measurement.receipts === subject.receipts
  );
}

export function summarize(
  measurements: readonly Measurement[],
  subject: Subject,
): Summary | undefined {
  const rounds = measurements.filter((measurement) => isOf(measurement, subject));
  if (rounds.length === 0) return undefined;
  const rates = rounds.map(({ perSecond }) => perSecond);
  return {
    ...subject,
    rounds: rounds.length,
    perSecond: median(rates),
    perSecondLeast: Math.min(...rates),
    perSecondMost: Math.max(...rates),
    p50Ms: median(rounds.map(({ p50Ms }) => p50Ms)),
    p99Ms: median(rounds.map(({ p99Ms }) => p99Ms)),
    cpuMicros: median(rounds.map(({ cpuMicros }) => cpuMicros)),
    serverCpuMicros: median(rounds.map(({ serverCpuMicros }) => serverCpuMicros)),
    walBytes: median(rounds.map(({ walBytes }) => walBytes)),
    delayP99Ms: median(rounds.map(delayAboveFloor)),
  };
}

export function delayAboveFloor(measurement: Measurement): number {
  return Math.max(0, measurement.delayP99Ms - measurement.delayFloorMs);
}

/**
 * How many times faster one subject was than another: the median over the rounds that have both. Of
 * two runs minutes apart on a shared machine, the neighbours decide; of two in one round, less so.
 */
export function pairedRatio(
  measurements: readonly Measurement[],
  subject: Subject,
  against: Subject,
): number | undefined {
  const others = measurements.filter((measurement) => isOf(measurement, against));
  const ratios = measurements
    .filter((measurement) => isOf(measurement, subject))
    .flatMap(({ round, perSecond }) =>
      others.filter((other) => other.round === round).map((other) => perSecond / other.perSecond),
    );
  return ratios.length === 0 ? undefined : median(ratios);
}
