import { expect, test } from "vitest";
import { choiceOf } from "../../proof/power-loss/choice.ts";

const plain = (seed: number, number: number) => {
  const { chance, ...rest } = choiceOf(seed, "one caller", number, { from: 100, to: 390 });
  return { ...rest, chance: chance.unit() };
};

test("the same seed and number choose the same image", () => {
  for (const number of [0, 1, 77]) expect(plain(5, number)).toEqual(plain(5, number));
  expect(plain(5, 1)).not.toEqual(plain(6, 1));
});

test("as many images as cuts take each cut once", () => {
  const cuts = Array.from({ length: 291 }, (_, number) => plain(3, number).cut);
  expect(cuts.toSorted((a, b) => a - b)).toEqual(cuts.map((_, index) => 100 + index));
});

test("a few images spread over the whole run, and over all that may become of a write", () => {
  const few = Array.from({ length: 40 }, (_, number) => plain(9, number));
  const tenths = new Set(few.map(({ cut }) => Math.floor((cut - 100) / 29.1)));
  expect(tenths.size).toBe(10);
  expect(new Set(few.map(({ fate }) => fate)).size).toBe(6);
});
