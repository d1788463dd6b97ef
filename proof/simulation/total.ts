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
  /** Kinds of faults and mischief that never came about. */
  readonly neverFired: readonly string[];
  /** Of the hashes of all seeds, in order: two runs of the same seeds that differ anywhere differ here. */
  readonly traceHash: string;
}

/** Below so many faults, a seed has not been tried. */
export const fewestFaults = 20;

export function totalOf(pieces: readonly PieceDone[]): Total {
  const sum = (of: (piece: PieceDone) => number) =>
    pieces.reduce((total, piece) => total + of(piece), 0);
  const counts: Counts = {};
  const hash = createHash("sha256");
  for (const piece of pieces) {
    for (const one of piece.traceHashes) hash.update(one);
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
    neverFired: [...faultKinds, ...mischiefKinds].filter((kind) => (counts[kind] ?? 0) === 0),
    traceHash: hash.digest("hex").slice(0, 16),
  };
}

/** Seeds whose second run was another one: the same seeds, run by other processes. */
export function unlike(
  once: readonly PieceDone[],
  again: readonly PieceDone[],
  from: number,
): readonly number[] {
  const second = again.flatMap((piece) => piece.traceHashes);
  const first = once.flatMap((piece) => piece.traceHashes);
  return first.flatMap((hash, index) => (hash === second[index] ? [] : [from + index]));
}
