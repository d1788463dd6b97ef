import { describe, expect, test } from "vitest";
import { defaults, limits } from "../../src/core/limits.ts";
import { approval, type Guard, manual, NotPerformed, type Platform } from "../../src/index.ts";
import { counted, errorOf, gated, pause, until, world } from "./world.ts";

const key = (id: string) => id;

const enqueue = (guard: Guard, id: string, more: object = {}) =>
  guard.enqueue({ requestId: id, action: "send", payload: id, ...more });

const stateOf = async (guard: Guard, id: string) => (await guard.case(id).get())?.state;

/** Works until what it is for has been seen; everything is written down when it resolves. */
async function working(worker: Guard, is: () => boolean | Promise<boolean>, options = {}) {
  const end = new AbortController();
  const work = worker.work({ signal: end.signal, everyMs: 1, ...options });
  await until(is);
  end.abort();
  await work;
}

describe("enqueue", () => {
  test("opens a case for a worker, and runs nothing", async () => {
    const { guard, store, now } = world();
    const outcome = await enqueue(guard, "q1");
    expect(outcome).toMatchObject({
      status: "pending",
      effect: "none",
      case: { caseId: "q1", state: "FINAL", action: "send" },
    });
    expect(outcome).toHaveProperty("next", expect.stringContaining("a worker runs it."));
    expect(await guard.case("q1").get()).toMatchObject({ runAt: now(), intent: { queued: "q1" } });
    const { items } = await store.list({ namespace: "default", dueBy: now() });
    expect(items.map(({ caseId }) => caseId)).toEqual(["q1"]);
  });

  test("the same again changes nothing; once it has run, it answers with the receipt", async () => {
    const { guard, another } = world();
    await enqueue(guard, "q1");
    expect(await enqueue(guard, "q1")).toMatchObject({ status: "pending" });
    expect(await guard.history("q1")).toHaveLength(1);
    const worker = another();
    worker.wrap("send", { key, run: () => "sent" });
    await working(worker, async () => (await stateOf(guard, "q1")) === "SETTLED");
    expect(await enqueue(guard, "q1")).toMatchObject({ status: "settled", replayed: true });
  });

  test("another payload or policy under the id is a conflict, and changes nothing", async () => {
    const { guard, reported } = world();
    await enqueue(guard, "q1");
    for (const other of [{ payload: "else" }, { action: "pay" }, { policy: manual() }]) {
      expect((await errorOf(enqueue(guard, "q1", other))).code).toBe("payload_conflict");
    }
    await enqueue(guard, "q2");
    const elsewhere = await errorOf(enqueue(guard, "q1", { caseId: "q2" }));
    expect(elsewhere.code).toBe("payload_conflict");
    expect(reported("conflict")).toBe(2);
    expect(await guard.history("q1")).toHaveLength(1);
  });

  test("another request for the case finds the one receipt by its own name", async () => {
    const { guard, another } = world();
    await enqueue(guard, "r1", { caseId: "c1", payload: "p" });
    await enqueue(guard, "r2", { caseId: "c1", payload: "p" });
    const worker = another();
    const effect = counted(() => "sent");
    worker.wrap("send", { key, run: effect.run });
    await working(worker, async () => (await stateOf(guard, "c1")) === "SETTLED");
    expect(effect.starts).toHaveLength(1);
    expect(effect.starts[0]?.ctx.requestId).toBe("r1");
    expect(await guard.receipt("r2")).toEqual(await guard.receipt("r1"));
  });

  test("waits for its policy, and then runs by itself", async () => {
    const { guard, another } = world();
    const worker = another();
    const effect = counted(() => "sent");
    worker.wrap("send", { key, run: effect.run });
    const outcome = await enqueue(guard, "q1", { policy: approval({ from: ["ana"] }) });
    expect(outcome).toMatchObject({ status: "pending", case: { state: "OPEN" } });
    expect(outcome).toHaveProperty("next", expect.stringContaining("when it is final"));
    await working(worker, () => pause(120).then(() => true));
    expect(effect.starts).toHaveLength(0);
    await guard.approve("q1", { actor: "ana" });
    await working(worker, async () => (await stateOf(guard, "q1")) === "SETTLED");
    expect(effect.starts).toHaveLength(1);
  });

  test("brings the action to a case that was opened without one", async () => {
    const { guard } = world();
    const kase = guard.case("c1", { policy: manual(), outcomes: ["YES"] });
    await kase.get();
    expect(await enqueue(guard, "c1")).toMatchObject({
      status: "pending",
      case: { state: "OPEN" },
    });
    await kase.decide("YES", { by: "ana", reason: "seen" });
    expect(await kase.get()).toMatchObject({ state: "FINAL", intent: { queued: "c1" } });
  });

  test("what a caller asked for first is his to run: it says so", async () => {
    const { guard } = world();
    const call = { requestId: "c1", action: "send", payload: "c1" };
    const run = () => {
      throw new NotPerformed("no");
    };
    await guard.execute({ ...call, run });
    const error = await errorOf(enqueue(guard, "c1"));
    expect(error).toMatchObject({ code: "held", effect: "none" });
    expect(error.message).toContain("no worker will");
  });

  test("a caller may run what is queued himself; the worker then finds it done", async () => {
    const { guard, another } = world();
    await enqueue(guard, "q1");
    const run = () => "by hand";
    const call = { requestId: "q1", action: "send", payload: "q1", run };
    expect(await guard.execute(call)).toMatchObject({ status: "settled", replayed: false });
    const worker = another();
    const effect = counted(() => "again");
    worker.wrap("send", { key, run: effect.run });
    await working(worker, () => pause(120).then(() => true));
    expect(effect.starts).toHaveLength(0);
  });

  test.each([
    ["no call", undefined],
    ["no request id", { action: "send", payload: 1 }],
    ["no action", { requestId: "q1", payload: 1 }],
    ["no payload", { requestId: "q1", action: "send" }],
    ["no policy", { requestId: "q1", action: "send", payload: 1, policy: { kind: "vibes" } }],
    ["no pointers", { requestId: "q1", action: "send", payload: 1, ignore: "note" }],
  ])("%s: refused", async (_what, call) => {
    const { guard } = world();
    expect((await errorOf(guard.enqueue(call as never))).code).toBe("invalid_request");
    expect((await guard.list()).items).toEqual([]);
  });

  test.each([undefined, null, 7, "BEGIN"])("%s is no transaction", async (tx) => {
    const { guard } = world();
    const call = { requestId: "q1", action: "send", payload: 1 };
    expect((await errorOf(guard.enqueue(tx as never, call))).code).toBe("invalid_request");
  });

  test("a store without transactions refuses one", async () => {
    const { guard } = world();
    const call = { requestId: "q1", action: "send", payload: 1 };
    const error = await errorOf(guard.enqueue({}, call));
    expect(error.message).toContain("no transactions");
    await guard.close();
    expect((await errorOf(guard.enqueue(call))).code).toBe("store_unavailable");
  });
});

