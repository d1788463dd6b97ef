/** Chance that a seed decides. */
export interface Dice {
  /** From 0 up to 1. */
  fraction(): number;
  /** A whole number from 0 up to, and without, `end`. */
  below(end: number): number;
  pick<T>(items: readonly [T, ...T[]]): T;
}

/** The same words and numbers give the same dice, and others give others. */
export function diceOf(...seeds: readonly (number | string)[]): Dice {
  // FNV-1a over the text of the seeds, then mulberry32.
  let state = 0x811c9dc5;
  for (const char of JSON.stringify(seeds)) {
    state = Math.imul(state ^ char.charCodeAt(0), 0x01000193);
  }
  const fraction = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (end: number): number => Math.floor(fraction() * end);
  return { fraction, below, pick: (items) => items[below(items.length)] ?? items[0] };
}
