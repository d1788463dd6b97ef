import { inspect } from "node:util";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  type EffectContext,
  type Guard,
  isGuardError,
  majority,
  NotPerformed,
  type Store,
} from "../../src/index.ts";
import { sqliteStore } from "../../src/stores/sqlite.ts";
import { startCaller } from "./caller.ts";
import { testFile } from "./folder.ts";
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
const payload = { note: "CANARY of the payload", cents: 500 };
const other = { note: "CANARY of the other payload", cents: 999 };
const canary = /CANARY|999/;

async function pay(_: unknown, ctx: EffectContext) {
  await deed(ledger.url, "opaque", ctx);
  return { note: "CANARY of the value" };
}

type Asked = {
  payload?: unknown;
  action?: string;
  run?: typeof pay;
  requestId?: string;
  caseId?: string;
};

const ask = (guard: Guard, asked: Asked = {}) =>
  guard.execute({ requestId: caseId, action, payload, run: pay, ...asked });

/** Refused for another payload and for another action, with nothing in it that anybody sent. */
async function expectConflict(guard: Guard, asked: Asked = {}): Promise<void> {
  for (const wrong of [{ payload: other }, { action: "CANARY of an action" }, { payload: {} }]) {
    const error = await errorOf(ask(guard, { ...asked, ...wrong }));
    expect(isGuardError(error, "payload_conflict")).toBe(true);
    expect(error).toMatchObject({ effect: "none" });
    const said = `${JSON.stringify(error)} ${inspect(error, { depth: 20, showHidden: true })} ${String(error)}`;
    expect(said).not.toMatch(canary);
  }
}

/** A case with votes, as far as it is given any. */
function voted(guard: Guard) {
  const outcomes = ["yes", "no"] as const;
  const policy = majority({ quorum: 3 });
  return guard.case(caseId, { outcomes, policy, action, payload });
}

/** How a case gets into each state, and how many effects it has had by then. */
const states: readonly (readonly [string, number, (guard: Guard) => Promise<unknown>])[] = [
  ["OPEN", 0, (guard) => voted(guard).get()],
  ["RESOLVED_PROVISIONAL", 0, (guard) => voted(guard).signal({ source: "a", outcome: "yes" })],
  [
    "IN_RECONCILIATION",
    0,
    async (guard) => {
      await voted(guard).signal({ source: "a", outcome: "yes" });
      await voted(guard).signal({ source: "b", outcome: "no" });
    },
  ],
  [
    "FINAL",
    0,
    async (guard) => {
      await voted(guard).signal({ source: "a", outcome: "yes" });
      await voted(guard).decide("yes", { by: "ann", reason: "it is right" });
    },
  ],
  [
    "IN_DOUBT",
    1,
    (guard) =>
      ask(guard, {
        async run(given, ctx) {
          await pay(given, ctx);
          throw new Error("CANARY of the error");
        },
      }),
  ],
  ["SETTLED", 1, (guard) => ask(guard)],
  [
    "VOID",
    0,
    (guard) =>
      ask(guard, {
        async run() {
          throw new NotPerformed("CANARY of the reason", { final: true });
        },
      }),
  ],
  [
    "RETIRED",
    1,
    async (guard) => {
      await ask(guard);
      expect(await guard.prune({ before: later() })).toBe(1);
    },
  ],
];

/** Later than any case's last change. */
const later = () => new Date(Date.now() + 60_000);

