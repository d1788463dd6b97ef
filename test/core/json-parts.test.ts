import { createContext, runInContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { canonicalJson, frozen, type Json, without } from "../../src/core/json.ts";

const textOf = (value: unknown) => canonicalJson(value);

describe("one value has one text", () => {
  test.each([
    ["-0 is 0", -0, 0],
    ["1.0 is 1", JSON.parse("1.0"), 1],
    ["1e2 is 100", JSON.parse("1e2"), 100],
    ["an escape is its character", JSON.parse('"\\u0041"'), "A"],
    [
      "an object without a prototype is plain",
      Object.assign(Object.create(null), { a: 1 }),
      { a: 1 },
    ],
    [
      "an object of another realm is plain",
      runInContext("({ a: [1] })", createContext()),
      { a: [1] },
    ],
    [
      "one object in two places is two values",
      ((shared) => [shared, shared])({ a: 1 }),
      [{ a: 1 }, { a: 1 }],
    ],
  ])("%s", (_name, left, right) => expect(textOf(left)).toEqual(textOf(right)));

  test.each([
    ["null is not absent", { a: null }, {}],
    ["a number is not its text", 1, "1"],
    ["a list is not an object", ["a"], { "0": "a" }],
    ["composed is not decomposed", "é", "e\u0301"],
    ["an empty list is not an empty object", [], {}],
    ["an empty name is not an absent one", { "": 1 }, { a: 1 }],
  ])("%s", (_name, left, right) => expect(textOf(left)).not.toEqual(textOf(right)));
});

describe("without", () => {
  test.each<[string, Json, readonly string[], Json]>([
    ["a member", { a: 1, note: 2 }, ["/note"], { a: 1 }],
    ["a member further in", { a: { b: 1, c: 2 } }, ["/a/b"], { a: { c: 2 } }],
    ["several", { a: 1, b: 2, c: 3 }, ["/a", "/c"], { b: 2 }],
    ["what is absent", { a: 1 }, ["/b", "/a/b/c", "/b/c"], { a: 1 }],
    ["an element", [1, 2, 3], ["/1"], [1, 3]],
    [
      "a member of an element",
      { list: [{ a: 1, b: 2 }, { a: 3 }] },
      ["/list/0/a"],
      { list: [{ b: 2 }, { a: 3 }] },
    ],
    [
      "no element beyond the end, nor by another spelling",
      [1, 2],
      ["/2", "/-", "/01", "/length"],
      [1, 2],
    ],
    ["~1 for a slash", { "a/b": 1, c: 2 }, ["/a~1b"], { c: 2 }],
    ["~0 for a tilde", { "a~b": 1, c: 2 }, ["/a~0b"], { c: 2 }],
    ["~01 for a tilde and a one", { "~1": 1, "/": 2 }, ["/~01"], { "/": 2 }],
    ["an empty name", { "": 1, a: 2 }, ["/"], { a: 2 }],
    ["nothing for the empty pointer", { a: 1 }, [""], { a: 1 }],
    ["nothing from a plain value", "text", ["/0", "/length"], "text"],
    ["nothing from null", { a: null }, ["/a/b"], { a: null }],
    ["no inherited name", { a: 1 }, ["/constructor", "/toString"], { a: 1 }],
  ])("%s", (_name, value, pointers, rest) => expect(without(value, pointers)).toEqual(rest));

  test("is the value itself where nothing is left out", () => {
    const value = { a: { b: 1 } };
    expect(without(value, [])).toBe(value);
    const { a } = without({ ...value, note: 2 }, ["/note"]) as typeof value;
    expect(a).toBe(value.a);
  });

  test("leaves the value itself as it was", () => {
    const value = frozen({ a: { b: 1 }, list: [1] });
    without(value, ["/a/b", "/list/0"]);
    expect(value).toEqual({ a: { b: 1 }, list: [1] });
  });

  test("the order of the pointers doesn't matter", () => {
    const value = { list: ["a", "b", "c"] };
    expect(without(value, ["/list/0", "/list/1"])).toEqual({ list: ["c"] });
    expect(without(value, ["/list/0", "/list/1"])).toEqual(without(value, ["/list/1", "/list/0"]));
  });
});

describe("frozen", () => {
  test("freezes every level", () => {
    const value: { readonly [name: string]: Json } = frozen({ a: { b: [{ c: 1 }] } });
    const every = (item: Json): boolean =>
      typeof item !== "object" ||
      item === null ||
      (Object.isFrozen(item) && Object.values(item).every((inner) => every(inner as Json)));
    expect(every(value)).toBe(true);
  });

  test("freezes what is inside of something frozen", () => {
    const inner = { b: 1 };
    frozen(Object.freeze({ a: inner }));
    expect(Object.isFrozen(inner)).toBe(true);
  });

  test("gives back the same value", () => {
    const value = { a: 1 };
    expect(frozen(value)).toBe(value);
    expect([frozen("a"), frozen(null), frozen(1)]).toEqual(["a", null, 1]);
  });
});