describe("a worker", () => {
  test("runs what is queued of its actions, once, under the queue's own request", async () => {
    const { guard, another } = world();
    const worker = another({ actor: "worker" });
    const effect = counted((start) => start);
    const send = worker.wrap("send", { key, run: effect.run });
    worker.wrap("pay", { key, run: effect.run });
    const ids = Array.from({ length: 20 }, (_, index) => `q${index}`);
    for (const id of ids) await enqueue(guard, id);
    await enqueue(guard, "other", { action: "pay" });
    await enqueue(guard, "nobody's", { action: "print" });
    await working(worker, () => effect.starts.length >= 20, { actions: [send] });
    expect(effect.starts.map(({ payload }) => payload).sort()).toEqual([...ids].sort());
    expect(await guard.receipt("q3")).toMatchObject({ requestId: "q3", by: "worker", fence: 1 });
    expect(await stateOf(guard, "other")).toBe("FINAL");
    expect(await stateOf(guard, "nobody's")).toBe("FINAL");
  });

  test("is woken by the store's hint, long before its interval is over", async () => {
    const { guard, another } = world();
    const worker = another();
    const effect = counted(() => "sent");
    worker.wrap("send", { key, run: effect.run });
    const end = new AbortController();
    const work = worker.work({ signal: end.signal, everyMs: 3_600_000 });
    for (let round = 0; round < 3; round += 1) {
      await pause(20);
      await enqueue(guard, `q${round}`);
      await until(() => effect.starts.length === round + 1);
    }
    end.abort();
    await work;
  });

  test("hints can't spin it: after each look it rests, whatever comes", async () => {
    const { store, another } = world();
    const steps: string[] = [];
    const list: typeof store.list = (query) => {
      if (query.states?.[0] === "FINAL") steps.push("look");
      return store.list(query);
    };
    let hint = () => {};
    const subscribe = (listener: () => void) => {
      hint = listener;
      return () => undefined;
    };
    const after: Platform["after"] = (ms, _, call) => {
      if (ms === limits.queueLookMs) steps.push("rest");
      const timer = setTimeout(call, ms);
      return () => clearTimeout(timer);
    };
    const worker = another({ store: { ...store, list, subscribe }, platform: { after } });
    worker.wrap("send", { key, run: () => 1 });
    const end = new AbortController();
    const work = worker.work({ signal: end.signal, everyMs: 3_600_000 });
    while (steps.length < 8) {
      hint();
      await pause(1);
    }
    end.abort();
    await work;
    expect(steps.slice(0, 8).join(" ")).toBe("look rest look rest look rest look rest");
  });

  test.each([
    [1, 1],
    [3, 3],
    [undefined, defaults.concurrency],
  ])("told to run %s at a time, it runs %s", async (concurrency, wanted) => {
    const { guard, another } = world();
    const worker = another();
    let running = 0;
    let most = 0;
    let done = 0;
    const run = async () => {
      running += 1;
      most = Math.max(most, running);
      await pause(5);
      running -= 1;
      done += 1;
    };
    worker.wrap("send", { key, run });
    for (let index = 0; index < 12; index += 1) await enqueue(guard, `q${index}`);
    await working(worker, () => done === 12, concurrency === undefined ? {} : { concurrency });
    expect(most).toBe(wanted);
  });

  test("finds what comes due without a hint", async () => {
    const { guard, store, another, turn } = world();
    await enqueue(guard, "q1");
    const { subscribe: _, ...deaf } = store;
    const worker = another({ store: deaf });
    const effect = counted((start) => {
      if (start === 1) throw new NotPerformed("not now");
    });
    worker.wrap("send", { key, run: effect.run });
    const end = new AbortController();
    const work = worker.work({ signal: end.signal, everyMs: 3_600_000 });
    await until(() => effect.starts.length === 1);
    turn(1_000);
    await until(async () => (await stateOf(guard, "q1")) === "SETTLED");
    end.abort();
    await work;
  });

  test("takes them in an order of its own", async () => {
    const { guard, another } = world();
    const order: unknown[] = [];
    const shares = [0.9, 0.1, 0.5];
    const worker = another({ platform: { jitter: () => shares.shift() ?? 0.5 } });
    worker.wrap("send", { key, run: (payload: string) => void order.push(payload) });
    for (const id of ["q1", "q2", "q3"]) await enqueue(guard, id);
    // Its sweep asks for chance first.
    shares.unshift();
    await working(worker, () => order.length === 3, { concurrency: 1 });
    expect([...order].sort()).toEqual(["q1", "q2", "q3"]);
    expect(order).not.toEqual(["q1", "q2", "q3"]);
  });

  test("goes through more than a page", async () => {
    const { guard, another } = world();
    const worker = another();
    const effect = counted(() => 1);
    worker.wrap("send", { key, run: effect.run });
    const count = limits.queuePage + 40;
    for (let index = 0; index < count; index += 1) await enqueue(guard, `q${index}`);
    await working(worker, () => effect.starts.length >= count, { concurrency: 100 });
    expect(effect.starts).toHaveLength(count);
    expect((await guard.list({ states: ["SETTLED"], limit: 1_000 })).items).toHaveLength(count);
  });

  test("one that is behind takes no case that another has put off meanwhile", async () => {
    const { guard, store, another } = world({ platform: { jitter: () => 0.5 } });
    await enqueue(guard, "q1");
    const effect = counted(() => {
      throw new NotPerformed("not now");
    });
    const first = another();
    first.wrap("send", { key, run: effect.run });
    const late = counted(() => "sent");
    // Between its look and its claim the first one tries, and fails.
    let read = store.read.bind(store);
    const second = another({
      store: {
        ...store,
        async read(ids) {
          const found = await read(ids);
          if (effect.starts.length === 0 && ids.caseId === "q1") {
            read = store.read.bind(store);
            await working(first, () => effect.starts.length === 1);
          }
          return found;
        },
      },
    });
    second.wrap("send", { key, run: late.run });
    await working(second, async () => {
      await pause(150);
      return effect.starts.length === 1;
    });
    expect(late.starts).toHaveLength(0);
    expect(await guard.case("q1").get()).toMatchObject({
      state: "FINAL",
      past: { claim: { fence: 1 } },
    });
  });

  test("a store that fails is reported, and looked at again", async () => {
    const { guard, store, another, reported } = world();
    await enqueue(guard, "q1");
    let fails = 2;
    const list: typeof store.list = async (query) => {
      if (query.states?.[0] === "FINAL" && fails-- > 0) throw new Error("the disk is gone");
      return store.list(query);
    };
    const worker = another({ store: { ...store, list } });
    const effect = counted(() => 1);
    worker.wrap("send", { key, run: effect.run });
    await working(worker, () => effect.starts.length === 1);
    expect(reported("failed")).toBe(2);
  });
});