describe.each(stores)("on %s", (_name, makeStore) => {
  test.each(states)(
    "another payload is a conflict while the case is %s",
    async (state, effects, reach) => {
      const store = makeStore();
      const guard = guardOn(store);
      await reach(guard);
      expect((await guard.list()).items).toMatchObject([{ caseId, state }]);
      await expectConflict(guard);
      // The same of a guard that knows nothing yet, and of another request for the case.
      await expectConflict(guardOn(store));
      await expectConflict(guard, { requestId: "another ask", caseId });
      expect(await ledger.effects(caseId)).toBe(effects);
      expect((await guard.list()).items).toMatchObject([{ caseId, state }]);
    },
  );

  test("another payload is a conflict while the effect runs, here and in another guard", async () => {
    const store = makeStore();
    const guard = guardOn(store);
    const started = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<void>();
    const run: typeof pay = async (given, ctx) => {
      started.resolve();
      await answer.promise;
      return pay(given, ctx);
    };
    const running = ask(guard, { run });
    await started.promise;
    await expectConflict(guard);
    await expectConflict(guardOn(store));
    answer.resolve();
    expect(await running).toMatchObject({ status: "settled" });
    expect(await ledger.effects(caseId)).toBe(1);
  });

  test("two payloads at the same moment: one runs, the other is a conflict", async () => {
    const guard = guardOn(makeStore());
    const both = await Promise.allSettled([ask(guard), ask(guard, { payload: other })]);
    expect(both.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    expect(await ledger.effects(caseId)).toBe(1);
  });

  test("a retired id is refused for ever, with the same payload too", async () => {
    const guard = guardOn(makeStore());
    await ask(guard);
    await guard.prune({ before: later() });
    for (const again of [() => ask(guard), () => guard.receipt(caseId)]) {
      expect(await errorOf(again())).toMatchObject({ code: "retired", effect: "none" });
    }
    expect(await ledger.effects(caseId)).toBe(1);
  });

  test("two requests for one case: one effect, one receipt", async () => {
    const guard = guardOn(makeStore());
    const [one, two] = await Promise.all([
      ask(guard, { requestId: "ask one", caseId }),
      ask(guard, { requestId: "ask two", caseId }),
    ]);
    const three = await ask(guard, { requestId: "ask three", caseId });
    const receipts = [one, two, three].map((outcome) => "receipt" in outcome && outcome.receipt);
    expect(new Set(receipts.map((receipt) => JSON.stringify(receipt)))).toHaveLength(1);
    expect(receipts[0]).toMatchObject({ effect: "once", caseId });
    for (const requestId of ["ask one", "ask two", "ask three"]) {
      expect(await guard.receipt(requestId)).toEqual(receipts[0]);
    }
    expect(await ledger.effects(caseId)).toBe(1);
  });

  test("a request id belongs to one case, whichever case it is asked for then", async () => {
    const store = makeStore();
    const guard = guardOn(store);
    const [first, second, third] = [`${caseId} a`, `${caseId} b`, `${caseId} c`];
    await ask(guard, { requestId: "ask", caseId: first! });
    await ask(guard, { requestId: "other ask", caseId: second! });
    for (const one of [guard, guardOn(store)]) {
      const wrong = [
        { requestId: "ask", caseId: second! },
        { requestId: "other ask", caseId: first! },
        { requestId: "ask", caseId: third! },
        // Without a case id, the request's own name is the case's.
        { requestId: "ask" },
      ];
      for (const asked of wrong) {
        const error = await errorOf(ask(one, asked));
        expect(error).toMatchObject({ code: "payload_conflict", effect: "none" });
        expect(inspect(error, { depth: 20 })).not.toMatch(canary);
      }
    }
    expect((await guard.list()).items.map((kase) => kase.caseId)).toEqual([first, second]);
    expect(await ledger.effects(third!)).toBe(0);
  });

  test("namespaces don't meet: the same ids, each with its own effect and receipt", async () => {
    const store: Store = makeStore();
    const north = guardOn(store, { namespace: "north" });
    const south = guardOn(store, { namespace: "south" });
    const [one, two] = [await ask(north), await ask(south, { payload: other })];
    expect(one).toMatchObject({
      status: "settled",
      replayed: false,
      receipt: { namespace: "north" },
    });
    expect(two).toMatchObject({
      status: "settled",
      replayed: false,
      receipt: { namespace: "south" },
    });
    expect((await north.list()).items).toHaveLength(1);
    expect((await south.history(caseId)).map(({ entry }) => entry.namespace)).toEqual([
      "south",
      "south",
    ]);
    expect(await north.prune({ before: later() })).toBe(1);
    expect(await ask(south, { payload: other })).toMatchObject({
      status: "settled",
      replayed: true,
    });
    expect((await ledger.line(caseId))?.keys).toHaveLength(2);
  });
});

test("another payload is a conflict while another process runs the effect", async () => {
  const path = testFile();
  const caller = startCaller({ path, ledger: ledger.url, kind: "opaque", pause: "before" });
  const running = caller.execute(caseId);
  await caller.waits();
  await expectConflict(guardOn(sqliteStore({ path })));
  await caller.goOn();
  expect((await running).status).toBe("settled");
  await caller.end();
  expect(await ledger.effects(caseId)).toBe(1);
});
