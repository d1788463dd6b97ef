import { isDeepStrictEqual } from "node:util";
import canonicalize from "canonicalize";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { canonicalJson, type Json, type JsonProblem } from "../../src/core/json.ts";

/** The text of a value that must have one. */
function textOf(value: unknown, charsMax?: number): string {
  const canonical = canonicalJson(value, charsMax);
  if (!canonical.ok) throw new Error(`${canonical.problem} at ${canonical.path}`);
  return canonical.text;
}

const refused = (path: string, problem: JsonProblem) => ({ ok: false, path, problem });

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

describe("the examples of RFC 8785", () => {
  test("3.2.2 and 3.2.4: numbers, strings and literals", () => {
    const value = {
      numbers: [JSON.parse("333333333.33333329"), 4.5, 2e-3, 0.000000000000000000000000001],
      string: "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"/",
      literals: [null, true, false],
    };
    expect(textOf(value)).toBe(
      '{"literals":[null,true,false],"numbers":[333333333.3333333,4.5,0.002,1e-27],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
    );
  });

  test("3.2.3: members by UTF-16 code units", () => {
    const value = {
      "\u20ac": "Euro Sign",
      "\r": "Carriage Return",
      "\ufb33": "Hebrew Letter Dalet With Dagesh",
      "1": "One",
      "\u{1f600}": "Emoji: Grinning Face",
      "\u0080": "Control",
      "\u00f6": "Latin Small Letter O With Diaeresis",
    };
    expect(Object.values(JSON.parse(textOf(value)))).toHaveLength(7);
    expect(textOf(value)).toBe(
      '{"\\r":"Carriage Return","1":"One","\u0080":"Control","ö":"Latin Small Letter O With Diaeresis","€":"Euro Sign","😀":"Emoji: Grinning Face","\ufb33":"Hebrew Letter Dalet With Dagesh"}',
    );
  });

  // Appendix B, by the bits of the number. Those that JSON text can't say exactly are refused by I-JSON.
  test.each([
    ["0000000000000000", "0"],
    ["8000000000000000", "0"],
    ["0000000000000001", "5e-324"],
    ["8000000000000001", "-5e-324"],
    ["3eb0c6f7a0b5ed8c", "9.999999999999997e-7"],
    ["3eb0c6f7a0b5ed8d", "0.000001"],
    ["41b3de4355555553", "333333333.3333332"],
    ["41b3de4355555554", "333333333.33333325"],
    ["41b3de4355555555", "333333333.3333333"],
    ["41b3de4355555556", "333333333.3333334"],
    ["41b3de4355555557", "333333333.33333343"],
    ["becbf647612f3696", "-0.0000033333333333333333"],
    ["7fefffffffffffff", "unsafe_integer"],
    ["ffefffffffffffff", "unsafe_integer"],
    ["4340000000000000", "unsafe_integer"],
    ["c340000000000000", "unsafe_integer"],
    ["4430000000000000", "unsafe_integer"],
    ["44b52d02c7e14af5", "unsafe_integer"],
    ["44b52d02c7e14af6", "unsafe_integer"],
    ["44b52d02c7e14af7", "unsafe_integer"],
    ["444b1ae4d6e2ef4e", "unsafe_integer"],
    ["444b1ae4d6e2ef4f", "unsafe_integer"],
    ["444b1ae4d6e2ef50", "unsafe_integer"],
    ["7fffffffffffffff", "not_finite"],
    ["7ff0000000000000", "not_finite"],
  ])("appendix B: %s is %s", (bits, text) => {
    const value = new DataView(new BigUint64Array([BigInt(`0x${bits}`)]).buffer).getFloat64(
      0,
      true,
    );
    const canonical = canonicalJson(value);
    expect(canonical.ok ? canonical.text : canonical.problem).toBe(text);
  });
});

class Money {
  cents = 1;
}
const cycle: { self?: unknown } = {};
cycle.self = cycle;
const sparse: number[] = [1];
sparse[2] = 3;
const deep = (levels: number): Json => {
  let value: Json = 1;
  for (let level = 0; level < levels; level += 1) value = level % 2 === 0 ? [value] : { a: value };
  return value;
};

