import { describe, expect, test } from "vitest";
import { limits } from "../../src/core/limits.ts";
import {
  approval,
  createGuard,
  type Guard,
  GuardError,
  isGuardError,
  NotPerformed,
  type WrapRules,
} from "../../src/index.ts";
import { counted, gated, pause, until, world } from "./world.ts";

const nothing = { doubted: 0, settled: 0, released: 0, inDoubt: 0, expired: 0, failed: 0 };
const key = (payload: string) => payload;
const explode = (): string => {
  throw new Error("reset");
};

type Rest = Partial<WrapRules<string, unknown>>;

/** Brings a case of an action into doubt, on a guard that is then forgotten. */
async function doubt(guard: Guard, action: string, caseId: string, rest: Rest = {}) {
  const outcome = await guard.execute({
    requestId: caseId,
    action,
    payload: caseId,
    run: explode,
    waitMs: 0,
    ...rest,
  });
  expect(outcome.status).toBe("in_doubt");
}

const stateOf = async (guard: Guard, caseId: string) => (await guard.case(caseId).get())?.state;

describe("one sweep", () => {
  test("of an empty store does nothing", async () => {
    expect(await world().guard.reconcile()).toEqual(nothing);
  });

  test("leaves alone what is not due", async () => {
    const { guard, turn } = world();
    const effect = gated();
    const call = guard.execute({ requestId: "r1", action: "a", payload: 1, run: effect.run });
    await effect.started;
    await guard.execute({ requestId: "r2", action: "a", payload: 1, run: () => 1 });
    await guard.case("r3").get();
    const policy = approval({ expiresIn: 60_000 });
    await guard.case("r4", { policy }).get();
    await doubt(guard, "a", "r5", { probe: () => "absent", settlingMs: 60_000 });
    turn(29_999);
    expect(await guard.reconcile()).toEqual(nothing);
    effect.finish("done");
    await call;
  });

  test("counts each end by its name", async () => {
    const { guard, another, turn } = world();
    const lost = guard.execute({
      requestId: "lost",
      action: "unknown",
      payload: "lost",
      run: () => new Promise(() => {}),
    });
    void lost;
    await pause(1);
    const probe = () => "absent" as const;
    await doubt(guard, "found", "c1", { probe });
    await doubt(guard, "found", "c2", { probe });
    await doubt(guard, "gone", "c3", { probe });
    await doubt(guard, "silent", "c4", { probe });
    await doubt(guard, "again", "c5", { effect: "idempotent" });
    await doubt(guard, "opaque", "c6");
    await guard.case("c7", { policy: approval({ expiresIn: 100 }) }).get();
    turn(30_000);
    const worker = another();
    const found = () => ({ happened: true, value: "found" }) as const;
    const again = counted(() => "again");
    worker.wrap("found", { key, run: explode, probe: found });
    worker.wrap("gone", { key, run: explode, probe: () => "absent" });
    worker.wrap("silent", { key, run: explode, probe: () => "unknown" });
    worker.wrap("again", { key, run: again.run, effect: "idempotent" });
    worker.wrap("opaque", { key, run: again.run });
    expect(await worker.reconcile()).toEqual({
      doubted: 1,
      settled: 3,
      released: 1,
      inDoubt: 2,
      expired: 1,
      failed: 0,
    });
    const ids = ["lost", "c1", "c2", "c3", "c4", "c5", "c6", "c7"];
    expect(await Promise.all(ids.map((id) => stateOf(worker, id)))).toEqual([
      "IN_DOUBT",
      "SETTLED",
      "SETTLED",
      "FINAL",
      "IN_DOUBT",
      "SETTLED",
      "IN_DOUBT",
      "VOID",
    ]);
    expect(await worker.receipt("c1")).toMatchObject({ source: "probe", value: "found" });
    expect(again.starts.map(({ payload, ctx }) => [payload, ctx.caseId, ctx.fence])).toEqual([
      ["c5", "c5", 2],
    ]);
    // What is done is done, and what waits for a person is not looked at again.
    expect(await worker.reconcile()).toEqual(nothing);
  });

  test("a lost worker's case is probed by the sweep that follows its settling time", async () => {
    const { guard, another, turn } = world();
    const probe = () => ({ happened: true }) as const;
    void guard.execute({
      requestId: "c1",
      action: "pay",
      payload: "c1",
      run: () => new Promise(() => {}),
      probe,
      settlingMs: 1_000,
    });
    await pause(1);
    turn(30_000);
    const worker = another();
    worker.wrap("pay", { key, run: explode, probe });
    expect(await worker.reconcile()).toEqual({ ...nothing, doubted: 1, inDoubt: 1 });
    turn(999);
    expect(await worker.reconcile()).toEqual(nothing);
    turn(1);
    expect(await worker.reconcile()).toEqual({ ...nothing, settled: 1 });
  });

  test("runs a keyed effect again while its key lives, and never after", async () => {
    const { guard, another, turn } = world();
    const keyed = { effect: "keyed", keyTtlMs: 1_000 } as const;
    await doubt(guard, "pay", "c1", keyed);
    await doubt(guard, "pay", "c2", keyed);
    const worker = another();
    const effect = counted(() => "again");
    worker.wrap("pay", { key, run: effect.run, ...keyed });
    turn(999);
    // One of them only, by the ids: the other stays for later.
    await guard.resolve("c2", { happened: true }, { by: "ana", evidence: "seen" });
    expect(await worker.reconcile()).toEqual({ ...nothing, settled: 1 });
    await doubt(guard, "pay", "c3", keyed);
    turn(1_000);
    expect(await worker.reconcile()).toEqual({ ...nothing, inDoubt: 1 });
    expect(effect.starts).toHaveLength(1);
  });

  test("what it runs again may not happen: that says nothing of the run in doubt", async () => {
    const { guard, another } = world();
    await doubt(guard, "pay", "c1", { effect: "idempotent" });
    const worker = another();
    worker.wrap("pay", {
      key,
      effect: "idempotent",
      run: () => {
        throw new NotPerformed("busy", { final: true });
      },
    });
    expect(await worker.reconcile()).toEqual({ ...nothing, inDoubt: 1 });
    expect(await stateOf(guard, "c1")).toBe("IN_DOUBT");
  });

  test("only what this guard wrapped is probed or run again", async () => {
    const { guard, another, turn } = world();
    let asked = 0;
    const probe = () => {
      asked += 1;
      return "absent" as const;
    };
    await doubt(guard, "pay", "c1", { probe });
    await doubt(guard, "send", "c2", { effect: "idempotent" });
    turn(30_000);
    expect(await another().reconcile()).toEqual({ ...nothing, inDoubt: 2 });
    const worker = another();
    worker.wrap("other", { key, run: explode, probe });
    expect(await worker.reconcile()).toEqual({ ...nothing, inDoubt: 2 });
    expect(asked).toBe(0);
    worker.wrap("pay", { key, run: explode, probe });
    expect(await worker.reconcile()).toEqual({ ...nothing, released: 1, inDoubt: 1 });
    expect(asked).toBe(1);
  });

  test("an approval that nobody gave in time ends the case", async () => {
    const { guard, turn } = world();
    const run = counted(() => 1).run;
    const call = { requestId: "c1", action: "pay", payload: 1, run } as const;
    const policy = approval({ expiresIn: 1_000 });
    expect((await guard.execute({ ...call, policy })).status).toBe("pending");
    turn(999);
    expect(await guard.reconcile()).toEqual(nothing);
    turn(1);
    expect(await guard.reconcile()).toEqual({ ...nothing, expired: 1 });
    expect(await guard.execute({ ...call, policy })).toMatchObject({
      status: "void",
      receipt: { reason: "expired" },
      next: expect.stringMatching(/^Nothing was executed, and nothing will be: nobody approved/),
    });
  });

  test("a probe that fails is reported and tried later, ever later", async () => {
    const { guard, another, turn, now, reports } = world();
    const failing = () => {
      throw new Error("the provider is down");
    };
    await doubt(guard, "pay", "c1", { probe: failing });
    const worker = another();
    worker.wrap("pay", { key, run: explode, probe: failing });
    const pauses: number[] = [];
    for (let probes = 1; probes <= 30; probes += 1) {
      const kase = await worker.case("c1").get();
      if (kase?.state !== "IN_DOUBT") throw new Error(kase?.state);
      turn((kase.doubt.probeAt ?? 0) - now());
      expect(await worker.reconcile()).toEqual({ ...nothing, inDoubt: 1 });
      const after = await worker.case("c1").get();
      if (after?.state !== "IN_DOUBT") throw new Error(after?.state);
      expect(after.doubt.probes).toBe(probes);
      pauses.push((after.doubt.probeAt ?? 0) - now());
      expect(await worker.reconcile()).toEqual(nothing);
    }
    // Doubling from a second to an hour, each shortened by up to a half.
    for (const [index, pauseMs] of pauses.entries()) {
      const longest = Math.min(3_600_000, 1_000 * 2 ** Math.min(12, index));
      expect(pauseMs).toBeGreaterThanOrEqual(longest / 2);
      expect(pauseMs).toBeLessThanOrEqual(longest);
    }
    expect(reports).toHaveLength(30);
    expect(reports[0]).toEqual(["failed", "probe", new Error("the provider is down")]);
  });

  test("one case that can't be looked after doesn't hold up the others", async () => {
    const { store, guard, another, turn, reports } = world();
    await doubt(guard, "pay", "c1", { effect: "idempotent" });
    await doubt(guard, "pay", "c2", { effect: "idempotent" });
    turn(1);
    const read: typeof store.read = async (ids) => {
      if (ids.caseId === "c1") throw new Error("a broken page");
      return store.read(ids);
    };
    const worker = another({ store: { ...store, read } });
    worker.wrap("pay", { key, run: () => "again", effect: "idempotent" });
    expect(await worker.reconcile()).toEqual({ ...nothing, settled: 1, failed: 1 });
    expect(reports).toEqual([["failed", "sweep", new Error("a broken page")]]);
  });

  test("a record that isn't understood is reported, and doesn't hold up the others", async () => {
    const { guard, store, another, reports } = world();
    await doubt(guard, "pay", "c1", { effect: "idempotent" });
    const damaged = new GuardError("store_corrupt", "A record is not understood.");
    const list: typeof store.list = async (query) => {
      if (query.refused === undefined) throw damaged;
      query.refused(damaged, "c0");
      return store.list(query);
    };
    const worker = another({ store: { ...store, list } });
    worker.wrap("pay", { key, run: () => "again", effect: "idempotent" });
    expect(await worker.reconcile()).toEqual({ ...nothing, settled: 1, failed: 1 });
    expect(reports).toEqual([["failed", "sweep", damaged]]);
  });

  test("asks for no case of a worker's, however many wait before what it looks for", async () => {
    const { guard, store, turn } = world();
    for (let index = 0; index < limits.pageRows + 5; index += 1) {
      await guard.enqueue({ requestId: `q${index}`, action: "send", payload: index });
    }
    await doubt(guard, "pay", "c1", { effect: "idempotent" });
    turn(1);
    let rows = 0;
    const list: typeof store.list = async (query) => {
      const page = await store.list(query);
      rows += page.items.length;
      return page;
    };
    const worker = createGuard({ store: { ...store, list } });
    worker.wrap("pay", { key, run: () => "again", effect: "idempotent" });
    expect(await worker.reconcile()).toEqual({ ...nothing, settled: 1 });
    expect(rows).toBe(1);
  });

  test("sees every due case, more than one page of them", async () => {
    const { guard, store } = world();
    let pages = 0;
    const list: typeof store.list = async (query) => {
      pages += 1;
      return store.list({ ...query, limit: 2 });
    };
    const ids = ["c1", "c2", "c3", "c4", "c5"];
    for (const id of ids) await doubt(guard, "pay", id, { effect: "idempotent" });
    const worker = world().another({ store: { ...store, list } });
    worker.wrap("pay", { key, run: () => "again", effect: "idempotent" });
    expect(await worker.reconcile()).toEqual({ ...nothing, settled: 5 });
    expect(pages).toBe(3);
  });
});

