import { describe, expect, test } from "vitest";
import { byCodeUnit, canonicalJson, type Json, type JsonProblem } from "../../src/core/json.ts";
import { limits } from "../../src/core/limits.ts";

/** The text of a value that must have one. */
function textOf(value: unknown, charsMax?: number): string {
  const canonical = canonicalJson(value, charsMax);
  if (!canonical.ok) throw new Error(`${canonical.problem} at ${canonical.path}`);
  return canonical.text;
}

const refused = (path: string, problem: JsonProblem) => ({ ok: false, path, problem });

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
/** A function dressed as the top of all objects. */
const likeTop = Object.setPrototypeOf(
  Object.assign(() => 1, { isPrototypeOf: () => true }),
  null,
);
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
    [
      "an object with nothing to inherit but a blank",
      Object.create(Object.create(null)),
      "",
      "not_json",
    ],
    [
      "an object that inherits the mark of a plain one",
      { a: Object.create({ isPrototypeOf: () => true }) },
      "/a",
      "not_json",
    ],
    ["an object that inherits from a function", { a: Object.create(likeTop) }, "/a", "not_json"],
    ["a list that inherits nothing", { a: Object.setPrototypeOf([1], null) }, "/a", "not_json"],
    ["a list that inherits from another", { a: Object.setPrototypeOf([1], [2]) }, "/a", "not_json"],
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

  test("a cycle as wide as it is deep ends", () => {
    const list: unknown[] = [];
    for (let index = 0; index < 100; index += 1) list.push(list);
    expect(canonicalJson(list)).toMatchObject({ ok: false });
  });

  test("the prototype of everything is left alone", () => {
    canonicalJson(
      JSON.parse('{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}'),
    );
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });
});

describe("members are in order, however many and whatever their names", () => {
  const letters = [..."qwertyuiopasdfghjklzxcvbnm"];
  const membersOf = (names: readonly string[]) =>
    Object.fromEntries(names.map((name) => [name, 1]));
  const inOrder = (names: readonly string[]) =>
    `{${names.map((name) => `${JSON.stringify(name)}:1`).join(",")}}`;

  test.each([0, 1, 2, 15, 16, 17, 26])("%i of them", (count) => {
    const names = letters.slice(0, count);
    expect(textOf(membersOf(names))).toBe(inOrder([...names].sort()));
    expect(textOf(membersOf([...names].reverse()))).toBe(inOrder([...names].sort()));
  });

  // An engine lists these before all others, and by value.
  test.each([
    ["0", { "0": 1, "!": 2 }, '{"!":2,"0":1}'],
    ["9", { "9": 1, "!": 2 }, '{"!":2,"9":1}'],
    ["10 and 9", { "9": 1, "10": 2 }, '{"10":2,"9":1}'],
    [
      "1, beside every kind of value",
      { "1": [true, { b: null, a: ["x", 1] }], "!": null },
      '{"!":null,"1":[true,{"a":["x",1],"b":null}]}',
    ],
  ])("the name %s", (_name, value, text) => expect(textOf(value)).toBe(text));

  test.each([
    ["a", "b", -1],
    ["b", "a", 1],
    ["a", "a", 0],
    ["\ufb33", "\u{1f600}", 1],
  ])("%j against %j by code units", (left, right, order) => {
    expect(byCodeUnit(left, right)).toBe(order);
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

  // The path tells when: that of a text, or none where the whole had to be written first.
  const long = "x".repeat(10);
  test.each<[string, Json, charsMax: number, path: string]>([
    ["at the text that is too much by itself", [1, long], 12, "/1"],
    ["at the name that is too much by itself", { a: { [long]: 1 } }, 14, `/a/${long}`],
    ["at the second text", [long, long], 23, "/1"],
    ["not before it is certain", [long, long], 24, ""],
    ["after numbers, each at least one character", [...Array<Json>(20).fill(1), long], 31, "/20"],
    ["and not sooner", [...Array<Json>(20).fill(1), long], 32, ""],
    ["after true and false, each at least four", [true, false, true, long], 23, "/3"],
    ["and not sooner than that", [true, false, true, long], 24, ""],
    ["when it is written, where only signs are too many", [[], [], []], 9, ""],
  ])("what can't be short enough is refused %s", (_name, value, charsMax, path) => {
    expect(canonicalJson(value, charsMax)).toEqual(refused(path, "too_large"));
  });

  test("more elements or members than a payload may have are refused before one is read", () => {
    const count = limits.jsonNodes + 1;
    expect(canonicalJson({ a: Array(count).fill(0) })).toEqual(refused("/a", "too_many"));
    const members = (count: number) =>
      Object.fromEntries([...Array(count).keys()].map((index) => [`k${index}`, 0]));
    expect(canonicalJson({ a: members(count) })).toEqual(refused("/a", "too_many"));
    // So many could be, but for the object itself and the one around it.
    expect(canonicalJson({ a: members(count - 1) })).toEqual(refused("/a/k9998", "too_many"));
  });
});
