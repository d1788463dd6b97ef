import type { Counts } from "../../src/testing/simulation/faults.ts";

/** A run of seeds, one after the other, in one process. */
export interface Piece {
  readonly from: number;
  readonly seeds: number;
  /** Ends at the first seed that breaks a promise. */
  readonly stopsAtFault: boolean;
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
  /** Of all that happened, a seed each. */
  readonly traceHashes: readonly string[];
}

export interface Broken {
  readonly seed: number;
  readonly fault: string;
}
