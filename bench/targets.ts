import {
  delayAboveFloor,
  isOf,
  type Measurement,
  pairedRatio,
  type Subject,
  type SystemName,
} from "./measurement.ts";
import { median } from "./percentile.ts";
import { callersOfProcesses } from "./plan-postgres.ts";

/** A promise about speed that holds on any machine: a ratio of two measurements of one run, or a delay. */
export interface Target {
  readonly says: string;
  readonly unit: "times" | "ms";
  /** Ratios: at least; delays: at most. */
  readonly wanted: number;
  readonly measure: (measurements: readonly Measurement[]) => number | undefined;
}

export interface Judgement {
  readonly says: string;
  readonly wanted: string;
  readonly measured: string;
  readonly verdict: "met" | "NOT MET" | "not measured";
}

const postgresAt = (callers: number): Subject => fresh("postgres", callers);
const sqliteAt = (callers: number): Subject => fresh("sqlite", callers);

export const targets: readonly Target[] = [
  ratio("fresh, 1 caller: SQLite / (a) bare limit", 0.7, sqliteAt(1), fresh("bare", 1)),
  ratio("fresh, 256 callers: SQLite / (a) bare limit", 0.6, sqliteAt(256), fresh("bare", 256)),
  ratio("fresh, 1 caller: SQLite / (b) by hand", 4, sqliteAt(1), fresh("by-hand", 1)),
  ratio("fresh, 256 callers: SQLite / (b) by hand", 40, sqliteAt(256), fresh("by-hand", 256)),
  ratio(
    "256 callers: SQLite's replay / (a)'s fresh",
    2.4,
    { ...sqliteAt(256), phase: "cached" },
    fresh("bare", 256),
  ),
  delay("event-loop delay p99, SQLite fresh, 1 caller", 2, sqliteAt(1)),
  delay("event-loop delay p99, SQLite fresh, 16 callers", 2, sqliteAt(16)),
  delay("event-loop delay p99, SQLite fresh, 256 callers", 6, sqliteAt(256)),
  growth("fresh, 16 callers: at 10^6 receipts / at 10^3", 0.6, 16),
  growth("fresh, 256 callers: at 10^6 receipts / at 10^3", 0.6, 256),
  ratio(
    "fresh, 256 callers: Postgres / (q) bare limit",
    0.6,
    postgresAt(256),
    fresh("postgres-bare", 256),
  ),
  ratio(
    "fresh, 256 callers: Postgres / (r) by hand",
    5,
    postgresAt(256),
    fresh("postgres-by-hand", 256),
  ),
  ratio(
    "Postgres: two processes / one",
    1.5,
    { ...postgresAt(callersOfProcesses), processes: 2 },
    postgresAt(callersOfProcesses),
  ),
  ratio(
    "Postgres, fresh, 256 callers: at 10^6 receipts / at 10^3",
    0.7,
    fresh("postgres", 256, 1e6),
    fresh("postgres", 256, 1e3),
  ),
];

export function judge(target: Target, measurements: readonly Measurement[]): Judgement {
  const { says, unit, wanted } = target;
  const measured = target.measure(measurements);
  const isMet = measured !== undefined && (unit === "ms" ? measured <= wanted : measured >= wanted);
  return {
    says,
    wanted: unit === "ms" ? `<= ${wanted} ms` : `>= ${wanted}`,
    measured: measured === undefined ? "" : figure(measured, unit),
    verdict: measured === undefined ? "not measured" : isMet ? "met" : "NOT MET",
  };
}

function figure(value: number, unit: Target["unit"]): string {
  return unit === "ms" ? `${value.toFixed(1)} ms` : value.toFixed(value < 10 ? 2 : 0);
}

function fresh(system: SystemName, callers: number, receipts = 0): Subject {
  return { phase: "fresh", system, callers, processes: 1, receipts };
}

function ratio(says: string, wanted: number, subject: Subject, against: Subject): Target {
  const measure: Target["measure"] = (all) => pairedRatio(all, subject, against);
  return { says, unit: "times", wanted, measure };
}

function growth(says: string, wanted: number, callers: number): Target {
  return ratio(says, wanted, fresh("sqlite", callers, 1e6), fresh("sqlite", callers, 1e3));
}

function delay(says: string, wanted: number, subject: Subject): Target {
  const measure: Target["measure"] = (all) => {
    const delays = all.filter((one) => isOf(one, subject)).map(delayAboveFloor);
    return delays.length === 0 ? undefined : median(delays);
  };
  return { says, unit: "ms", wanted, measure };
}
