import type { Measurement, Phase, SystemName } from "./measurement.ts";

/** What one child process is asked to do, as JSON in its first argument. */
export type Task = MeasureTask | PrefillTask;

export interface MeasureTask {
  readonly kind: "measure";
  readonly system: SystemName;
  readonly callers: number;
  readonly round: number;
  readonly seconds: number;
  /** How many processes do this at once; more than one in `fresh` alone. */
  readonly processes: number;
  /** `fresh` comes first in any case: what is replayed must have run. */
  readonly phases: readonly Phase[];
  /** Receipts in the store. */
  readonly receipts: number;
  /** The store's file, or the address of its database; made where there is none. */
  readonly path: string;
  /** A prefilled file or database to copy to `path` first. */
  readonly copyOf?: string;
  /** The postmaster of the database server. */
  readonly server?: number;
}

export interface PrefillTask {
  readonly kind: "prefill";
  readonly receipts: number;
  readonly path: string;
}

/** What the child prints: JSON, in one line. */
export type TaskResult = readonly Measurement[];
