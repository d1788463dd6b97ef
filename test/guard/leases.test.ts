import { describe, expect, test } from "vitest";
import type { Call, Guard, Run } from "../../src/index.ts";
import { gated, pause, until, type World, world } from "./world.ts";

const ask = (run: Run<unknown, unknown>, rest: Partial<Call<unknown, unknown>> = {}) => ({
  requestId: "r1",
  action: "pay",
  payload: null,
  run,
  ...rest,
});

const leaseMs = 60;

async function caseOf(guard: Guard) {
  const kase = await guard.case("r1").get();
  if (kase === undefined) throw new Error("there is no case");
  return kase;
}

const typesOf = async (guard: Guard) =>
  (await guard.history("r1")).map(({ entry }) => entry.event.type);

/** A case whose worker was not heard of for a whole lease, while its effect still runs. */
async function lost(made: World, rest: Partial<Call<unknown, unknown>> = {}) {
  const { guard, turn, another } = made;
  const effect = gated();
  const call = guard.execute(ask(effect.run, rest));
  await effect.started;
  turn(30_000);
  const other = another();
  await other.reconcile();
  expect((await caseOf(other)).state).toBe("IN_DOUBT");
  return { effect, call, other };
}

describe("a lease that is renewed", () => {
  test("an effect longer than its lease keeps it, and no one takes it over", async () => {
    const made = world({ leaseMs });
    const { guard, turn, now, another } = made;
    const effect = gated();
    const call = guard.execute(ask(effect.run));
    await effect.started;
    const other = another();
    for (let lease = 0; lease < 3; lease += 1) {
      turn(leaseMs - 1);
      await until(async () => {
        const kase = await caseOf(guard);
        return kase.state === "EXECUTING" && kase.leaseUntil === now() + leaseMs;
      });
      expect(await other.reconcile()).toMatchObject({ doubted: 0 });
    }
    effect.finish("done");
    expect(await call).toMatchObject({
      status: "settled",
      receipt: { fence: 1, source: "effect" },
    });
    expect(made.reports).toEqual([]);
  });

  test("renewals are not journaled: no entry of theirs, and gaps in the versions", async () => {
    const { guard } = world({ leaseMs });
    const effect = gated();
    const call = guard.execute(ask(effect.run));
    await effect.started;
    await until(async () => (await caseOf(guard)).version >= 3);
    effect.finish("done");
    await call;
    expect(await typesOf(guard)).toEqual(["claim", "settle"]);
    const versions = (await guard.history("r1")).map(({ entry }) => entry.version);
    const { version, entries } = await caseOf(guard);
    expect(versions).toEqual([1, version]);
    expect(version).toBeGreaterThanOrEqual(4);
    expect(entries).toBe(2);
  });

  test("a late signal in between doesn't cost the lease", async () => {
    const { guard, reports } = world({ leaseMs });
    const effect = gated();
    const kase = guard.case("r1", { outcomes: ["YES"] });
    await kase.decide("YES", { by: "ana", reason: "seen" });
    const call = kase.settle(ask(effect.run));
    await effect.started;
    const { version } = await caseOf(guard);
    expect((await kase.signal({ source: "s", outcome: "YES" })).status).toBe("late");
    await until(async () => (await caseOf(guard)).version >= version + 3);
    effect.finish("done");
    expect(await call).toMatchObject({ status: "settled" });
    expect(reports).toEqual([]);
  });

  test("a renewal that fails is reported, tried again, and the effect goes on", async () => {
    const { store, another, reported } = world({ leaseMs: 1_500 });
    let failing = true;
    const commit: typeof store.commit = async (steps) => {
      if (failing && steps[0]?.entry === null) throw new Error("the disk is gone");
      return store.commit(steps);
    };
    const guard = another({ store: { ...store, commit } });
    const effect = gated();
    const call = guard.execute(ask(effect.run));
    await effect.started;
    // The first that fails leaves two thirds of the lease, however busy the machine is.
    await until(() => reported("failed") >= 1);
    expect(effect.starts[0]?.ctx.signal.aborted).toBe(false);
    failing = false;
    await until(async () => (await caseOf(guard)).version >= 2);
    effect.finish("done");
    expect(await call).toMatchObject({ status: "settled" });
    expect(reported("leaseLost")).toBe(0);
  });
});