describe("what JSON can't say is refused, with its path", () => {
  test.each<[string, unknown, string, JsonProblem]>([
    ["undefined", undefined, "", "not_json"],
    ["a member that is undefined", { a: { b: undefined } }, "/a/b", "not_json"],
    ["an element that is undefined", [1, undefined], "/1", "not_json"],
    ["NaN", { a: [Number.NaN] }, "/a/0", "not_finite"],
    ["Infinity", { a: Number.POSITIVE_INFINITY }, "/a", "not_finite"],
    ["-Infinity", { a: Number.NEGATIVE_INFINITY }, "/a", "not_finite"],
    ["1e400", JSON.parse('{"a":1e400}'), "/a", "not_finite"],
    ["2^53", { a: 2 ** 53 }, "/a", "unsafe_integer"],
    ["-2^53", { a: -(2 ** 53) }, "/a", "unsafe_integer"],
    ["1e21", { a: 1e21 }, "/a", "unsafe_integer"],
    ["a BigInt", { a: 1n }, "/a", "not_json"],
    ["a Date", { when: new Date(0) }, "/when", "not_json"],
    ["a Map", { a: new Map() }, "/a", "not_json"],
    ["a Set", [new Set()], "/0", "not_json"],
    ["bytes", { a: new Uint8Array(1) }, "/a", "not_json"],
    ["a class's instance", { price: new Money() }, "/price", "not_json"],
    ["a boxed string", { a: Object("a") }, "/a", "not_json"],
    ["an error", { a: new Error("a") }, "/a", "not_json"],
    ["a promise", { a: Promise.resolve(1) }, "/a", "not_json"],
    ["a regular expression", { a: /a/ }, "/a", "not_json"],
    ["an object with members to inherit", { a: Object.create({ b: 1 }) }, "/a", "not_json"],
    ["a function", { a: () => 1 }, "/a", "not_json"],
    ["a symbol", { a: Symbol("a") }, "/a", "not_json"],
    ["a sparse array", { a: sparse }, "/a/1", "not_json"],
    ["a toJSON method", { a: { toJSON: () => 1 } }, "/a/toJSON", "not_json"],
    ["a lone surrogate", { a: "x\ud800" }, "/a", "lone_surrogate"],
    ["a lone low surrogate", ["\udc00x"], "/0", "lone_surrogate"],
    ["a lone surrogate in a name", { "a\ud800": 1 }, "/a\ufffd", "lone_surrogate"],
    ["a __proto__ member", JSON.parse('{"a":{"__proto__":1}}'), "/a/__proto__", "forbidden_key"],
    ["a name that a path must escape", { "a/b~c": { d: Number.NaN } }, "/a~1b~0c/d", "not_finite"],
  ])("%s", (_name, value, path, problem) => {
    expect(canonicalJson(value)).toEqual(refused(path, problem));
  });

  test("a cycle, after as many levels as a value may have", () => {
    expect(canonicalJson(cycle)).toEqual(refused("/self".repeat(64), "too_deep"));
  });

  test("a cycle of lists", () => {
    const list: unknown[] = [];
    list.push(1, list);
    expect(canonicalJson(list)).toEqual(refused("/1".repeat(64), "too_deep"));
  });

  test("20,000 levels, without a stack overflow", () => {
    expect(canonicalJson(deep(20_000))).toMatchObject({ ok: false, problem: "too_deep" });
  });

  test("a million elements", () => {
    expect(canonicalJson({ a: Array(1_000_000).fill(0) })).toEqual(refused("/a", "too_many"));
  });

  test("a million members", () => {
    const value = Object.fromEntries([...Array(1_000_000).keys()].map((index) => [`k${index}`, 0]));
    expect(canonicalJson({ a: value })).toEqual(refused("/a", "too_many"));
  });

  test("a cycle as wide as it is deep ends", () => {
    const list: unknown[] = [];
    for (let index = 0; index < 100; index += 1) list.push(list);
    expect(canonicalJson(list)).toMatchObject({ ok: false });
  });

  test("a text of 100 MB", () => {
    expect(canonicalJson({ a: "x".repeat(100_000_000) })).toEqual(refused("/a", "too_large"));
  });

  test("a name of 10 MB, with the whole of it as its path", () => {
    const name = "x".repeat(10_000_000);
    const canonical = canonicalJson({ [name]: 1 });
    expect(canonical).toMatchObject({ ok: false, problem: "too_large" });
    expect(!canonical.ok && canonical.path === `/${name}`).toBe(true);
  });

  test("the prototype of everything is left alone", () => {
    canonicalJson(
      JSON.parse('{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}'),
    );
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });
});

describe("the bounds are exact", () => {
  test("64 levels pass, 65 don't", () => {
    expect(canonicalJson(deep(64)).ok).toBe(true);
    expect(canonicalJson(deep(65))).toMatchObject({ ok: false, problem: "too_deep" });
  });

  test("10,000 values pass, itself included, 10,001 don't", () => {
    expect(canonicalJson(Array(9_999).fill(0)).ok).toBe(true);
    expect(canonicalJson(Array(10_000).fill(0))).toEqual(refused("/9999", "too_many"));
  });

  test.each([
    ["a text", "x".repeat(98)],
    ["a text that grows when it is written", '"'.repeat(49)],
    ["numbers", [...Array(48).fill(1), 10]],
    ["names out of order", { b: "x".repeat(45), a: "x".repeat(40) }],
  ])("as many characters as allowed pass, one less doesn't: %s", (_name, value) => {
    const { length } = textOf(value);
    expect(length).toBe(100);
    expect(canonicalJson(value, 100).ok).toBe(true);
    expect(canonicalJson(value, 99)).toMatchObject({ ok: false, problem: "too_large" });
  });
});
