import { createHash } from "node:crypto";

/** Dice that fall the same way for the same names. */
export interface Chance {
  /** From 0 up to 1. */
  next(): number;
  /** A whole number from 0 up to `end`. */
  below(end: number): number;
  /** True in this share of all cases. */
  is(share: number): boolean;
  pick<T>(from: readonly T[]): T;
  shuffled<T>(items: readonly T[]): T[];
}

/** Each use has dice of its own, so that what happens at the same time can't take turns at one. */
export function chanceOf(...names: readonly (string | number)[]): Chance {
  const digest = createHash("sha256").update(JSON.stringify(names)).digest();
  let [a, b, c, d] = [0, 4, 8, 12].map((at) => digest.readInt32LE(at)) as [
    number,
    number,
    number,
    number,
  ];

  // sfc32: small, fast, and passes the usual tests of randomness.
  const next = () => {
    const sum = (((a + b) | 0) + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + sum) | 0;
    return (sum >>> 0) / 2 ** 32;
  };

  const below = (end: number) => Math.floor(next() * end);
  return {
    next,
    below,
    is: (share) => next() < share,
    pick: (from) => from[below(from.length)] as (typeof from)[number],
    shuffled(items) {
      const keyed = items.map((item) => ({ item, at: next() }));
      return keyed.sort((one, other) => one.at - other.at).map(({ item }) => item);
    },
  };
}