describe("a lease that is lost", () => {
  test("aborts the effect's signal and is reported, once", async () => {
    const { guard, turn, another, reports, reported } = world({ leaseMs });
    const effect = gated();
    const call = guard.execute(ask(effect.run));
    await effect.started;
    const { signal } = effect.starts[0]!.ctx;
    turn(leaseMs);
    expect(await another().reconcile()).toMatchObject({ doubted: 1, inDoubt: 1 });
    expect(signal.aborted).toBe(false);
    await until(() => signal.aborted);
    await pause(leaseMs);
    expect(reported("leaseLost")).toBe(1);
    expect(reports).toEqual([
      ["leaseLost", expect.objectContaining({ caseId: "r1", state: "IN_DOUBT", action: "pay" })],
    ]);
    effect.fail(new Error("aborted"));
    expect(await call).toMatchObject({ status: "in_doubt" });
    expect(await typesOf(guard)).toEqual(["claim", "lease_ended"]);
  });

  test("is not lost a millisecond too soon", async () => {
    const { guard, turn, another } = world();
    const effect = gated();
    const call = guard.execute(ask(effect.run));
    await effect.started;
    turn(29_999);
    expect(await another().reconcile()).toMatchObject({ doubted: 0 });
    turn(1);
    expect(await another().reconcile()).toMatchObject({ doubted: 1 });
    effect.finish("done");
    await call;
  });

  test("never frees an opaque case: nothing is run again", async () => {
    const made = world();
    const { effect, call, other } = await lost(made);
    expect(await other.execute(ask(() => "again"))).toMatchObject({ status: "in_doubt" });
    effect.finish("done");
    await call;
    expect(await other.execute(ask(() => "again"))).toMatchObject({
      status: "settled",
      receipt: { value: "done" },
    });
  });
});