describe("a queued case that is not performed", () => {
  const refusing = () => {
    throw new NotPerformed("no stock");
  };

  test.each([
    [0, [0, 0, 0, 0]],
    [0.999999, [1_000, 2_000, 4_000, 8_000]],
    [0.5, [500, 1_000, 2_000, 4_000]],
  ])("comes back after a pause that doubles, by chance %s of it", async (share, pauses) => {
    const { guard, another, turn, now } = world({ platform: { jitter: () => share } });
    await enqueue(guard, "q1");
    const effect = counted(refusing);
    const worker = another();
    worker.wrap("send", { key, run: effect.run });
    for (const [index, ms] of pauses.entries()) {
      const ends = async () => {
        const kase = await guard.case("q1").get();
        return kase?.state === "FINAL" && kase.past?.claim.fence === index + 1;
      };
      const end = new AbortController();
      if (share === 0) break;
      const work = worker.work({ signal: end.signal, everyMs: 1 });
      await until(ends);
      expect(await guard.case("q1").get()).toMatchObject({ runAt: now() + ms });
      await pause(120);
      expect(effect.starts).toHaveLength(index + 1);
      turn(ms);
      end.abort();
      await work;
    }
    if (share > 0) return;
    // At once each time: nothing keeps it from its last attempt.
    await working(worker, async () => (await stateOf(guard, "q1")) === "VOID");
    expect(effect.starts).toHaveLength(defaults.maxAttempts);
  });

  test("never pauses for more than an hour", async () => {
    const { guard, another, turn, now } = world({ platform: { jitter: () => 1 } });
    await enqueue(guard, "q1");
    const worker = another();
    worker.wrap("send", { key, run: refusing, maxAttempts: 100 });
    const end = new AbortController();
    const work = worker.work({ signal: end.signal, everyMs: 1 });
    let longest = 0;
    for (let attempt = 1; attempt <= 15; attempt += 1) {
      await until(async () => {
        const kase = await guard.case("q1").get();
        return kase?.state === "FINAL" && kase.past?.claim.fence === attempt;
      });
      const kase = await guard.case("q1").get();
      const ms = kase?.state === "FINAL" ? (kase.runAt ?? 0) - now() : 0;
      longest = Math.max(longest, ms);
      turn(ms);
    }
    end.abort();
    await work;
    expect(longest).toBe(3_600_000);
  });

  test.each([
    [1, {}],
    [3, { maxAttempts: 3 }],
  ])("is void after %s attempts", async (attempts, rules) => {
    const { guard, another, turn } = world();
    await enqueue(guard, "q1");
    const effect = counted(refusing);
    const worker = another();
    worker.wrap("send", { key, run: effect.run, maxAttempts: attempts, ...rules });
    await working(worker, async () => {
      turn(3_600_000);
      return (await stateOf(guard, "q1")) === "VOID";
    });
    expect(effect.starts).toHaveLength(attempts);
    expect(await guard.receipt("q1")).toMatchObject({
      effect: "none",
      reason: "not_performed",
      note: "no stock",
    });
  });

  test("says that a worker tries again, to a caller who ran it himself", async () => {
    const { guard } = world();
    await enqueue(guard, "q1");
    const call = { requestId: "q1", action: "send", payload: "q1", run: refusing };
    const outcome = await guard.execute(call);
    expect(outcome).toMatchObject({ status: "not_performed" });
    expect(outcome).toHaveProperty("next", expect.stringContaining("a worker tries it again"));
  });
});

