import { expect, test } from "vitest";
import type { Intent } from "../../src/core/case.ts";
import type { OnceReceipt } from "../../src/core/receipt.ts";
import { admit } from "../../src/guard/ask.ts";
import { createFinishedCases } from "../../src/guard/finished.ts";
import { counted, world } from "./world.ts";

const entrance = { namespace: "default", actor: "agent", waitMs: 0, transactions: false };
const run = () => 1;
const askOf = (requestId: string, payload: unknown = null, ignore?: readonly string[]) =>
  admit({ requestId, action: "pay", payload, run, ...(ignore && { ignore }) }, entrance);
const intent = { action: "pay", fingerprint: "f" } as Intent;
const receipt = (value: unknown = null) => ({ effect: "once", caseId: "c", value }) as OnceReceipt;

test("finds what was kept, by its request", () => {
  const finished = createFinishedCases(10);
  const kept = receipt();
  expect(finished.find("r1")).toBeUndefined();
  finished.keep(askOf("r1", { b: 1, a: 2 }), intent, kept);
  expect(finished.find("r1")).toEqual({
    action: "pay",
    fingerprint: "f",
    payloadText: '{"a":2,"b":1}',
    receipt: kept,
  });
  expect(finished.find("r1")?.receipt).toBe(kept);
  expect(finished.find("r2")).toBeUndefined();
});

test("where fields don't count there is no text to compare", () => {
  const finished = createFinishedCases(10);
  finished.keep(askOf("r1", { note: "x" }, ["/note"]), intent, receipt());
  expect(finished.find("r1")?.payloadText).toBeNull();
});

test("never holds more than its capacity, and lets go what was not asked for first", () => {
  const capacity = 8;
  const finished = createFinishedCases(capacity);
  for (let at = 0; at < 40; at += 1) {
    finished.keep(askOf(`r${at}`), intent, receipt());
    // Asked for all the time, so it stays.
    expect(finished.find("r0")).toBeDefined();
  }
  const left = Array.from({ length: 40 }, (_, at) => `r${at}`).filter((id) => finished.find(id));
  expect(left.length).toBeLessThanOrEqual(capacity);
  expect(left).toContain("r39");
  expect(left).toContain("r0");
  expect(left).not.toContain("r1");
});

test("leaves long payloads and long values to the store", () => {
  const finished = createFinishedCases(10);
  finished.keep(askOf("r1", "x".repeat(16_382)), intent, receipt("x".repeat(16_384)));
  expect(finished.find("r1")).toBeDefined();
  finished.keep(askOf("r2", "x".repeat(16_383)), intent, receipt());
  finished.keep(askOf("r3"), intent, receipt("x".repeat(16_385)));
  finished.keep(askOf("r4"), intent, receipt(["x".repeat(16_384)]));
  for (const id of ["r2", "r3", "r4"]) expect(finished.find(id)).toBeUndefined();
});

test("forgets everything, what was asked for lately and what was not", () => {
  const finished = createFinishedCases(6);
  const ids = ["r1", "r2", "r3", "r4"];
  for (const id of ids) finished.keep(askOf(id), intent, receipt());
  finished.forget();
  expect(ids.filter((id) => finished.find(id))).toEqual([]);
});

test("a repeat in the same process needs no store", async () => {
  const { store, another } = world();
  let asked = 0;
  const read: typeof store.read = (ids) => {
    asked += 1;
    return store.read(ids);
  };
  const guard = another({ store: { ...store, read } });
  const effect = counted(() => "done");
  const call = { requestId: "r1", action: "pay", payload: { a: 1 }, run: effect.run };
  await guard.execute(call);
  const before = asked;
  expect(await guard.execute(call)).toMatchObject({ status: "settled", replayed: true });
  expect(asked).toBe(before);
  // A case that ended elsewhere is remembered too, once it was read.
  const other = another({ store: { ...store, read } });
  await other.execute(call);
  const after = asked;
  expect(after).toBeGreaterThan(before);
  expect(await other.execute(call)).toMatchObject({ status: "settled", replayed: true });
  expect(asked).toBe(after);
  expect(effect.starts).toHaveLength(1);
});

test("a doubt is never remembered: it may be cleared by others", async () => {
  const { guard, another } = world();
  const run = () => {
    throw new Error("reset");
  };
  const call = { requestId: "r1", action: "pay", payload: 1, run };
  expect((await guard.execute(call)).status).toBe("in_doubt");
  await another().resolve("r1", { happened: true }, { by: "ana", evidence: "seen" });
  expect((await guard.execute(call)).status).toBe("settled");
});
