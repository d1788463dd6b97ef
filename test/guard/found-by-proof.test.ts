import { describe, expect, test } from "vitest";
import type { Case } from "../../src/core/case.ts";
import {
  approval,
  type Call,
  type Guard,
  GuardError,
  NotPerformed,
  type Run,
  type Store,
} from "../../src/index.ts";
import { counted, errorOf, gated, until, world } from "./world.ts";

/** Defects of the guard that the simulation and the crash lab found. Each stays here, so that it can't come back. */

type Rest = Partial<Call<unknown, unknown>>;

const call = (run: Run<unknown, unknown>, rest: Rest = {}) => ({
  requestId: "r1",
  action: "pay",
  payload: { cents: 5 },
  run,
  ...rest,
});
const full = () => new GuardError("store_unavailable", "The disk is full.");
const decline = () => {
  throw new NotPerformed("the till is closed");
};

/** All that goes on without a timer has been done: a store in memory needs none. */
const quiet = () => new Promise<void>((resolve) => void setImmediate(resolve));

/** A store that does as it is asked at once; what tells of a state comes only when it is let go. */
function slowToTell(store: Store, what: "commit" | "read", state: Case["state"]) {
  const done = Promise.withResolvers<void>();
  const told = Promise.withResolvers<void>();
  const tell = async <T>(by: typeof what, kase: Case | undefined, answer: T): Promise<T> => {
    if (by !== what || kase?.state !== state) return answer;
    done.resolve();
    await told.promise;
    return answer;
  };
  const slow: Store = {
    ...store,
    commit: async (steps) => tell("commit", steps[0]?.next, await store.commit(steps)),
    async read(ids) {
      const reading = await store.read(ids);
      return tell("read", reading.stored?.case, reading);
    },
  };
  return { store: slow, done: done.promise, letGo: told.resolve };
}

/** Timers that ring only when the test lets time pass. */
function alarms() {
  const set = new Set<{ readonly atMs: number; readonly ring: () => void }>();
  let nowMs = 0;
  return {
    platform: {
      monotonicMs: () => nowMs,
      after(ms: number, _background: boolean, ring: () => void) {
        const alarm = { atMs: nowMs + ms, ring };
        set.add(alarm);
        return () => void set.delete(alarm);
      },
    },
    async pass(ms: number) {
      nowMs += ms;
      for (const alarm of [...set]) {
        if (alarm.atMs <= nowMs && set.delete(alarm)) alarm.ring();
      }
      await quiet();
    },
  };
}

describe("who gives up while the store is asked for the time", () => {
  /** A guard whose store tells the time a moment later; just then its caller gives up. */
  function impatient() {
    const made = world();
    const caller = new AbortController();
    const now = async () => {
      caller.abort();
      return made.store.now();
    };
    return { ...made, slow: made.another({ store: { ...made.store, now } }), caller };
  }

  test("is told the receipt of a case that others settled long ago", async () => {
    const { guard, slow, caller } = impatient();
    const first = await guard.execute(call(() => "paid"));
    const effect = counted(() => "twice");
    const outcome = await slow.execute(call(effect.run, { signal: caller.signal }));
    expect(outcome).toEqual({ ...first, replayed: true });
    expect(caller.signal.aborted).toBe(true);
    expect(effect.starts).toHaveLength(0);
  });

  test("is told that nothing was executed where there is no such case, and opens none", async () => {
    const { guard, slow, caller } = impatient();
    const effect = counted(() => "paid");
    const outcome = await slow.execute(call(effect.run, { signal: caller.signal }));
    expect(outcome).toMatchObject({ status: "not_performed", effect: "none" });
    expect(effect.starts).toHaveLength(0);
    expect(await guard.case("r1").get()).toBeUndefined();
  });
});

