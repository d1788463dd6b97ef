import { isDeepStrictEqual } from "node:util";
import canonicalize from "canonicalize";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { canonicalJson, type Json } from "../../src/core/json.ts";

/** The text of a value that must have one. */
function textOf(value: unknown): string {
  const canonical = canonicalJson(value);
  if (!canonical.ok) throw new Error(`${canonical.problem} at ${canonical.path}`);
  return canonical.text;
}

// Names that engines list first, names that sort otherwise by locale or by code point, and plain ones.
const names = fc.oneof(
  fc.constantFrom(
    "1",
    "10",
    "2",
    "01",
    "-1",
    "1.5",
    "4294967295",
    "a",
    "B",
    "aa",
    "é",
    "€",
    "\ufb33",
    "😀",
    "\r",
    "",
    "constructor",
    "toString",
    "length",
  ),
  fc.string({ unit: "binary", maxLength: 4 }),
);
const wellFormed = fc.string({ unit: "binary", maxLength: 8 });
const numbers = fc.oneof(
  fc.integer(),
  fc.maxSafeInteger(),
  fc
    .double({ noNaN: true, noDefaultInfinity: true })
    .filter((n) => !Number.isInteger(n) || Number.isSafeInteger(n)),
  fc.constantFrom(0, -0, 1e-7, 1e-6, 5e-324, 0.1, -1.5e-9, 9_007_199_254_740_991),
);
const { json } = fc.letrec<{
  json: Json;
  object: { readonly [name: string]: Json };
  array: readonly Json[];
}>((tie) => ({
  json: fc.oneof(
    { maxDepth: 4, depthIdentifier: "json" },
    fc.oneof(numbers, wellFormed, fc.boolean(), fc.constant(null)),
    tie("object"),
    tie("array"),
  ),
  object: fc
    .array(
      fc.tuple(
        names.filter((name) => name !== "__proto__"),
        tie("json"),
      ),
      { maxLength: 5, depthIdentifier: "json" },
    )
    .map((members) => Object.fromEntries(members)),
  array: fc.array(tie("json"), { maxLength: 4, depthIdentifier: "json" }),
}));

describe("20,000 values have the text of RFC 8785", () => {
  test("the same as canonicalize's", () => {
    const property = fc.property(json, (value) => {
      expect(textOf(value)).toBe(canonicalize(value));
    });
    fc.assert(property, { numRuns: 20_000 });
  });
});

describe("20,000 pairs have one text exactly where they are one value", () => {
  test("members in another order are the same; anything else is not", () => {
    const met = { same: 0, different: 0 };
    const pair = fc.oneof(
      fc.tuple(json, json),
      json.map((value) => [value, shuffled(value)] as const),
      fc.tuple(json, fc.nat()).map(([value, seed]) => [value, nudged(value, seed)] as const),
    );
    const property = fc.property(pair, ([left, right]) => {
      const same = isDeepStrictEqual(plain(left), plain(right));
      met[same ? "same" : "different"] += 1;
      expect(textOf(left) === textOf(right)).toBe(same);
    });
    fc.assert(property, { numRuns: 20_000 });
    expect(Math.min(...Object.values(met))).toBeGreaterThan(1_000);
  });

  test("what a text says is the value it was made of", () => {
    const property = fc.property(json, (value) => {
      expect(isDeepStrictEqual(JSON.parse(textOf(value)), plain(value))).toBe(true);
    });
    fc.assert(property, { numRuns: 2_000 });
  });
});

/** Without -0, which JSON has only one of, by the way of RFC 8785. */
function plain(value: Json): Json {
  if (value === 0) return 0;
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(plain);
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, plain(item)]));
}

function shuffled(value: Json): Json {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(shuffled);
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([name, item]) => [name, shuffled(item)]),
  );
}

/** A value that differs in one place, chosen by a number. */
function nudged(value: Json, seed: number): Json {
  if (typeof value === "string") return seed % 2 === 0 ? `${value}\u0301` : value.normalize("NFD");
  if (typeof value === "number") return seed % 2 === 0 ? -value : String(value);
  if (typeof value === "boolean") return !value;
  if (value === null) return seed % 2 === 0 ? "" : {};
  const entries = Object.entries(value);
  const [name, item] = entries[seed % Math.max(1, entries.length)] ?? ["added", null];
  if (Array.isArray(value))
    return value.length === 0 ? [null] : value.toSpliced(Number(name), 1, nudged(item, seed >> 1));
  if (seed % 3 === 0) return Object.fromEntries(entries.filter(([own]) => own !== name));
  return { ...value, [name]: nudged(item, seed >> 1) };
}
