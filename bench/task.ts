import type { Measurement, Phase, SystemName } from "./measurement.ts";

/** What one child process is asked to do, as JSON in its first argument. */
export type Task = MeasureTask | PrefillTask;

export interface MeasureTask {
  readonly kind: "measure";
  readonly system: SystemName;
  readonly callers: number;
  readonly round: number;
  readonly seconds: number;
  /** `fresh` comes first in any case: what is replayed must have run. */
  readonly phases: readonly Phase[];
  /** Receipts in the file. */
  readonly receipts: number;
  /** The store's file; made where there is none. */
  readonly path: string;
  /** A prefilled file to copy to `path` first. */
  readonly copyOf?: string;
}

export interface PrefillTask {
  readonly kind: "prefill";
  readonly receipts: number;
  readonly path: string;
}

/** What the child prints: JSON, in one line. */
export type TaskResult = readonly Measurement[];
