import { byCodeUnit } from "./json.ts";

/** One source's vote on the outcome of a case. */
export interface Signal {
  /** Names this very message: the same id again changes nothing. */
  readonly signalId: string;
  readonly source: string;
  readonly outcome: string;
  /** In millionths: 0 to 1,000,000. */
  readonly confidencePpm: number;
  /** When the source said it, in milliseconds since 1970. Orders the votes of one source, nothing else. */
  readonly at: number;
}

export const ppm = 1_000_000;

/**
 * The live vote of each source: its latest, whatever order the signals arrived in. Two signals of
 * one source at one instant are ordered by their ids, so that the answer depends on the set alone.
 */
export function liveVotes(signals: readonly Signal[]): readonly Signal[] {
  const live = new Map<string, Signal>();
  for (const signal of signals) {
    const standing = live.get(signal.source);
    if (standing === undefined || isLater(signal, standing)) live.set(signal.source, signal);
  }
  return [...live.values()].sort((left, right) => byCodeUnit(left.source, right.source));
}

function isLater(signal: Signal, standing: Signal): boolean {
  if (signal.at !== standing.at) return signal.at > standing.at;
  return byCodeUnit(signal.signalId, standing.signalId) > 0;
}

export function sameSignal(left: Signal, right: Signal): boolean {
  return (
    left.source === right.source &&
    left.outcome === right.outcome &&
    left.confidencePpm === right.confidencePpm
  );
}