describe("doubts", () => {
  test("an opaque case in doubt is never run again", async () => {
    const { guard, another } = world();
    await enqueue(guard, "q1");
    const effect = counted(() => {
      throw new Error("socket hang up");
    });
    const worker = another();
    worker.wrap("send", { key, run: effect.run });
    await working(worker, async () => (await stateOf(guard, "q1")) === "IN_DOUBT");
    await working(worker, () => pause(150).then(() => true));
    expect(effect.starts).toHaveLength(1);
  });

  test("what is run again without success is left alone for longer each time", async () => {
    const { guard, another, turn } = world();
    await enqueue(guard, "q1");
    const effect = counted(() => {
      throw new Error("socket hang up");
    });
    const worker = another();
    worker.wrap("send", { key, run: effect.run, effect: "idempotent" });
    const end = new AbortController();
    const work = worker.work({ signal: end.signal, everyMs: 1 });
    // The first again comes at once.
    await until(() => effect.starts.length === 2);
    for (const [index, ms] of [1_000, 2_000, 4_000].entries()) {
      turn(ms - 1);
      await pause(60);
      expect(effect.starts).toHaveLength(index + 2);
      turn(1);
      await until(() => effect.starts.length === index + 3);
    }
    end.abort();
    await work;
    // One sweep by hand does what it is told to.
    await worker.reconcile();
    expect(effect.starts).toHaveLength(6);
  });
});

