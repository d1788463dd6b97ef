/** A stream of chance that its seed decides entirely. */
export interface Chance {
  /** From 0 up to 1. */
  unit(): number;
  /** A whole number from `low` to `high`, both included. */
  between(low: number, high: number): number;
  /** A whole number from 0 up to, and without, `end`. */
  below(end: number): number;
  /** True in this share of the cases. */
  happens(share: number): boolean;
  pick<T>(items: readonly T[]): T;
  shuffled<T>(items: readonly T[]): T[];
  /** Another stream, the same for the same name however much was drawn from this one. */
  fork(name: string): Chance;
}

/** The same words and numbers give the same stream, and others give others. */
export function chanceOf(...seeds: readonly (string | number)[]): Chance {
  const seed = seeds.join("/");
  let state = digest(seed, 0x9e3779b9);
  const step = digest(seed, 0x85ebca6b) | 1;
  const unit = (): number => {
    // A Weyl sequence, mixed as in MurmurHash3's finalizer.
    state = (state + step) | 0;
    return mixed(state) / 2 ** 32;
  };
  const below = (end: number): number => Math.floor(unit() * end);
  return {
    unit,
    between: (low, high) => low + below(high - low + 1),
    below,
    happens: (share) => unit() < share,
    pick: (items) => {
      const item = items[below(items.length)];
      if (item === undefined) throw new Error("nothing to pick from");
      return item;
    },
    shuffled(items) {
      const keyed = items.map((item) => ({ item, at: unit() }));
      return keyed.sort((one, other) => one.at - other.at).map(({ item }) => item);
    },
    fork: (name) => chanceOf(seed, name),
  };
}

/** 32 bits of a text. */
export function digest(text: string, start: number): number {
  let sum = start | 0;
  for (let index = 0; index < text.length; index += 1) {
    sum = Math.imul(sum ^ text.charCodeAt(index), 0x01000193);
  }
  return mixed(sum);
}

function mixed(bits: number): number {
  let word = bits | 0;
  word = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35);
  return (word ^ (word >>> 16)) >>> 0;
}