describe("work", () => {
  test("sweeps until its signal is aborted", async () => {
    const { guard, another } = world();
    const worker = another();
    const effect = counted(() => "again");
    worker.wrap("pay", { key, run: effect.run, effect: "idempotent" });
    const end = new AbortController();
    const work = worker.work({ signal: end.signal, everyMs: 1 });
    for (const id of ["c1", "c2"]) {
      await doubt(guard, "pay", id, { effect: "idempotent" });
      await until(async () => (await stateOf(guard, id)) === "SETTLED");
    }
    end.abort();
    await work;
    await doubt(guard, "pay", "c3", { effect: "idempotent" });
    await pause(10);
    expect(await stateOf(guard, "c3")).toBe("IN_DOUBT");
  });

  test("ends at once where its signal was aborted before, and where the guard was closed", async () => {
    const { guard, store } = world();
    let sweeps = 0;
    const list = store.list.bind(store);
    store.list = (query) => {
      sweeps += 1;
      return list(query);
    };
    await guard.work({ signal: AbortSignal.abort() });
    await guard.close();
    await guard.work();
    expect(sweeps).toBe(0);
  });

  test("ends when the guard is closed, out of a long rest", async () => {
    const { guard, reports } = world();
    const work = guard.work({ everyMs: 3_600_000 });
    await pause(5);
    await guard.close();
    await work;
    expect(reports).toEqual([]);
  });

  test("ends by its signal out of a long rest", async () => {
    const { guard } = world();
    const end = new AbortController();
    const work = guard.work({ everyMs: 3_600_000, signal: end.signal });
    await pause(5);
    end.abort();
    await work;
  });

  test("looks after the actions it is given, and only doubts the rest", async () => {
    const { guard, another, turn } = world();
    await doubt(guard, "pay", "c1", { effect: "idempotent" });
    await doubt(guard, "send", "c2", { effect: "idempotent" });
    void guard.execute({
      requestId: "c3",
      action: "send",
      payload: "c3",
      run: () => new Promise(() => {}),
      effect: "idempotent",
    });
    await pause(1);
    turn(30_000);
    const worker = another();
    const rules = { key, run: () => "again", effect: "idempotent" } as const;
    const pay = worker.wrap("pay", rules);
    worker.wrap("send", rules);
    const end = new AbortController();
    const work = worker.work({ actions: [pay], signal: end.signal, everyMs: 1 });
    await until(async () => (await stateOf(guard, "c1")) === "SETTLED");
    await until(async () => (await stateOf(guard, "c3")) === "IN_DOUBT");
    await pause(10);
    end.abort();
    await work;
    expect(await stateOf(guard, "c2")).toBe("IN_DOUBT");
    expect(await stateOf(guard, "c3")).toBe("IN_DOUBT");
  });

  test("a sweep that fails is reported, and the next one is made", async () => {
    const { store, another, reports, reported } = world();
    const list: typeof store.list = async () => {
      throw new Error("the disk is gone");
    };
    const worker = another({ store: { ...store, list } });
    const end = new AbortController();
    const work = worker.work({ signal: end.signal, everyMs: 1 });
    await until(() => reported("failed") >= 2);
    end.abort();
    await work;
    expect(reports[0]).toEqual(["failed", "sweep", new Error("the disk is gone")]);
  });

  test.each([0, -1, 0.5, Number.NaN])("every %s ms is refused", async (everyMs) => {
    const { guard } = world();
    const error = await guard.work({ everyMs }).catch((reason: unknown) => reason);
    expect(isGuardError(error, "invalid_request")).toBe(true);
  });
});
