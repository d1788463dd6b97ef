import { type Chance, chanceOf } from "../../src/testing/chance.ts";
import { type Fate, fates } from "./disk.ts";

/** Where the power goes, and what becomes of the writes that were not synced then. */
export interface Choice {
  /** After so many entries of the trace. */
  readonly cut: number;
  readonly fate: Fate;
  /** Leftovers of the shared memory are found too. They say nothing, and must not be believed. */
  readonly leavesSharedMemory: boolean;
  /** Decides the rest of this very image. */
  readonly chance: Chance;
}

/**
 * The choice of one image, from nothing but the seed, its number and the span of cuts. Numbers
 * counted up from 0 spread over all cuts and take each once before any comes again.
 */
export function choiceOf(
  seed: number,
  recording: string,
  number: number,
  span: { readonly from: number; readonly to: number },
): Choice {
  const cuts = span.to - span.from + 1;
  const chance = chanceOf(seed, recording, number);
  const cut =
    span.from + ((chanceOf(seed, recording).below(cuts) + number * strideOf(cuts)) % cuts);
  const fate = chance.pick(fates);
  return { cut, fate, leavesSharedMemory: chance.happens(0.25), chance };
}

/** About the golden share of a round, and without a common divisor, so that every cut has its turn. */
function strideOf(cuts: number): number {
  let stride = Math.max(1, Math.round(cuts * 0.618));
  while (divisor(stride, cuts) !== 1) stride += 1;
  return stride;
}

function divisor(a: number, b: number): number {
  return b === 0 ? a : divisor(b, a % b);
}
