import { describe, expect, test } from "vitest";
import {
  approval,
  type Call,
  createGuard,
  type HeldOutcome,
  NotPerformed,
  type Outcome,
} from "../../src/index.ts";
import { counted, errorOf, gated, pause, until, type World, world } from "./world.ts";

const secret = "4242-4242";
const payload = { card: secret, cents: 500 };

type Rest = Partial<Call<unknown, unknown>>;

const ask = (run: Call<unknown, unknown>["run"], rest: Rest = {}) => ({
  requestId: "r1",
  action: "pay",
  payload: payload as unknown,
  run,
  ...rest,
});

function held(outcome: Outcome<unknown>): HeldOutcome {
  if (outcome.status === "settled") throw new Error("it is settled");
  return outcome;
}

const explode = () => {
  throw new Error(`no answer about ${secret}`);
};
const decline = () => {
  throw new NotPerformed("declined");
};
const refuse = () => {
  throw new NotPerformed("declined", { final: true });
};

describe("status by status", () => {
  test("settled: the receipt says all about it, and a repeat gets the same", async () => {
    const { guard, now, turn } = world();
    const effect = counted((start) => {
      turn(7);
      return { paid: start };
    });
    const before = now();
    const first = await guard.execute(ask(effect.run, { caseId: "order-1", actor: "ana" }));
    expect(first).toEqual({
      status: "settled",
      effect: "once",
      replayed: false,
      recorded: true,
      receipt: {
        settlementId: expect.stringMatching(/^st_/),
        effect: "once",
        namespace: "default",
        caseId: "order-1",
        requestId: "r1",
        action: "pay",
        fingerprint: expect.stringMatching(/^[0-9a-f]{64}$/),
        outcome: null,
        value: { paid: 1 },
        valueForm: "exact",
        source: "effect",
        effectClass: "opaque",
        fence: 1,
        startedAt: before,
        settledAt: before + 7,
        by: "ana",
        evidence: null,
      },
    });
    turn(1_000);
    const again = await guard.execute(ask(effect.run, { caseId: "order-1", actor: "ben" }));
    expect(again).toEqual({ ...first, replayed: true });
    const other = await guard.execute(ask(effect.run, { caseId: "order-1", requestId: "r2" }));
    expect(JSON.stringify(other)).toBe(JSON.stringify(again));
    expect(effect.starts).toHaveLength(1);
  });

  const statuses: readonly {
    readonly status: HeldOutcome["status"];
    readonly effect: "none" | "unknown";
    readonly get: (world: World) => Promise<Outcome<unknown>>;
    readonly next: RegExp;
    readonly forModel: RegExp;
    readonly state: string;
  }[] = [
    {
      status: "not_performed",
      effect: "none",
      get: ({ guard }) => guard.execute(ask(decline)),
      next: /^Nothing was executed: declined\. It may be asked again\.$/,
      forModel: /^Not executed\. It is safe to call it again/,
      state: "FINAL",
    },
    {
      status: "void",
      effect: "none",
      get: ({ guard }) => guard.execute(ask(refuse)),
      next: /^Nothing was executed, and nothing will be: it did not happen and never will\. .*new id/,
      forModel: /^Not executed: .*do not call it again\.$/,
      state: "VOID",
    },
    {
      status: "pending",
      effect: "none",
      get: ({ guard }) => guard.execute(ask(() => 1, { policy: approval() })),
      next: /^Nothing was executed\. Case r1 is OPEN: 0 of 1 approvals\./,
      forModel: /^Not executed yet\. .*Do not call it again now/,
      state: "OPEN",
    },
    {
      status: "in_progress",
      effect: "unknown",
      get: ({ guard, another }) => {
        void guard.execute(ask(() => new Promise(() => {})));
        return another().execute(ask(() => 1, { waitMs: 1 }));
      },
      next: /^Case r1 is being executed by another caller\. Ask again with the same request id/,
      forModel: /^It is being done already\. Do not start it again/,
      state: "EXECUTING",
    },
    {
      status: "in_doubt",
      effect: "unknown",
      get: ({ guard }) => guard.execute(ask(explode)),
      next: /^Case r1 may have run once: it ended with an error .*guard\.resolve\(/,
      forModel: /^Unknown whether it ran\. Do not call it again\./,
      state: "IN_DOUBT",
    },
    {
      status: "in_doubt",
      effect: "unknown",
      get: ({ guard }) => guard.execute(ask(explode, { effect: "idempotent" })),
      next: /^Case r1 may have run once: .*declared idempotent: asking again repeats it without harm/,
      forModel: /^Unknown whether it ran\. Calling it again .* is safe/,
      state: "IN_DOUBT",
    },
    {
      status: "in_doubt",
      effect: "unknown",
      get: ({ guard }) => guard.execute(ask(explode, { probe: () => "unknown", waitMs: 0 })),
      next: /^Case r1 may have run once: .*The next call or sweep asks the world by its probe/,
      forModel: /^Unknown whether it ran\. Do not call it again\./,
      state: "IN_DOUBT",
    },
    {
      status: "in_doubt",
      effect: "unknown",
      get: ({ guard }) => guard.execute(ask(() => new Promise(() => {}), { timeoutMs: 1 })),
      next: /^Case r1 may have run once: it did not end in its time/,
      forModel: /^Unknown whether it ran\. Do not call it again\./,
      state: "IN_DOUBT",
    },
    {
      status: "in_doubt",
      effect: "unknown",
      get: async ({ guard, another, turn }) => {
        void guard.execute(ask(() => new Promise(() => {})));
        await pause(1);
        turn(30_000);
        return another().execute(ask(() => 1));
      },
      next: /^Case r1 may have run once: its worker was not heard of again/,
      forModel: /^Unknown whether it ran\. Do not call it again\./,
      state: "IN_DOUBT",
    },
  ];

  test.each(statuses)("$status: $next", async ({ status, effect, get, next, forModel, state }) => {
    const outcome = held(await get(world()));
    expect(outcome).toMatchObject({ status, effect });
    expect(outcome.case).toMatchObject({ caseId: "r1", state, action: "pay" });
    expect(outcome.next).toMatch(next);
    expect(outcome.forModel).toMatch(forModel);
    expect(JSON.stringify(outcome)).not.toContain(secret);
  });

  test("a void has its receipt, which every repeat gets", async () => {
    const { guard, another } = world();
    const first = await guard.execute(ask(refuse));
    expect(first).toMatchObject({
      receipt: { effect: "none", caseId: "r1", reason: "not_performed", note: "declined" },
    });
    const receipt = await guard.receipt("r1");
    for (const one of [guard, guard, another()]) {
      expect(await one.execute(ask(() => 1))).toMatchObject({ status: "void", receipt });
    }
  });
});

describe("wrong calls: refused before anything is stored", () => {
  const wrong: readonly (readonly [name: string, rest: object, says: RegExp])[] = [
    ["no request id", { requestId: undefined }, /`requestId` must be 1 to 255 printable/],
    ["an empty request id", { requestId: "" }, /`requestId`/],
    ["a request id of two lines", { requestId: "a\nb" }, /`requestId`/],
    ["a case id that is too long", { caseId: "x".repeat(256) }, /`caseId`/],
    ["no action", { action: undefined }, /`action`/],
    ["no effect", { run: undefined }, /`run` must be a function/],
    ["no payload", { payload: undefined }, /The payload is not JSON/],
    ["a Date inside", { payload: { at: [new Date(0)] } }, /at "\/at\/0" is not JSON/],
    ["a class of effect that is not there", { effect: "harmless" }, /`effect` must be/],
    ["an opaque effect with a probe", { effect: "opaque", probe: () => "absent" }, /no probe/],
    ["a policy that is none", { policy: { kind: "vibes" } }, /policy can't be used/],
    ["no time", { timeoutMs: 0 }, /`timeoutMs`/],
    ["half a millisecond", { waitMs: 0.5 }, /`waitMs`/],
    ["over a year", { waitMs: 31_622_400_001 }, /`waitMs`/],
    ["a nameless actor", { actor: " " }, /`actor`/],
  ];

  test.each(wrong)("%s", async (_name, rest, says) => {
    const { guard } = world();
    const effect = counted(() => 1);
    const error = await errorOf(guard.execute({ ...ask(effect.run), ...rest } as never));
    expect(error).toMatchObject({ code: "invalid_request", effect: "none" });
    expect(error.message).toMatch(/^Nothing was executed\. /);
    expect(error.message).toMatch(says);
    expect(effect.starts).toHaveLength(0);
    expect((await guard.list()).items).toEqual([]);
  });

  test("a request id that names another case already is a conflict", async () => {
    const { guard, another } = world();
    const effect = counted(() => 1);
    await guard.execute(ask(effect.run, { caseId: "order-1" }));
    for (const one of [guard, another()]) {
      const error = await errorOf(one.execute(ask(effect.run, { caseId: "order-2" })));
      expect(error).toMatchObject({ code: "payload_conflict", effect: "none", requestId: "r1" });
    }
    expect(effect.starts).toHaveLength(1);
    expect((await guard.list()).items).toHaveLength(1);
  });

  test("another payload or action under the same id: nothing runs, nothing leaks", async () => {
    const { guard, another, reported } = world();
    const effect = counted(() => "value-9");
    await guard.execute(ask(effect.run));
    for (const one of [guard, another()]) {
      for (const rest of [{ payload: { card: "other" } }, { action: "refund" }]) {
        const error = await errorOf(one.execute(ask(effect.run, rest)));
        expect(error).toMatchObject({ code: "payload_conflict", effect: "none", caseId: "r1" });
        expect(JSON.stringify({ ...error, message: error.message })).not.toMatch(/4242|value-9/);
      }
    }
    expect(effect.starts).toHaveLength(1);
    expect(reported("conflict")).toBe(4);
  });
});

describe("the value in the receipt", () => {
  const circle: { self?: unknown } = {};
  circle.self = circle;
  const values: readonly (readonly [name: string, value: unknown, kept: unknown, form: string])[] =
    [
      ["nothing", undefined, undefined, "exact"],
      ["null", null, null, "exact"],
      ["false", false, false, "exact"],
      ["an object", { b: [1, "two"], a: null }, { b: [1, "two"], a: null }, "exact"],
      ["a Date", new Date(0), "1970-01-01T00:00:00.000Z", "converted"],
      ["a Date inside", { at: new Date(0) }, { at: "1970-01-01T00:00:00.000Z" }, "converted"],
      ["an undefined member", { a: 1, b: undefined }, { a: 1 }, "converted"],
      ["NaN", Number.NaN, null, "converted"],
      ["a BigInt", 10n, undefined, "omitted"],
      ["a BigInt inside", { cents: 10n }, undefined, "omitted"],
      ["a circle", circle, undefined, "omitted"],
      ["a function", () => 1, undefined, "omitted"],
      ["a symbol", Symbol("s"), undefined, "omitted"],
      ["the longest text", "x".repeat(262_142), "x".repeat(262_142), "exact"],
      ["a longer one", "x".repeat(262_143), undefined, "omitted"],
      [
        "what throws when it is read",
        {
          get a() {
            throw new Error("no");
          },
        },
        undefined,
        "omitted",
      ],
    ];

  test.each(values)("%s", async (_name, value, kept, form) => {
    const { guard, another } = world();
    const first = await guard.execute(ask(() => value));
    expect(first).toMatchObject({ status: "settled", receipt: { valueForm: form } });
    if (first.status !== "settled") return;
    expect(first.receipt.value).toEqual(kept);
    expect("value" in first.receipt).toBe(kept !== undefined);
    // Every caller gets the very same, from memory and from the store.
    const text = JSON.stringify(first.receipt);
    for (const one of [guard, another()]) {
      const again = await one.execute(ask(() => "again"));
      expect(again.status === "settled" && JSON.stringify(again.receipt)).toBe(text);
    }
  });

  test("a value is kept as it was returned: what its maker does to it later changes nothing", async () => {
    const { guard } = world();
    const mine = { paid: 1 };
    const first = await guard.execute(ask(() => mine));
    mine.paid = 2;
    expect(first).toMatchObject({ receipt: { value: { paid: 1 } } });
    expect(await guard.execute(ask(() => mine))).toMatchObject({ receipt: { value: { paid: 1 } } });
  });
});

describe("the payload", () => {
  test("the effect gets a frozen copy", async () => {
    const { guard } = world();
    const mine = { lines: [{ cents: 1 }] };
    const effect = counted(() => 1);
    await guard.execute(ask(effect.run, { payload: mine }));
    const got = effect.starts[0]?.payload as typeof mine;
    expect(got).toEqual(mine);
    expect(got).not.toBe(mine);
    expect([got, got.lines, got.lines[0]].every(Object.isFrozen)).toBe(true);
    expect(Object.isFrozen(mine)).toBe(false);
  });

  test("what the caller does to it after the call doesn't matter", async () => {
    const { guard } = world();
    const mine = { cents: 1 };
    const effect = counted(() => 1);
    const call = guard.execute(ask(effect.run, { payload: mine }));
    mine.cents = 2;
    await call;
    expect(effect.starts[0]?.payload).toEqual({ cents: 1 });
    expect((await guard.execute(ask(effect.run, { payload: { cents: 1 } }))).status).toBe(
      "settled",
    );
    const error = await errorOf(guard.execute(ask(effect.run, { payload: mine })));
    expect(error.code).toBe("payload_conflict");
  });

  test("what the effect does to the caller's object doesn't matter", async () => {
    const { guard, another } = world();
    const mine = { cents: 1 };
    await guard.execute(
      ask(
        () => {
          mine.cents = 2;
          return 1;
        },
        { payload: mine },
      ),
    );
    const repeat = { payload: { cents: 1 } };
    expect((await another().execute(ask(() => 2, repeat))).status).toBe("settled");
    expect((await guard.list()).items[0]).toMatchObject({ intent: { payload: { cents: 1 } } });
  });

  test("1.0 is 1, the order of members is nothing, null is not absent", async () => {
    const { guard } = world();
    const effect = counted(() => 1);
    await guard.execute(ask(effect.run, { payload: { a: 1.0, b: null } }));
    const same = await guard.execute(ask(effect.run, { payload: { b: null, a: 1 } }));
    expect(same).toMatchObject({ status: "settled", replayed: true });
    const error = await errorOf(guard.execute(ask(effect.run, { payload: { a: 1 } })));
    expect(error.code).toBe("payload_conflict");
  });
});

describe("what the effect is handed", () => {
  test("the same key for every attempt, and a fence that grows", async () => {
    const { guard, another } = world();
    const effect = counted((start) => {
      if (start < 3) throw new NotPerformed("busy");
      return start;
    });
    await guard.execute(ask(effect.run));
    await another().execute(ask(effect.run, { requestId: "r2", caseId: "r1" }));
    await guard.execute(ask(effect.run));
    expect(effect.starts.map(({ ctx }) => ctx.fence)).toEqual([1, 2, 3]);
    expect(effect.starts.map(({ ctx }) => ctx.requestId)).toEqual(["r1", "r2", "r1"]);
    const keys = new Set(effect.starts.map(({ ctx }) => ctx.idempotencyKey));
    expect([...keys]).toEqual([expect.stringMatching(/^[0-9a-f]{64}$/)]);
  });

  test("another key for another case and for another namespace", async () => {
    const { guard, another } = world();
    const effect = counted(() => 1);
    await guard.execute(ask(effect.run, { caseId: "a" }));
    await guard.execute(ask(effect.run, { requestId: "r2", caseId: "b" }));
    await another({ namespace: "other" }).execute(ask(effect.run, { caseId: "a" }));
    expect(new Set(effect.starts.map(({ ctx }) => ctx.idempotencyKey)).size).toBe(3);
  });

  test("a signal that is aborted when its time is over", async () => {
    const { guard } = world();
    const seen: AbortSignal[] = [];
    const outcome = await guard.execute(
      ask(
        (_payload, { signal }) =>
          new Promise((_, reject) => {
            seen.push(signal);
            signal.addEventListener("abort", () => reject(new Error("aborted")));
          }),
        { timeoutMs: 5 },
      ),
    );
    expect(outcome.status).toBe("in_doubt");
    expect(seen[0]?.aborted).toBe(true);
    const [kase] = (await guard.list()).items;
    expect(kase).toMatchObject({ state: "IN_DOUBT", doubt: { reason: "timed_out", error: null } });
  });

  test("a signal asked for too late is aborted already", async () => {
    const { guard } = world();
    const late = Promise.withResolvers<boolean>();
    const outcome = await guard.execute(
      ask(
        async (_payload, ctx) => {
          await pause(15);
          late.resolve(ctx.signal.aborted);
        },
        { timeoutMs: 1 },
      ),
    );
    expect(outcome.status).toBe("in_doubt");
    expect(await late.promise).toBe(true);
  });

  test("a signal that is quiet while all is well", async () => {
    const { guard } = world();
    const effect = counted(() => 1);
    const caller = new AbortController();
    await guard.execute(ask(effect.run, { signal: caller.signal }));
    expect(effect.starts[0]?.ctx.signal.aborted).toBe(false);
  });
});

describe("the caller's signal", () => {
  test("aborted before the start: nothing runs, and it may be asked again", async () => {
    const { guard } = world();
    const effect = counted(() => 1);
    const signal = AbortSignal.abort();
    const outcome = await guard.execute(ask(effect.run, { signal }));
    expect(outcome).toMatchObject({ status: "not_performed", effect: "none" });
    expect(effect.starts).toHaveLength(0);
    expect((await guard.list()).items).toEqual([]);
    expect((await guard.execute(ask(effect.run))).status).toBe("settled");
  });

  test("aborted while the case is claimed: nothing runs, and the claim is given back", async () => {
    const caller = new AbortController();
    const { store, another } = world();
    const commit = store.commit.bind(store);
    const guard = createGuard({
      store: {
        ...store,
        commit: (steps) => {
          caller.abort();
          return commit(steps);
        },
      },
    });
    const effect = counted(() => 1);
    const outcome = await guard.execute(ask(effect.run, { signal: caller.signal }));
    expect(outcome).toMatchObject({ status: "not_performed", effect: "none" });
    expect(held(outcome).next).toMatch(/the caller gave up before it started/);
    expect(effect.starts).toHaveLength(0);
    expect((await another().execute(ask(effect.run))).status).toBe("settled");
  });

  test("aborted while it runs: handed on, the wait ends, and what the effect does then counts", async () => {
    const { guard } = world();
    const caller = new AbortController();
    const effect = gated();
    const call = guard.execute(ask(effect.run, { signal: caller.signal }));
    await effect.started;
    const { signal } = effect.starts[0]!.ctx;
    expect(signal.aborted).toBe(false);
    caller.abort();
    expect(signal.aborted).toBe(true);
    expect(await call).toMatchObject({ status: "in_progress", effect: "unknown" });
    const twin = guard.execute(ask(effect.run));
    effect.finish("done all the same");
    expect(await twin).toMatchObject({
      status: "settled",
      receipt: { value: "done all the same" },
    });
    expect(effect.starts).toHaveLength(1);
  });

  test("aborted while it waits for a twin: only the wait ends", async () => {
    const { guard, another } = world();
    const effect = gated();
    const first = guard.execute(ask(effect.run));
    await effect.started;
    for (const one of [guard, another()]) {
      const caller = new AbortController();
      const twin = one.execute(ask(effect.run, { signal: caller.signal, waitMs: 3_600_000 }));
      await pause(1);
      caller.abort();
      expect(await twin).toMatchObject({ status: "in_progress", effect: "unknown" });
    }
    effect.finish("done");
    expect(await first).toMatchObject({ status: "settled" });
    expect(effect.starts).toHaveLength(1);
  });

  test("aborted beforehand, of a case that another process runs: no wait", async () => {
    const { guard, another } = world();
    const effect = gated();
    const first = guard.execute(ask(effect.run));
    await effect.started;
    const rest = { signal: AbortSignal.abort(), waitMs: 3_600_000 };
    expect((await another().execute(ask(effect.run, rest))).status).toBe("in_progress");
    effect.finish("done");
    await first;
  });
});

describe("waiting for the one under way", () => {
  test("a twin gets the same receipt, in this process and in another", async () => {
    const { guard, another } = world();
    const effect = gated();
    const first = guard.execute(ask(effect.run));
    await effect.started;
    const twins = [
      guard.execute(ask(effect.run)),
      guard.execute(ask(effect.run, { requestId: "r2", caseId: "r1" })),
      another().execute(ask(effect.run, { requestId: "r3", caseId: "r1" })),
    ];
    effect.finish("done");
    const outcome = await first;
    expect(outcome).toMatchObject({ status: "settled", replayed: false });
    for (const twin of await Promise.all(twins))
      expect(twin).toEqual({ ...outcome, replayed: true });
    expect(effect.starts).toHaveLength(1);
    for (const request of ["r2", "r3"]) {
      expect(await guard.receipt(request)).toMatchObject({ requestId: "r1" });
    }
  });

  test("until its time to wait is over: then it is told that it is in progress", async () => {
    const { guard, another } = world();
    const effect = gated();
    const first = guard.execute(ask(effect.run));
    await effect.started;
    for (const one of [guard, another()]) {
      for (const waitMs of [0, 5]) {
        const outcome = await one.execute(ask(effect.run, { waitMs }));
        expect(outcome).toMatchObject({ status: "in_progress", case: { caseId: "r1" } });
      }
    }
    effect.finish("done");
    expect((await first).status).toBe("settled");
    expect(effect.starts).toHaveLength(1);
  });

  test("another payload is a conflict while it runs", async () => {
    const { guard, another } = world();
    const effect = gated();
    const first = guard.execute(ask(effect.run));
    await effect.started;
    for (const one of [guard, another()]) {
      const error = await errorOf(one.execute(ask(effect.run, { payload: "other" })));
      expect(error.code).toBe("payload_conflict");
    }
    effect.finish("done");
    await first;
  });

  test("a twin of what was not performed is told so, and runs nothing", async () => {
    const { guard } = world();
    const effect = gated();
    const first = guard.execute(ask(effect.run));
    await effect.started;
    const twin = guard.execute(ask(effect.run));
    effect.fail(new NotPerformed("busy"));
    expect([await first, await twin]).toMatchObject([
      { status: "not_performed" },
      { status: "not_performed" },
    ]);
    expect(effect.starts).toHaveLength(1);
  });
});

describe("opaque: never run again", () => {
  test("not by a call, not by a sweep, not by time", async () => {
    const { guard, turn, another } = world();
    const effect = counted(explode);
    expect((await guard.execute(ask(effect.run))).status).toBe("in_doubt");
    for (let day = 0; day < 3; day += 1) {
      turn(86_400_000);
      await guard.reconcile();
      expect((await another().execute(ask(effect.run))).status).toBe("in_doubt");
    }
    expect(effect.starts).toHaveLength(1);
    expect((await guard.list()).items[0]).toMatchObject({
      state: "IN_DOUBT",
      doubt: { reason: "threw", error: `Error: no answer about ${secret}` },
    });
  });
});

describe("idempotent: run again", () => {
  test("by the next call, not by the same one", async () => {
    const { guard } = world();
    const effect = counted((start) => (start === 1 ? explode() : start));
    const rest = { effect: "idempotent" } as const;
    expect((await guard.execute(ask(effect.run, rest))).status).toBe("in_doubt");
    expect(effect.starts).toHaveLength(1);
    expect(await guard.execute(ask(effect.run, rest))).toMatchObject({
      status: "settled",
      replayed: false,
      receipt: { value: 2, fence: 2, effectClass: "idempotent", source: "effect" },
    });
    expect(effect.starts).toHaveLength(2);
  });

  test("by its class when it was started, not by what a later call declares", async () => {
    const { guard } = world();
    const effect = counted(explode);
    await guard.execute(ask(effect.run));
    const outcome = await guard.execute(ask(effect.run, { effect: "idempotent" }));
    expect(outcome.status).toBe("in_doubt");
    expect(effect.starts).toHaveLength(1);
  });
});

describe("keyed: run again with the same key while it lives", () => {
  const rest = { effect: "keyed", keyTtlMs: 1_000 } as const;
  const twice = () => counted((start) => (start === 1 ? explode() : start));

  test("within its time", async () => {
    const { guard, turn } = world();
    const effect = twice();
    expect((await guard.execute(ask(effect.run, rest))).status).toBe("in_doubt");
    turn(999);
    expect(await guard.execute(ask(effect.run, rest))).toMatchObject({
      status: "settled",
      receipt: { value: 2, fence: 2, effectClass: "keyed" },
    });
    const [first, second] = effect.starts;
    expect(second?.ctx.idempotencyKey).toBe(first?.ctx.idempotencyKey);
  });

  test("after its time it is as opaque", async () => {
    const { guard, turn } = world();
    const effect = twice();
    await guard.execute(ask(effect.run, rest));
    turn(1_000);
    expect((await guard.execute(ask(effect.run, rest))).status).toBe("in_doubt");
    expect(effect.starts).toHaveLength(1);
  });

  test("the time is counted from the first start, whatever ran since", async () => {
    const { guard, turn } = world();
    const effect = counted(explode);
    await guard.execute(ask(effect.run, rest));
    turn(600);
    await guard.execute(ask(effect.run, rest));
    expect(effect.starts).toHaveLength(2);
    turn(600);
    expect((await guard.execute(ask(effect.run, rest))).status).toBe("in_doubt");
    expect(effect.starts).toHaveLength(2);
  });

  test("23 hours where nothing is said", async () => {
    const { guard, turn } = world();
    const effect = counted(explode);
    await guard.execute(ask(effect.run, { effect: "keyed" }));
    turn(82_799_999);
    await guard.execute(ask(effect.run, { effect: "keyed" }));
    expect(effect.starts).toHaveLength(2);
    turn(1);
    await guard.execute(ask(effect.run, { effect: "keyed" }));
    expect(effect.starts).toHaveLength(2);
  });

  test("after its time the probe is asked, where there is one", async () => {
    const { guard, turn } = world();
    const effect = counted(explode);
    let probes = 0;
    const probe = () => {
      probes += 1;
      return { happened: true, value: "found" } as const;
    };
    const both = { ...rest, probe, settlingMs: 10, waitMs: 0 };
    await guard.execute(ask(effect.run, both));
    expect(probes).toBe(0);
    turn(1_000);
    expect(await guard.execute(ask(effect.run, both))).toMatchObject({
      status: "settled",
      receipt: { value: "found", source: "probe", effectClass: "keyed" },
    });
    expect([effect.starts.length, probes]).toEqual([1, 1]);
  });
});

describe("probeable: the world is asked", () => {
  const settlingMs = 1_000;
  const doubted = async (probe: NonNullable<Rest["probe"]>) => {
    const made: World = world();
    const effect = counted((start) => (start === 1 ? explode() : start));
    let probes = 0;
    const rest = {
      settlingMs,
      waitMs: 0,
      probe: ((given, ctx) => {
        probes += 1;
        return probe(given, ctx);
      }) as NonNullable<Rest["probe"]>,
    };
    const again = (): Promise<Outcome<unknown>> => made.guard.execute(ask(effect.run, rest));
    const first = await again();
    expect(first).toMatchObject({ status: "in_doubt", effect: "unknown" });
    expect(probes).toBe(0);
    return { ...made, effect, again, probes: () => probes };
  };

  test("not before the settling time", async () => {
    const { turn, again, probes } = await doubted(() => "absent");
    turn(settlingMs - 1);
    expect((await again()).status).toBe("in_doubt");
    expect(probes()).toBe(0);
    turn(1);
    await again();
    expect(probes()).toBe(1);
  });

  test("it happened: settled by what the probe found, and nothing runs", async () => {
    const { turn, again, probes, effect } = await doubted(async (given, ctx) => {
      expect(given).toEqual(payload);
      expect(Object.isFrozen(given)).toBe(true);
      expect(ctx.caseId).toBe("r1");
      expect(ctx.signal.aborted).toBe(false);
      return { happened: true, value: { id: ctx.idempotencyKey } };
    });
    turn(settlingMs);
    const key = effect.starts[0]?.ctx.idempotencyKey;
    expect(await again()).toMatchObject({
      status: "settled",
      receipt: { source: "probe", value: { id: key }, fence: 1, effectClass: "probeable" },
    });
    expect(await again()).toMatchObject({ status: "settled", replayed: true });
    expect([effect.starts.length, probes()]).toEqual([1, 1]);
  });

  test("absent: the next start is by the same call that asked", async () => {
    const { turn, again, effect } = await doubted(() => "absent");
    turn(settlingMs);
    expect(await again()).toMatchObject({
      status: "settled",
      replayed: false,
      receipt: { value: 2, fence: 2, source: "effect" },
    });
    expect(effect.starts).toHaveLength(2);
  });

  test.each<readonly [string, () => unknown]>([
    ["unknown", () => "unknown"],
    ["nothing at all", () => undefined],
    ["happened, but not as true", () => ({ happened: "yes" })],
    [
      "an error",
      () => {
        throw new Error("the provider is down");
      },
    ],
  ])("%s: it stays in doubt and is asked again later", async (name, answer) => {
    const { turn, again, probes, effect, guard, now, reported } = await doubted(answer as never);
    turn(settlingMs);
    expect((await again()).status).toBe("in_doubt");
    expect(probes()).toBe(1);
    expect(reported("failed")).toBe(name === "an error" ? 1 : 0);
    const [kase] = (await guard.list()).items;
    expect(kase).toMatchObject({ state: "IN_DOUBT", doubt: { probes: 1 } });
    if (kase?.state !== "IN_DOUBT") return;
    expect(kase.doubt.probeAt).toBeGreaterThan(now());
    expect((await again()).status).toBe("in_doubt");
    expect(probes()).toBe(1);
    turn(2_000);
    await again();
    expect(probes()).toBe(2);
    expect(effect.starts).toHaveLength(1);
  });

  test("without the probe at hand the doubt stays", async () => {
    const { turn, guard, effect } = await doubted(() => "absent");
    turn(settlingMs);
    expect((await guard.execute(ask(effect.run))).status).toBe("in_doubt");
    expect(effect.starts).toHaveLength(1);
  });

  test("an effect that throws is probed in the same call, where there is time", async () => {
    const { guard, turn, reported } = world();
    const effect = counted(explode);
    const probe = () => ({ happened: true, value: "found" }) as const;
    const call: Promise<Outcome<unknown>> = guard.execute(ask(effect.run, { probe, settlingMs }));
    await until(async () => (await guard.list({ states: ["IN_DOUBT"] })).items.length === 1);
    turn(settlingMs);
    expect(await call).toMatchObject({
      status: "settled",
      replayed: false,
      receipt: { source: "probe", value: "found" },
    });
    expect(effect.starts).toHaveLength(1);
    expect(reported("replayed")).toBe(0);
  });

  test("proven absent in the same call: not performed, and the next call runs it", async () => {
    const { guard } = world();
    const effect = counted((start) => (start === 1 ? explode() : start));
    const rest: Rest = { probe: () => "absent", settlingMs: 0 };
    expect(await guard.execute(ask(effect.run, rest))).toMatchObject({
      status: "not_performed",
      effect: "none",
    });
    expect(effect.starts).toHaveLength(1);
    expect((await guard.execute(ask(effect.run, rest))).status).toBe("settled");
    expect(effect.starts).toHaveLength(2);
  });

  test("5 seconds of settling where nothing is said", async () => {
    const { guard, turn } = world();
    let probes = 0;
    const probe = (): "unknown" => {
      probes += 1;
      return "unknown";
    };
    await guard.execute(ask(explode, { probe, waitMs: 0 }));
    turn(4_999);
    await guard.execute(ask(explode, { probe, waitMs: 0 }));
    expect(probes).toBe(0);
    turn(1);
    await guard.execute(ask(explode, { probe, waitMs: 0 }));
    expect(probes).toBe(1);
  });
});

test("the option `clock` stands before the store's", async () => {
  const { another } = world();
  const outcome = await another({ clock: () => 77 }).execute(ask(() => 1));
  expect(outcome).toMatchObject({ receipt: { startedAt: 77, settledAt: 77 } });
});

test("a closed guard starts nothing", async () => {
  const { guard } = world();
  const effect = counted(() => 1);
  await guard.close();
  const error = await errorOf(guard.execute(ask(effect.run)));
  expect(error).toMatchObject({ code: "store_unavailable", effect: "none" });
  expect(effect.starts).toHaveLength(0);
});

test("closing waits for what is under way", async () => {
  const { guard } = world();
  const effect = gated();
  const call = guard.execute(ask(effect.run));
  await effect.started;
  let closed = false;
  const closing = guard.close().then(() => {
    closed = true;
  });
  await pause(5);
  expect(closed).toBe(false);
  effect.finish("done");
  expect(await call).toMatchObject({ status: "settled", recorded: true });
  await closing;
});