describe("who joins a caller that is refused", () => {
  /** A guard that leads case c1 under a request id that others have used for another case. */
  async function refusedLeader() {
    const { guard, another } = world();
    await guard.execute(call(() => "other", { caseId: "c0" }));
    const own = another();
    const leader = errorOf(own.execute(call(() => "never", { caseId: "c1" })));
    return { own, leader };
  }

  test("for its own request id goes on by itself, and gets its own answer", async () => {
    const { own, leader } = await refusedLeader();
    const twin = own.execute(call(() => "paid", { caseId: "c1", requestId: "r2" }));
    expect((await leader).code).toBe("payload_conflict");
    expect(await twin).toMatchObject({ status: "settled", receipt: { value: "paid" } });
  });

  test("goes on with all the others that joined: one of them asks, the rest share its answer", async () => {
    const { own, leader } = await refusedLeader();
    const effect = counted(decline);
    const twins = ["r2", "r3", "r4"].map((requestId) =>
      own.execute(call(effect.run, { caseId: "c1", requestId })),
    );
    expect((await leader).code).toBe("payload_conflict");
    const statuses = (await Promise.all(twins)).map(({ status }) => status);
    expect(statuses).toEqual(["not_performed", "not_performed", "not_performed"]);
    expect(effect.starts).toHaveLength(1);
  });

  test("by a broken store shares the refusal, and doesn't ask the store once more", async () => {
    const { store, another } = world();
    let commits = 0;
    const commit = async () => {
      commits += 1;
      throw full();
    };
    const guard = another({ store: { ...store, commit } });
    const effect = counted(() => "paid");
    const twins = ["r1", "r2"].map((requestId) =>
      errorOf(guard.execute(call(effect.run, { caseId: "c1", requestId }))),
    );
    const codes = (await Promise.all(twins)).map(({ code }) => code);
    expect(codes).toEqual(["store_unavailable", "store_unavailable"]);
    expect(commits).toBe(1);
    expect(effect.starts).toHaveLength(0);
  });
});

describe("who joins a call", () => {
  test("while its effect is under way shares that it did not happen, and runs nothing", async () => {
    const { guard } = world();
    const effect = gated();
    const first = guard.execute(call(effect.run));
    await effect.started;
    const again = counted(() => "paid");
    const twin = guard.execute(call(again.run));
    effect.fail(new NotPerformed("the till is closed"));
    expect(await first).toMatchObject({ status: "not_performed" });
    expect(await twin).toMatchObject({ status: "not_performed", effect: "none" });
    expect(again.starts).toHaveLength(0);
  });

  const paid = (by: Guard, rest: Rest = {}) => by.execute(call(() => "by others", rest));
  const policy = approval({ need: 1 });
  const word = { by: "ana", evidence: "charge 77" };

  test.each<{
    readonly which: string;
    readonly run: Run<unknown, unknown>;
    readonly rest?: Rest;
    readonly slow: readonly ["commit" | "read", Case["state"]];
    readonly told: string;
    readonly meanwhile: (others: Guard) => Promise<unknown>;
  }>([
    {
      which: "did not happen",
      run: decline,
      slow: ["commit", "FINAL"],
      told: "not_performed",
      meanwhile: paid,
    },
    {
      which: "is in doubt",
      run: () => {
        throw new Error("reset");
      },
      slow: ["read", "IN_DOUBT"],
      told: "in_doubt",
      meanwhile: (others) => others.resolve("r1", { happened: true, value: "by others" }, word),
    },
    {
      which: "waits for a decision",
      run: decline,
      rest: { policy },
      slow: ["read", "OPEN"],
      told: "pending",
      async meanwhile(others) {
        await others.approve("r1", { actor: "ana" });
        await paid(others, { policy });
      },
    },
  ])(
    "whose effect is not under way any more, and $which, is told what others settled before it asked",
    async ({ run, rest, slow, told, meanwhile }) => {
      const made = world();
      const { store, done, letGo } = slowToTell(made.store, ...slow);
      const guard = made.another({ store });
      const first = guard.execute(call(run, rest));
      await done;
      await meanwhile(made.another({ actor: "others" }));
      const again = counted(() => "twice");
      const twin = guard.execute(call(again.run, rest));
      letGo();
      // What the first one is told was so when it asked: that is what the twin must not be told.
      expect(await first).toMatchObject({ status: told });
      const answer = { status: "settled", replayed: true, receipt: { value: "by others" } };
      expect(await twin).toMatchObject(answer);
      expect(again.starts).toHaveLength(0);
    },
  );

  test("whose effect was never started is told what others settled before it asked", async () => {
    const made = world();
    const slow = slowToTell(made.store, "commit", "FINAL");
    const { platform, pass } = alarms();
    const commit: Store["commit"] = async (steps) => {
      if (steps[0]?.next.state === "EXECUTING") await pass(30_000);
      return slow.store.commit(steps);
    };
    const guard = made.another({ store: { ...slow.store, commit }, platform });
    const effect = counted(() => "twice");
    const first = guard.execute(call(effect.run));
    await slow.done;
    await paid(made.another({ actor: "others" }));
    const twin = guard.execute(call(effect.run));
    slow.letGo();
    expect(await first).toMatchObject({ status: "not_performed" });
    expect(await twin).toMatchObject({ status: "settled", receipt: { value: "by others" } });
    expect(effect.starts).toHaveLength(0);
  });
});