describe("the end of a worker", () => {
  test("takes nothing new, and waits for what runs to be written", async () => {
    const { guard, another } = world();
    for (const id of ["q1", "q2", "q3"]) await enqueue(guard, id);
    const worker = another();
    const gate = gated();
    worker.wrap("send", { key, run: gate.run });
    const end = new AbortController();
    let ended = false;
    const work = worker.work({ signal: end.signal, everyMs: 1, concurrency: 2 }).then(() => {
      ended = true;
    });
    await until(() => gate.starts.length === 2);
    end.abort();
    await pause(80);
    expect([gate.starts.length, ended]).toEqual([2, false]);
    expect(gate.starts.map(({ ctx }) => ctx.signal.aborted)).toEqual([false, false]);
    gate.finish("sent");
    await work;
    expect((await guard.list({ states: ["SETTLED"] })).items).toHaveLength(2);
    expect((await guard.list({ states: ["FINAL"] })).items).toHaveLength(1);
    expect((await guard.list({ states: ["IN_DOUBT", "EXECUTING"] })).items).toEqual([]);
  });

  test("waits for the last one, though it has places left", async () => {
    const { guard, another } = world();
    await enqueue(guard, "q1");
    const worker = another();
    const gate = gated();
    worker.wrap("send", { key, run: gate.run });
    const end = new AbortController();
    let ended = false;
    const work = worker.work({ signal: end.signal, everyMs: 1 }).then(() => {
      ended = true;
    });
    await gate.started;
    await pause(80);
    end.abort();
    await pause(80);
    expect(ended).toBe(false);
    gate.finish("sent");
    await work;
    expect(await stateOf(guard, "q1")).toBe("SETTLED");
  });

  test("by closing its guard, too", async () => {
    const { guard, another, reports } = world();
    for (const id of ["q1", "q2"]) await enqueue(guard, id);
    const worker = another();
    const gate = gated();
    worker.wrap("send", { key, run: gate.run });
    const work = worker.work({ everyMs: 1, concurrency: 1 });
    await gate.started;
    const closed = worker.close();
    await pause(20);
    gate.finish("sent");
    await closed;
    await work;
    expect(gate.starts).toHaveLength(1);
    expect((await guard.list({ states: ["SETTLED"] })).items).toHaveLength(1);
    expect((await guard.list({ states: ["FINAL"] })).items).toHaveLength(1);
    expect(reports).toEqual([]);
  });

  test("control: one that is not waited for leaves a doubt", async () => {
    const { guard, another, turn } = world();
    await enqueue(guard, "q1");
    const worker = another();
    const gate = gated();
    worker.wrap("send", { key, run: gate.run });
    void worker.work({ everyMs: 1 });
    await gate.started;
    turn(30_000);
    const other = another();
    await other.reconcile();
    expect(await stateOf(guard, "q1")).toBe("IN_DOUBT");
    gate.finish("sent");
    await worker.close();
  });
});

describe("options", () => {
  test.each([0, -1, 0.5, Number.NaN, limits.workersAtOnce + 1])(
    "%s at a time is refused",
    async (concurrency) => {
      const { guard } = world();
      expect((await errorOf(guard.work({ concurrency }))).code).toBe("invalid_request");
    },
  );

  test("as many as the limit are not", async () => {
    const { guard } = world();
    await guard.work({ concurrency: limits.workersAtOnce, signal: AbortSignal.abort() });
  });

  test.each([0, 1.5, limits.claimsPerCase + 1])("%s attempts are refused", async (maxAttempts) => {
    const { guard } = world();
    const rules = { key, run: () => 1, maxAttempts };
    expect((await errorOf(() => guard.wrap("send", rules))).code).toBe("invalid_request");
  });

  test("the defaults are those that are documented", () => {
    expect(defaults).toMatchObject({ concurrency: 8, maxAttempts: 10 });
  });
});
