import { describe, expect, test } from "vitest";
import { returnedOf } from "../../src/guard/returned.ts";

describe("exact: JSON says it as it was", () => {
  test.each([null, true, false, 0, -1.5, "", "é", [], {}, [1, [2]], { b: 1, a: { c: null } }])(
    "%j",
    (value) => {
      expect(returnedOf(value)).toEqual({ value, valueForm: "exact" });
    },
  );

  test("nothing is nothing, not null", () => {
    expect(returnedOf(undefined)).toEqual({ valueForm: "exact" });
    expect("value" in returnedOf(undefined)).toBe(false);
  });

  test("a name that is integer-like, or any other", () => {
    const value = { 10: "a", 9: "b", "": 1, "a/b": 2 };
    expect(returnedOf(value)).toEqual({ value, valueForm: "exact" });
  });
});

describe("converted: JSON lost something of it", () => {
  class Money {
    readonly cents = 5;
  }
  test.each<readonly [string, unknown, unknown]>([
    ["a Date", new Date(0), "1970-01-01T00:00:00.000Z"],
    ["a class", new Money(), { cents: 5 }],
    ["a Map", new Map([["a", 1]]), {}],
    ["a Set", new Set([1]), {}],
    ["an undefined member", { a: undefined }, {}],
    ["an undefined item", [undefined, 1], [null, 1]],
    ["a function inside", { f: () => 1, a: 1 }, { a: 1 }],
    ["infinity", [Number.POSITIVE_INFINITY], [null]],
    ["NaN", Number.NaN, null],
    ["an integer that is not safe", 2 ** 53, 2 ** 53],
    ["what says itself how", { toJSON: () => "said" }, "said"],
    ["an Error", new Error("no"), {}],
  ])("%s", (_name, value, kept) => {
    expect(returnedOf(value)).toEqual({ value: kept, valueForm: "converted" });
  });
});

describe("omitted: JSON can't say it", () => {
  const circle: unknown[] = [];
  circle.push(circle);
  test.each<readonly [string, unknown]>([
    ["a BigInt", 1n],
    ["a BigInt inside", [1n]],
    ["a function", () => 1],
    ["a symbol", Symbol("s")],
    ["a circle", circle],
    ["what says that it is nothing", { toJSON: () => undefined }],
    [
      "what throws when it is asked",
      {
        toJSON() {
          throw new Error("no");
        },
      },
    ],
    ["too much", ["x".repeat(262_144)]],
  ])("%s", (_name, value) => {
    expect(returnedOf(value)).toEqual({ valueForm: "omitted" });
  });

  test("a nesting deeper than the stack goes", () => {
    let deep: unknown = 1;
    for (let level = 0; level < 200_000; level += 1) deep = [deep];
    expect(returnedOf(deep)).toEqual({ valueForm: "omitted" });
  });
});

test("what is kept is a frozen copy, at every level", () => {
  const mine = { lines: [{ cents: 1 }] };
  const value = returnedOf(mine).value as unknown as typeof mine;
  expect(value).toEqual(mine);
  expect(value).not.toBe(mine);
  expect([value, value.lines, value.lines[0]].every(Object.isFrozen)).toBe(true);
  expect(Object.isFrozen(mine)).toBe(false);
});