test("an end without effect that can't be written has no receipt yet; once written, all get the one", async () => {
  const { store, another } = world();
  let broken = true;
  const commit: Store["commit"] = async (steps) => {
    if (broken && steps[0]?.next.state === "VOID") throw full();
    return store.commit(steps);
  };
  const guard = another({ store: { ...store, commit } });
  const effect = counted(() => {
    throw new NotPerformed("the account is closed", { final: true });
  });
  const first = await guard.execute(call(effect.run));
  expect(first).toMatchObject({ status: "not_performed", effect: "none" });
  expect(first).not.toHaveProperty("receipt");
  expect(await guard.receipt("r1")).toBeUndefined();
  broken = false;
  await until(async () => (await guard.case("r1").get())?.state === "VOID");
  const receipt = await guard.receipt("r1");
  expect(receipt).toMatchObject({ effect: "none" });
  for (const one of [guard, another(), guard]) {
    expect(await one.execute(call(effect.run))).toMatchObject({ status: "void", receipt });
  }
  expect(effect.starts).toHaveLength(1);
});

describe("a renewal that was written, not acknowledged, and its case then claimed by others", () => {
  /** The effect still runs under the first claim; a second one runs under another worker's. */
  async function overtaken(rest: Rest) {
    const made = world();
    const others = made.another({ actor: "others" });
    const second = gated();
    const broken = { renewal: true, commit: false };
    let theirs: Promise<unknown> | undefined;
    const commit: Store["commit"] = async (steps) => {
      if (broken.commit) throw full();
      const landed = await made.store.commit(steps);
      if (!broken.renewal || steps[0]?.entry !== null) return landed;
      broken.renewal = false;
      made.turn(30_000);
      theirs = others.execute(call(second.run, rest));
      await second.started;
      throw full();
    };
    const { platform, pass } = alarms();
    const guard = made.another({ store: { ...made.store, commit }, platform, waitMs: 0 });
    const first = gated();
    const running = guard.execute(call(first.run, rest));
    await first.started;
    const { signal } = first.starts[0]!.ctx;
    // Once, past the third of a lease after which a claim is renewed.
    await pass(10_000);
    await second.started;
    await quiet();
    return { ...made, others, broken, pass, first, second, running, theirs, signal };
  }

  const classes: readonly Rest[] = [
    { effect: "idempotent" },
    { effect: "keyed", keyTtlMs: 3_600_000 },
  ];

  test.each(classes)("is a claim lost, and no claim won: $effect", async (rest) => {
    const made = await overtaken(rest);
    expect(made.signal.aborted).toBe(true);
    expect(made.reports).toEqual([
      ["leaseLost", expect.objectContaining({ caseId: "r1", state: "EXECUTING" })],
    ]);
    made.first.finish("first");
    expect(await made.running).toMatchObject({ status: "in_progress" });
    expect(made.reported("duplicateEffect")).toBe(1);
    made.second.finish("second");
    expect(await made.theirs).toMatchObject({ receipt: { value: "second", fence: 2 } });
  });

  test.each(classes)(
    "does not hide the effect's end from its caller when the store takes nothing: $effect",
    async (rest) => {
      const made = await overtaken(rest);
      made.broken.commit = true;
      made.first.finish("first");
      // It ran, and its receipt can't be written: that is the answer, not a broken invariant.
      expect(await made.running).toMatchObject({
        status: "settled",
        recorded: false,
        receipt: { value: "first", fence: 1 },
      });
      made.second.finish("second");
      expect(await made.theirs).toMatchObject({ receipt: { value: "second", fence: 2 } });
      made.broken.commit = false;
      await made.pass(60_000);
      const last = (await made.others.history("r1")).at(-1);
      expect(last?.entry.event).toMatchObject({ type: "late_result", fence: 1, value: "first" });
      expect(await made.others.receipt("r1")).toMatchObject({ value: "second" });
      expect(made.reported("duplicateEffect")).toBe(1);
    },
  );
});

