import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  type EffectContext,
  type Guard,
  NotPerformed,
  type Outcome,
  type Store,
} from "../../src/index.ts";
import { sqliteStore } from "../../src/stores/sqlite.ts";
import { testFile } from "./folder.ts";
import { errorOf, guardOn, stores } from "./in-process.ts";
import { deed, type Ledger, startLedger } from "./ledger.ts";
import { unreachable, watched } from "./store-wrappers.ts";

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

type Effect = (payload: unknown, ctx: EffectContext) => Promise<unknown>;

const pay: Effect = (_, ctx) => deed(ledger.url, "opaque", ctx);

function ask(
  guard: Guard,
  run: Effect = pay,
  more: { timeoutMs?: number; signal?: AbortSignal } = {},
) {
  return guard.execute({ requestId: caseId, action: "pay", payload: { cents: 500 }, run, ...more });
}

/** Asks again until the answer is as wanted, and lets other work go on meanwhile. */
async function askUntil(guard: Guard, isWanted: (outcome: Outcome<unknown>) => boolean) {
  for (;;) {
    const outcome = await ask(guard);
    if (isWanted(outcome)) return outcome;
    await new Promise(setImmediate);
  }
}

function receiptOf(outcome: Outcome<unknown>): string {
  if (outcome.status !== "settled") throw new Error(`Expected a receipt, got ${outcome.status}.`);
  return JSON.stringify(outcome.receipt);
}

/** An address where nobody listens. */
async function deadAddress(): Promise<string> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return `http://127.0.0.1:${port}`;
}

