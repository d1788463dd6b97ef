import { createHash } from "node:crypto";
import { type Counts, faultKinds, mischiefKinds } from "../../src/testing/simulation/faults.ts";
import type { Broken, PieceDone } from "./protocol.ts";

/** What came of all pieces together. */
export interface Total {
  readonly seeds: number;
  readonly faults: number;
  readonly fewestFaults: number;
  readonly starts: number;
  readonly settled: number;
  readonly counts: Counts;
  readonly broken: readonly Broken[];
  readonly unlike: readonly number[];
  /** Kinds of faults and mischief that never came about. */
  readonly neverFired: readonly string[];
  /** Of the hashes of all pieces: two runs of the same seeds that differ anywhere differ here. */
  readonly traceHash: string;
}

export function totalOf(pieces: readonly PieceDone[]): Total {
  const sum = (of: (piece: PieceDone) => number) =>
    pieces.reduce((total, piece) => total + of(piece), 0);
  const counts: Counts = {};
  const hash = createHash("sha256");
  for (const piece of pieces) {
    hash.update(piece.traceHash);
    for (const [kind, count] of Object.entries(piece.counts)) {
      counts[kind as keyof Counts] = (counts[kind as keyof Counts] ?? 0) + count;
    }
  }
  return {
    seeds: sum((piece) => piece.seeds),
    faults: sum((piece) => piece.faults),
    fewestFaults: Math.min(...pieces.map((piece) => piece.fewestFaults)),
    starts: sum((piece) => piece.starts),
    settled: sum((piece) => piece.settled),
    counts,
    broken: pieces.flatMap((piece) => piece.broken),
    unlike: pieces.flatMap((piece) => piece.unlike),
    neverFired: [...faultKinds, ...mischiefKinds].filter((kind) => (counts[kind] ?? 0) === 0),
    traceHash: hash.digest("hex").slice(0, 16),
  };
}
