import { describe, expect, test } from "vitest";
import { canonicalJson, type Json } from "../../src/core/json.ts";

/** Says one thing first and another ever after. */
const lying = (first: unknown, later: unknown) => {
  let asked = 0;
  return Object.defineProperty({}, "a", {
    enumerable: true,
    get: () => {
      asked += 1;
      return asked === 1 ? first : later;
    },
  });
};

const fail = () => {
  throw new Error("no");
};
const proxied = (traps: ProxyHandler<object>) => new Proxy({ a: 1 }, traps);
const revoked = () => {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return { a: proxy };
};

const deep = (levels: number): Json => {
  let value: Json = 1;
  for (let level = 0; level < levels; level += 1) value = [value];
  return value;
};

type Make = readonly [name: string, make: () => unknown];

/** It is refused, or the text it gets is that of one value that passes by itself. */
function isHonest(_name: string, make: () => unknown): void {
  const canonical = canonicalJson(make());
  if (!canonical.ok) return;
  const value: unknown = JSON.parse(canonical.text);
  expect(canonicalJson(value)).toEqual(canonical);
}

const isRefused = (_name: string, make: () => unknown): void => {
  expect(canonicalJson(make())).toMatchObject({ ok: false, problem: "not_json" });
};

describe("an object that lies is refused, or has the text of one honest reading", () => {
  const held: readonly Make[] = [
    ["a getter that turns to undefined", () => lying(1, undefined)],
    ["a getter that turns to NaN", () => lying(1, Number.NaN)],
    ["a getter that turns to a Date", () => lying(1, new Date(0))],
    ["a getter that turns long", () => lying(1, "x".repeat(1_000_000))],
    ["a proxy that says nothing but the truth", () => proxied({})],
    ["a getter that turns to a BigInt", () => lying(1, 1n)],
    ["a getter that turns to undefined, out of order", () => ({ z: 1, y: lying(1, undefined) })],
    ["a getter that turns deep", () => lying(1, deep(5_000))],
    ["a getter that turns deep, out of order", () => ({ z: 1, y: lying(1, deep(20_000)) })],
    ["a getter that turns to a forbidden name", () => lying(1, JSON.parse('{"__proto__":1}'))],
  ];
  test.each(held)("%s", isHonest);
});

describe("an object that fails when it is read is refused", () => {
  const failing: readonly Make[] = [
    ["a getter that throws", () => Object.defineProperty({}, "a", { enumerable: true, get: fail })],
    ["a proxy whose members throw", () => proxied({ get: fail })],
    ["a proxy whose names throw", () => proxied({ ownKeys: fail })],
    ["a proxy whose prototype throws", () => proxied({ getPrototypeOf: fail })],
    ["a proxy that is revoked", revoked],
  ];
  test.each(failing)("%s", isRefused);
});

describe("nothing of a value is lost without a word", () => {
  test("an object with a toJSON method is refused", () => {
    isRefused("", () => ({ a: 1, toJSON: () => "lie" }));
  });

  class Cents extends Array<number> {}
  const hidden = { value: () => "lie" };
  const losing: readonly Make[] = [
    ["a toJSON method that isn't listed", () => Object.defineProperty({ a: 1 }, "toJSON", hidden)],
    ["a list with a toJSON method", () => Object.assign([1], { toJSON: () => "lie" })],
    ["a list with a name beside its elements", () => Object.assign([1], { note: 2 })],
    ["a list of a class of its own", () => new Cents(1, 2)],
    ["a member whose name is a symbol", () => ({ a: 1, [Symbol("b")]: 2 })],
    ["a member that isn't listed", () => Object.defineProperty({ a: 1 }, "b", { value: 2 })],
  ];
  test.each(losing)("%s is refused", isRefused);
});