describe("a late result", () => {
  test("settles the doubt where nobody ran again", async () => {
    const made = world();
    const { effect, call, other } = await lost(made);
    effect.finish("done");
    expect(await call).toMatchObject({
      status: "settled",
      receipt: { value: "done", source: "late", fence: 1 },
    });
    expect(await caseOf(other)).toMatchObject({ state: "SETTLED" });
    expect(await typesOf(other)).toEqual(["claim", "lease_ended", "settle"]);
    expect(made.reports).toEqual([]);
  });

  test("of an effect that overran its time settles the doubt too", async () => {
    const { guard, reports } = world();
    const effect = gated();
    expect(await guard.execute(ask(effect.run, { timeoutMs: 1 }))).toMatchObject({
      status: "in_doubt",
    });
    effect.finish("done");
    await until(async () => (await caseOf(guard)).state === "SETTLED");
    expect(await caseOf(guard)).toMatchObject({ receipt: { source: "late", value: "done" } });
    expect(reports).toEqual([]);
  });

  test("of an effect that overran its time and then did not happen frees the case", async () => {
    const { guard } = world();
    const effect = gated();
    await guard.execute(ask(effect.run, { timeoutMs: 1 }));
    effect.fail(Object.assign(new Error("connect"), { code: "ECONNREFUSED" }));
    await until(async () => (await caseOf(guard)).state === "FINAL");
    expect(await guard.execute(ask(() => "again"))).toMatchObject({
      status: "settled",
      receipt: { value: "again", fence: 2 },
    });
  });

  test("of an effect that overran its time and then says nothing leaves the doubt", async () => {
    const { guard } = world();
    const effect = gated();
    await guard.execute(ask(effect.run, { timeoutMs: 1 }));
    effect.fail(new Error("reset"));
    await pause(5);
    expect(await caseOf(guard)).toMatchObject({ state: "IN_DOUBT", entries: 2 });
  });

  test("after a person said that it did not happen, and nobody ran again, settles it", async () => {
    const made = world();
    const { effect, call, other } = await lost(made);
    await other.resolve("r1", { happened: false }, { by: "ana", evidence: "no charge seen" });
    expect((await caseOf(other)).state).toBe("FINAL");
    effect.finish("done");
    expect(await call).toMatchObject({ status: "settled", receipt: { source: "late", fence: 1 } });
    let again = 0;
    const repeat = other.execute(
      ask(() => {
        again += 1;
      }),
    );
    expect(await repeat).toMatchObject({ status: "settled", receipt: { value: "done" } });
    expect(again).toBe(0);
    expect(made.reported("duplicateEffect")).toBe(0);
  });

  test("after a person's wrong word and a second run: an incident, and nothing else changes", async () => {
    const made = world();
    const { effect, call, other } = await lost(made);
    await other.resolve("r1", { happened: false }, { by: "ana", evidence: "no charge seen" });
    const second = await other.execute(ask(() => "second"));
    expect(second).toMatchObject({ receipt: { value: "second", fence: 2 } });
    const before = await caseOf(other);
    effect.finish("first");
    // The first caller is told what counts: the receipt of the second run.
    expect(await call).toEqual({ ...second, replayed: true });
    const { version, entries, updatedAt, ...same } = await caseOf(other);
    expect(before).toMatchObject(same);
    expect([version, entries]).toEqual([before.version + 1, before.entries + 1]);
    expect(made.reports.filter(([name]) => name === "duplicateEffect")).toEqual([
      ["duplicateEffect", expect.objectContaining({ caseId: "r1", state: "SETTLED" }), 1],
    ]);
    const last = (await other.history("r1")).at(-1);
    expect(last?.entry.event).toMatchObject({ type: "late_result", fence: 1, value: "first" });
    expect(await other.receipt("r1")).toMatchObject({ value: "second" });
  });

  test("while a second run is under way: an incident, and the second run settles it", async () => {
    const made = world();
    const { effect, call, other } = await lost(made, { effect: "idempotent" });
    const again = gated();
    const second = other.execute(ask(again.run, { effect: "idempotent" }));
    await again.started;
    effect.finish("first");
    expect(await call).toMatchObject({ status: "in_progress" });
    expect(made.reported("duplicateEffect")).toBe(1);
    again.finish("second");
    expect(await second).toMatchObject({
      status: "settled",
      receipt: { value: "second", fence: 2 },
    });
    expect(await typesOf(other)).toEqual([
      "claim",
      "lease_ended",
      "claim",
      "late_result",
      "settle",
    ]);
  });

  test("after a person said that it happened is kept, and is no incident", async () => {
    const made = world();
    const { effect, call, other } = await lost(made);
    const word = { by: "ana", evidence: "charge 77" };
    await other.resolve("r1", { happened: true, value: "77" }, word);
    effect.finish("first");
    expect(await call).toMatchObject({ receipt: { value: "77", source: "resolved" } });
    expect(made.reported("duplicateEffect")).toBe(0);
    expect(await typesOf(other)).toEqual(["claim", "lease_ended", "resolve", "late_result"]);
  });

  test("the lost claim's error can't bring the second run into doubt", async () => {
    const made = world();
    const { effect, call, other } = await lost(made, { effect: "idempotent" });
    const again = gated();
    const second = other.execute(ask(again.run, { effect: "idempotent" }));
    await again.started;
    effect.fail(new Error("reset"));
    expect(await call).toMatchObject({ status: "in_progress" });
    again.finish("second");
    expect(await second).toMatchObject({ receipt: { value: "second" } });
  });
});
