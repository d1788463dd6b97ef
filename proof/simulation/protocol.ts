import type { Counts } from "../../src/testing/simulation/faults.ts";

/** A run of seeds, one after the other, in one process. */
export interface Piece {
  readonly from: number;
  readonly seeds: number;
  /** Ends at the first seed that breaks a promise. */
  readonly stopsAtFault: boolean;
  /** Runs each seed a second time and compares the hashes of what happened. */
  readonly twice: boolean;
}

export interface PieceDone {
  readonly from: number;
  /** Seeds that were run; fewer than asked for where it stopped at a fault. */
  readonly seeds: number;
  readonly faults: number;
  readonly fewestFaults: number;
  readonly starts: number;
  readonly settled: number;
  readonly counts: Counts;
  readonly broken: readonly Broken[];
  /** Seeds whose second run was another one. */
  readonly unlike: readonly number[];
  /** The hash of all hashes, in order. */
  readonly traceHash: string;
}

export interface Broken {
  readonly seed: number;
  readonly fault: string;
}
