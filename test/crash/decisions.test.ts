import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  approval,
  type EffectContext,
  type Guard,
  type Json,
  majority,
  type Policy,
} from "../../src/index.ts";
import { errorOf, guardOn, stores } from "./in-process.ts";
import { deed, type Ledger, startLedger } from "./ledger.ts";

let ledger: Ledger;
let count = 0;
let caseId = "";
beforeAll(async () => {
  ledger = await startLedger();
});
afterAll(() => ledger.stop());
beforeEach(() => {
  count += 1;
  caseId = `case ${count}`;
});

const action = "pay";
const payload = { to: "bob", cents: 500 };
const pay = (_: unknown, ctx: EffectContext) => deed(ledger.url, "opaque", ctx);
const outcomes = ["yes", "no"] as const;

function voted(guard: Guard) {
  return guard.case(caseId, {
    outcomes,
    policy: majority({ quorum: 3 }),
    allow: ["yes"],
    action,
    payload,
  });
}

const settle = (guard: Guard) =>
  voted(guard).settle({ requestId: caseId, action, payload, run: pay });

function propose(guard: Guard, policy: Policy, given: Json = payload, run: typeof pay = pay) {
  return guard.execute({ requestId: caseId, action, payload: given, actor: "agent", policy, run });
}

describe.each(stores)("on %s", (_name, makeStore) => {
  test("OPEN, RESOLVED_PROVISIONAL and IN_RECONCILIATION never execute; FINAL does, once", async () => {
    const guard = guardOn(makeStore());
    const handle = voted(guard);
    const steps = [
      ["OPEN", undefined],
      ["RESOLVED_PROVISIONAL", { source: "a", outcome: "yes" }],
      ["IN_RECONCILIATION", { source: "b", outcome: "no" }],
    ] as const;
    for (const [state, signal] of steps) {
      if (signal !== undefined) await handle.signal(signal);
      expect((await handle.get())?.state).toBe(state);
      expect(await settle(guard)).toMatchObject({ status: "pending", effect: "none" });
      const call = { requestId: caseId, action, payload, run: pay };
      expect(await guard.execute(call)).toMatchObject({ status: "pending", effect: "none" });
      expect(await ledger.effects(caseId)).toBe(0);
    }
    await handle.decide("yes", { by: "ann", reason: "it is right" });
    expect(await settle(guard)).toMatchObject({ status: "settled", receipt: { outcome: "yes" } });
    expect(await settle(guard)).toMatchObject({ status: "settled", replayed: true });
    expect(await ledger.effects(caseId)).toBe(1);
  });

  test("final on an outcome that doesn't permit it: void, nothing runs", async () => {
    const guard = guardOn(makeStore());
    for (const source of ["a", "b", "c"]) await voted(guard).signal({ source, outcome: "no" });
    expect(await settle(guard)).toMatchObject({ status: "void", receipt: { reason: "rejected" } });
    expect(await ledger.effects(caseId)).toBe(0);
  });

  test('decide("BANANA") is refused, and changes nothing', async () => {
    const guard = guardOn(makeStore());
    const handle = guard.case<string>(caseId, {
      outcomes,
      policy: majority({ quorum: 3 }),
      action,
      payload,
    });
    await handle.signal({ source: "a", outcome: "yes" });
    const before = await handle.get();
    const refused = await errorOf(handle.decide("BANANA", { by: "ann", reason: "why not" }));
    expect(refused).toMatchObject({ code: "invalid_request", effect: "none" });
    expect(await handle.get()).toEqual(before);
    expect(await settle(guard).catch(() => ({ status: "conflict" }))).not.toMatchObject({
      status: "settled",
    });
    expect(await ledger.effects(caseId)).toBe(0);
  });

  test("an approval: not by the proposer, once per person, for exactly what then runs", async () => {
    const guard = guardOn(makeStore());
    const policy = approval({ need: 2 });
    const ran: unknown[] = [];
    const run: typeof pay = (given, ctx) => {
      ran.push(given);
      return pay(given, ctx);
    };
    const mine: { to: string; cents: number } = { ...payload };
    expect(await propose(guard, policy, mine, run)).toMatchObject({ status: "pending" });
    // What was proposed is a copy: nothing that happens to the object later changes it.
    mine.cents = 1_000_000;
    expect(await errorOf(guard.approve(caseId, { actor: "agent" }))).toMatchObject({
      code: "forbidden",
    });
    expect(await guard.approve(caseId, { actor: "ann" })).toMatchObject({ state: "OPEN" });
    expect(await guard.approve(caseId, { actor: "ann" })).toMatchObject({ state: "OPEN" });
    expect(await propose(guard, policy, payload, run)).toMatchObject({ status: "pending" });
    const shown = { actor: "ben", fingerprint: "0".repeat(64) };
    expect(await errorOf(guard.approve(caseId, shown))).toMatchObject({ code: "payload_conflict" });
    expect(await ledger.effects(caseId)).toBe(0);
    expect(await guard.approve(caseId, { actor: "ben" })).toMatchObject({ state: "FINAL" });
    const swapped = await errorOf(propose(guard, policy, mine, run));
    expect(swapped).toMatchObject({ code: "payload_conflict" });
    expect(await propose(guard, policy, payload, run)).toMatchObject({ status: "settled" });
    expect(await propose(guard, policy, payload, run)).toMatchObject({ replayed: true });
    expect(ran).toEqual([payload]);
    expect(Object.isFrozen(ran[0])).toBe(true);
    expect(await ledger.effects(caseId)).toBe(1);
  });

  test("a denial ends it: void, also for those who approve later", async () => {
    const guard = guardOn(makeStore());
    const policy = approval({ need: 1, from: ["ann", "ben"] });
    await propose(guard, policy);
    expect(await errorOf(guard.approve(caseId, { actor: "eve" }))).toMatchObject({
      code: "forbidden",
    });
    expect(await errorOf(guard.deny(caseId, { actor: "eve" }))).toMatchObject({
      code: "forbidden",
    });
    expect(await guard.deny(caseId, { actor: "ann" })).toMatchObject({ state: "VOID" });
    expect(await errorOf(guard.approve(caseId, { actor: "ben" }))).toMatchObject({
      effect: "none",
    });
    expect(await propose(guard, policy)).toMatchObject({
      status: "void",
      receipt: { reason: "denied" },
    });
    expect(await ledger.effects(caseId)).toBe(0);
  });

  test("an approval that comes too late: void, nothing runs", async () => {
    let now = 1_000_000;
    const guard = guardOn(makeStore(), { clock: () => now });
    const policy = approval({ expiresIn: 1_000 });
    expect(await propose(guard, policy)).toMatchObject({ status: "pending" });
    now += 1_000;
    await guard.approve(caseId, { actor: "ann" }).catch(() => undefined);
    expect(await propose(guard, policy)).toMatchObject({
      status: "void",
      receipt: { reason: "expired" },
    });
    expect(await ledger.effects(caseId)).toBe(0);
  });

  test("nobody asks again: a sweep ends what waited too long for approval", async () => {
    let now = 1_000_000;
    const guard = guardOn(makeStore(), { clock: () => now });
    await propose(guard, approval({ expiresIn: 1_000 }));
    expect(await guard.reconcile()).toMatchObject({ expired: 0 });
    now += 1_000;
    expect(await guard.reconcile()).toMatchObject({ expired: 1 });
    expect(await guard.receipt(caseId)).toMatchObject({ effect: "none", reason: "expired" });
    expect(await ledger.effects(caseId)).toBe(0);
  });
});