test("who asks a process whose claim is lost is told what others settled, while its effect still runs", async () => {
  const { another, turn, reported } = world();
  const { platform, pass } = alarms();
  const rest: Rest = { effect: "idempotent" };
  const guard = another({ platform, waitMs: 0 });
  const first = gated();
  const running = guard.execute(call(first.run, rest));
  await first.started;
  turn(30_000);
  const theirs = await another({ actor: "others" }).execute(call(() => "second", rest));
  await pass(10_000);
  expect(reported("leaseLost")).toBe(1);

  const third = counted(() => "third");
  const answer = await guard.execute(call(third.run, { ...rest, requestId: "r2", caseId: "r1" }));
  expect(answer).toEqual({ ...theirs, replayed: true });
  first.finish("first");
  expect(await running).toMatchObject({ receipt: { value: "second" } });
  expect(third.starts).toHaveLength(0);
});

test("a request id that could not be bound to a case is not remembered for it", async () => {
  const { guard, store, another } = world();
  const { platform } = alarms();
  let broken = false;
  const commit: Store["commit"] = async (steps) => {
    if (broken) throw full();
    return store.commit(steps);
  };
  const own = another({ store: { ...store, commit }, platform });
  const asFirst: Rest = { caseId: "c1" };
  const asSecond: Rest = { caseId: "c2" };
  const second = await guard.execute(call(() => "second", { ...asSecond, requestId: "r2" }));
  broken = true;
  const answer = await own.execute(call(() => "never", asSecond));
  expect(answer).toEqual({ ...second, replayed: true });
  broken = false;

  const first = await guard.execute(call(() => "first", asFirst));
  expect(await own.execute(call(() => "never", asFirst))).toEqual({ ...first, replayed: true });
  expect(await errorOf(own.execute(call(() => "never", asSecond)))).toMatchObject({
    code: "payload_conflict",
  });
});

describe("who joins a call and gets the receipt of an end without effect", () => {
  const twins = async (intent: { action?: string; payload?: unknown }) => {
    const { guard } = world();
    const options = { outcomes: ["go", "stop"], allow: ["go"], ...intent } as const;
    const kase = guard.case("c1", options);
    await kase.decide("stop", { by: "ann", reason: "no" });
    const ask = (requestId: string) => kase.settle(call(() => "never", { requestId }));
    return { guard, answers: await Promise.all([ask("r1"), ask("r2")]) };
  };

  test("finds it by its own request id", async () => {
    const { guard, answers } = await twins({ action: "pay", payload: { cents: 5 } });
    for (const [index, answer] of answers.entries()) {
      expect(answer.status).toBe("void");
      expect({ ...answer, receipt: await guard.receipt(`r${index + 1}`) }).toEqual(answers[0]);
    }
  });

  test("gets it also where the case ended before it held an action", async () => {
    const { answers } = await twins({});
    expect(answers[0]!.status).toBe("void");
    expect(answers[1]).toEqual(answers[0]);
  });
});

test("a guard that closes waits for an effect whose claim is lost, and its result counts", async () => {
  const { another, turn, reported } = world();
  const { platform, pass } = alarms();
  const guard = another({ platform });
  const effect = gated();
  const running = guard.execute(call(effect.run));
  await effect.started;
  turn(30_000);
  const others = another({ actor: "others" });
  expect(await others.reconcile()).toMatchObject({ doubted: 1 });
  await pass(10_000);
  expect(reported("leaseLost")).toBe(1);

  let closed = false;
  const closing = guard.close().then(() => {
    closed = true;
  });
  await quiet();
  expect(closed).toBe(false);
  effect.finish("late");
  await closing;
  expect(await running).toMatchObject({ status: "settled", recorded: true });
  expect(await others.receipt("r1")).toMatchObject({ value: "late", source: "late" });
});

test("a guard that closes waits for who joined a call and then runs the effect itself", async () => {
  const { store, another } = world();
  const slow = slowToTell(store, "commit", "EXECUTING");
  const guard = another({ store: slow.store });
  const effect = gated();
  const first = guard.execute(call(decline));
  await slow.done;
  const second = guard.execute(call(effect.run));
  let closed = false;
  const closing = guard.close().then(() => {
    closed = true;
  });
  slow.letGo();
  expect(await first).toMatchObject({ status: "not_performed" });
  await effect.started;
  await quiet();
  expect(closed).toBe(false);
  effect.finish("paid");
  expect(await second).toMatchObject({ status: "settled", recorded: true });
  await closing;
});