describe.each(stores)("on %s", (_name, makeStore) => {
  test("an effect that throws after it was done is in doubt, and not run again", async () => {
    const guard = guardOn(makeStore());
    const broken: Effect = async (payload, ctx) => {
      await pay(payload, ctx);
      throw new Error("socket hang up");
    };
    expect(await ask(guard, broken)).toMatchObject({ status: "in_doubt", effect: "unknown" });
    expect(await ask(guard)).toMatchObject({ status: "in_doubt", effect: "unknown" });
    expect(await ledger.effects(caseId)).toBe(1);
    expect((await guard.list({ states: ["IN_DOUBT"] })).items).toMatchObject([{ caseId }]);
  });

  test("an effect over its time is in doubt, and its late result settles it", async () => {
    const guard = guardOn(makeStore());
    const done = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<void>();
    const slow: Effect = async (payload, ctx) => {
      await pay(payload, ctx);
      done.resolve();
      await answer.promise;
      return "late, and true";
    };
    expect(await ask(guard, slow, { timeoutMs: 20 })).toMatchObject({ status: "in_doubt" });
    await done.promise;
    expect(await ask(guard)).toMatchObject({ status: "in_doubt" });
    answer.resolve();
    const settled = await askUntil(guard, ({ status }) => status !== "in_doubt");
    expect(settled).toMatchObject({ receipt: { source: "late", value: "late, and true" } });
    expect(await ledger.effects(caseId)).toBe(1);
  });

  test("NotPerformed: the next call runs", async () => {
    const guard = guardOn(makeStore());
    const busy: Effect = async () => {
      throw new NotPerformed("the provider is busy");
    };
    expect(await ask(guard, busy)).toMatchObject({ status: "not_performed", effect: "none" });
    expect(await ask(guard)).toMatchObject({ status: "settled", receipt: { fence: 2 } });
    expect(await ledger.effects(caseId)).toBe(1);
  });

  test("NotPerformed for good: void, whoever asks again", async () => {
    const guard = guardOn(makeStore());
    const declined: Effect = async () => {
      throw new NotPerformed("the card was declined", { final: true });
    };
    const first = await ask(guard, declined);
    expect(first).toMatchObject({
      status: "void",
      receipt: { effect: "none", reason: "not_performed" },
    });
    expect(await ask(guard)).toMatchObject({ status: "void", receipt: Object(first).receipt });
    expect(await ledger.effects(caseId)).toBe(0);
  });

  test("a refused connection was never made: not performed, and the next call runs", async () => {
    const guard = guardOn(makeStore());
    const url = await deadAddress();
    const first = await ask(guard, (_, ctx) => deed(url, "opaque", ctx));
    expect(first).toMatchObject({ status: "not_performed" });
    expect(await ask(guard)).toMatchObject({ status: "settled" });
    expect(await ledger.effects(caseId)).toBe(1);
  });

  test("given up before the start: nothing runs, and a later call does", async () => {
    const guard = guardOn(makeStore());
    expect(await ask(guard, pay, { signal: AbortSignal.abort() })).toMatchObject({
      effect: "none",
    });
    expect((await guard.list()).items).toEqual([]);
    expect(await ask(guard)).toMatchObject({ status: "settled" });
    expect(await ledger.effects(caseId)).toBe(1);
  });

  test("given up between claim and start: nothing runs, and a later call does", async () => {
    const controller = new AbortController();
    const store = watched(makeStore(), { afterClaim: () => controller.abort() });
    const guard = guardOn(store);
    const first = await ask(guard, pay, { signal: controller.signal });
    expect(first).toMatchObject({ status: "not_performed", effect: "none" });
    expect(await ledger.effects(caseId)).toBe(0);
    expect(await ask(guard)).toMatchObject({ status: "settled" });
    expect(await ledger.effects(caseId)).toBe(1);
  });

  test("given up after the start: only the wait ends, and the receipt is there", async () => {
    const guard = guardOn(makeStore());
    const controller = new AbortController();
    const giveUp: Effect = async (payload, ctx) => {
      const line = await pay(payload, ctx);
      controller.abort();
      return line;
    };
    await ask(guard, giveUp, { signal: controller.signal });
    expect(await ask(guard)).toMatchObject({ status: "settled" });
    expect(await ledger.effects(caseId)).toBe(1);
  });

  test.each([
    ["claim", () => ({ afterClaim: unreachable(1) })],
    ["settle", () => ({ afterSettle: unreachable(1) })],
    ["claim and settle", () => ({ afterClaim: unreachable(1), afterSettle: unreachable(1) })],
  ])("a lost acknowledgement of %s: one effect, the right answer", async (_step, faults) => {
    const guard = guardOn(watched(makeStore(), faults()));
    const first = await ask(guard);
    expect(first).toMatchObject({ status: "settled", recorded: true, replayed: false });
    expect(receiptOf(await ask(guard))).toBe(receiptOf(first));
    expect(JSON.stringify(await guard.receipt(caseId))).toBe(receiptOf(first));
    expect(await ledger.effects(caseId)).toBe(1);
  });

  test("a claim that landed in a store that can't be read then: nothing starts, later it works", async () => {
    const inner = makeStore();
    const unread = unreachable(1);
    let claimed = false;
    const store: Store = {
      ...watched(inner, {
        afterClaim() {
          if (claimed) return;
          claimed = true;
          unreachable(1)();
        },
      }),
      async read(ids) {
        if (claimed) unread();
        return inner.read(ids);
      },
    };
    const guard = guardOn(store);
    expect(await errorOf(ask(guard))).toMatchObject({ code: "store_unavailable", effect: "none" });
    expect(await ledger.effects(caseId)).toBe(0);
    expect(await ask(guard)).toMatchObject({ status: "settled" });
    expect(await ledger.effects(caseId)).toBe(1);
  });

  test("a store that fails before it writes the claim: nothing starts, later it works", async () => {
    const guard = guardOn(watched(makeStore(), { beforeClaim: unreachable(1) }));
    expect(await errorOf(ask(guard))).toMatchObject({ code: "store_unavailable", effect: "none" });
    expect((await guard.list()).items).toEqual([]);
    expect(await ledger.effects(caseId)).toBe(0);
    expect(await ask(guard)).toMatchObject({ status: "settled" });
    expect(await ledger.effects(caseId)).toBe(1);
  });

  test("a store that can't take the settle: it happened, unrecorded until the store is back", async () => {
    const guard = guardOn(watched(makeStore(), { beforeSettle: unreachable(3) }));
    const first = await ask(guard);
    expect(first).toMatchObject({ status: "settled", recorded: false });
    await askUntil(guard, (again) => {
      expect(receiptOf(again)).toBe(receiptOf(first));
      return again.status === "settled" && again.recorded;
    });
    expect(JSON.stringify(await guard.receipt(caseId))).toBe(receiptOf(first));
    expect(await ledger.effects(caseId)).toBe(1);
  });

  test("1,000 joiners of one key: one effect, identical receipts", async () => {
    const guard = guardOn(makeStore());
    const outcomes = await Promise.all(Array.from({ length: 1_000 }, () => ask(guard)));
    expect(new Set(outcomes.map(receiptOf))).toHaveLength(1);
    expect(outcomes.filter(({ status }) => status === "settled")).toHaveLength(1_000);
    expect(outcomes.filter((one) => one.status === "settled" && !one.replayed)).toHaveLength(1);
    expect(await ledger.effects(caseId)).toBe(1);
  });
});

test("closing waits for what is under way to be written", async () => {
  const path = testFile();
  const guard = guardOn(sqliteStore({ path }));
  const started = Promise.withResolvers<void>();
  const answer = Promise.withResolvers<void>();
  const running = ask(guard, async (payload, ctx) => {
    started.resolve();
    await answer.promise;
    return pay(payload, ctx);
  });
  await started.promise;
  const closed = guard.close();
  expect(await errorOf(ask(guard))).toMatchObject({ code: "store_unavailable", effect: "none" });
  answer.resolve();
  const outcome = await running;
  await closed;
  expect(outcome).toMatchObject({ status: "settled", recorded: true });
  expect(receiptOf(await ask(guardOn(path)))).toBe(receiptOf(outcome));
  expect(await ledger.effects(caseId)).toBe(1);
});
