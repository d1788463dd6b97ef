import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type GuardErrorCode, isGuardError } from "../../src/index.ts";
import { errorOf, guardOn, stores } from "./in-process.ts";
import { deed, type Ledger, startLedger } from "./ledger.ts";

let ledger: Ledger;
beforeAll(async () => {
  ledger = await startLedger();
});
afterAll(() => ledger.stop());

function nested(levels: number): unknown {
  let value: unknown = 1;
  for (let level = 0; level < levels; level += 1) value = { a: value };
  return value;
}

function circle(): unknown {
  const value: { a?: unknown } = {};
  value.a = value;
  return value;
}

class Money {
  cents = 1;
}

/** What is sent, the code of its refusal, and the path that must be named; none where the payload itself is at fault. */
const hostile: readonly (readonly [
  name: string,
  payload: unknown,
  code: GuardErrorCode,
  path?: string,
])[] = [
  ["undefined", undefined, "invalid_request"],
  ["an undefined member", { a: { b: undefined } }, "invalid_request", "/a/b"],
  ["an undefined element", { a: [1, undefined] }, "invalid_request", "/a/1"],
  // biome-ignore lint/suspicious/noSparseArray: that is what is sent.
  ["a hole in an array", { a: [1, , 3] }, "invalid_request", "/a/1"],
  ["NaN", { a: Number.NaN }, "invalid_request", "/a"],
  ["Infinity", { a: Number.POSITIVE_INFINITY }, "invalid_request", "/a"],
  ["-Infinity", { a: [Number.NEGATIVE_INFINITY] }, "invalid_request", "/a/0"],
  ["a BigInt", { a: 1n }, "invalid_request", "/a"],
  ["a Date", { a: new Date(0) }, "invalid_request", "/a"],
  ["a Map", { a: new Map([["b", 1]]) }, "invalid_request", "/a"],
  ["a Set", { a: new Set([1]) }, "invalid_request", "/a"],
  ["a class's object", { a: new Money() }, "invalid_request", "/a"],
  ["a boxed number", { a: Object(1) }, "invalid_request", "/a"],
  ["bytes", { a: new Uint8Array(2) }, "invalid_request", "/a"],
  ["a function", { a: () => 1 }, "invalid_request", "/a"],
  ["a symbol", { a: Symbol("b") }, "invalid_request", "/a"],
  ["a promise", { a: Promise.resolve(1) }, "invalid_request", "/a"],
  ["an unsafe integer", { a: 2 ** 53 }, "invalid_request", "/a"],
  ["an unsafe negative integer", { a: -(2 ** 53) }, "invalid_request", "/a"],
  ["1e308 as a whole number", { a: 1e308 }, "invalid_request", "/a"],
  ["a lone surrogate", { a: "x\ud800" }, "invalid_request", "/a"],
  ["a lone surrogate in a name", { "\udc00": 1 }, "invalid_request", "/\ufffd"],
  [
    "a member named __proto__",
    JSON.parse('{"a":{"__proto__":{"b":1}}}'),
    "invalid_request",
    "/a/__proto__",
  ],
  ["65 levels", nested(65), "over_limit", "/a".repeat(64)],
  ["20,000 levels", nested(20_000), "over_limit", "/a".repeat(64)],
  ["a circle", circle(), "over_limit", "/a".repeat(64)],
  ["10,001 elements", { a: Array.from({ length: 10_001 }, () => 0) }, "over_limit", "/a"],
  ["a long text", { a: "x".repeat(262_145) }, "over_limit", "/a"],
  ["100 MB", { a: "x".repeat(100_000_000) }, "over_limit", "/a"],
  [
    "100 MB in many texts",
    { a: Array.from({ length: 100 }, () => "x".repeat(1_000_000)) },
    "over_limit",
    "/a/0",
  ],
];

describe.each(stores)("on %s", (_name, makeStore) => {
  test("no hostile payload is stored or run: each is refused with its path", async () => {
    const guard = guardOn(makeStore());
    const said = await Promise.all(
      hostile.map(async ([name, payload, code, path]) => {
        const requestId = `hostile: ${name}`;
        const run = (_: unknown, ctx: { caseId: string; idempotencyKey: string }) =>
          deed(ledger.url, "opaque", ctx);
        const error = await errorOf(guard.execute({ requestId, action: "pay", payload, run }));
        const place =
          path === undefined ? "The payload is" : `The payload at ${JSON.stringify(path)}`;
        const isRight = isGuardError(error, code) && error.message.includes(place);
        return isRight && error.effect === "none" ? "refused" : `${name}: ${String(error)}`;
      }),
    );
    expect(said).toEqual(hostile.map(() => "refused"));
    expect((await guard.list()).items).toEqual([]);
    expect(await ledger.book()).toEqual({});
  });

  // What a program can build and JSON can't tell from plain data: refused, or taken once and never looked at again.
  test.each([
    ["a getter that changes its mind", () => changingGetter()],
    ["a getter that throws", () => throwingGetter()],
    ["a Proxy that changes its mind", () => new Proxy({ cents: 1 }, { get: counting() })],
    ["a Proxy that throws", () => new Proxy({ cents: 1 }, { get: thrower })],
    ["a Proxy that throws at its keys", () => new Proxy({ cents: 1 }, { ownKeys: thrower })],
    ["a revoked Proxy", () => revoked()],
    ["a toJSON that lies", () => ({ cents: 1, toJSON: () => ({ cents: 1_000_000 }) })],
  ])("%s is never run as something else than was stored", async (name, make) => {
    const guard = guardOn(makeStore());
    const requestId = `lying: ${name}`;
    const ran: unknown[] = [];
    const call = {
      requestId,
      action: "pay",
      payload: make(),
      run: (payload: unknown) => void ran.push(structuredClone(payload)),
    };
    const outcome = await guard.execute(call).catch((error: unknown) => error);
    const kept = (await guard.list()).items.map((kase) => "intent" in kase && kase.intent?.payload);
    expect(ran).toEqual(kept);
    if (isGuardError(outcome)) expect([outcome.effect, ran]).toEqual(["none", []]);
    else expect(outcome).toMatchObject({ status: "settled" });
  });
});

function counting() {
  let reads = 0;
  return () => (reads += 1);
}

function changingGetter() {
  const read = counting();
  return Object.defineProperty({}, "cents", { enumerable: true, get: read });
}

function thrower(): never {
  throw new Error("not for you");
}

function throwingGetter() {
  return Object.defineProperty({}, "cents", { enumerable: true, get: thrower });
}

function revoked(): unknown {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return { a: proxy };
}
