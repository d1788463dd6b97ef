import { expect, test } from "vitest";
import { approval, type Guard, NotPerformed, type Run } from "../../src/index.ts";
import { counted, errorOf, gated, world } from "./world.ts";

const call = (run: Run<unknown, unknown>, requestId = "r1") => ({
  requestId,
  action: "pay",
  payload: { cents: 500 },
  run,
});
const done = (guard: Guard, requestId = "r1") => guard.execute(call(() => "done", requestId));
const dated = (at: number) => ({ before: new Date(at) });

test("nothing expires by itself: a year later the receipt is the same", async () => {
  const { guard, another, turn } = world();
  const first = await done(guard);
  turn(31_622_400_000);
  await guard.reconcile();
  expect(await done(another())).toEqual({ ...first, replayed: true });
});

test("prunes what ended before an instant, and says how much", async () => {
  const { guard, turn, now } = world();
  await done(guard, "old");
  await guard.execute(
    call(() => {
      throw new NotPerformed("no", { final: true });
    }, "void"),
  );
  turn(1_000);
  await done(guard, "new");
  expect(await guard.prune(dated(now() - 1_000))).toBe(0);
  expect(await guard.prune(dated(now()))).toBe(2);
  expect(await guard.prune(dated(now()))).toBe(0);
  expect((await guard.list()).items.map(({ caseId, state }) => [caseId, state])).toEqual([
    ["old", "RETIRED"],
    ["void", "RETIRED"],
    ["new", "SETTLED"],
  ]);
});

test("never what has not ended", async () => {
  const { guard, another, turn, now } = world();
  const effect = gated();
  const running = another().execute(call(effect.run, "runs"));
  await effect.started;
  const explode = () => {
    throw new Error("reset");
  };
  await guard.execute(call(explode, "doubt"));
  await guard.execute({ ...call(explode, "waits"), policy: approval() });
  const decline = () => {
    throw new NotPerformed("busy");
  };
  await guard.execute(call(decline, "free"));
  turn(1);
  expect(await guard.prune(dated(now()))).toBe(0);
  effect.finish("done");
  await running;
});

test("a pruned id is refused as retired, never run as new, and its receipt is gone", async () => {
  const { guard, another, turn, now } = world();
  await done(guard);
  turn(1);
  expect(await guard.prune(dated(now()))).toBe(1);
  for (const one of [guard, another()]) {
    const effect = counted(() => 1);
    expect(await errorOf(one.execute(call(effect.run)))).toMatchObject({
      code: "retired",
      effect: "none",
      caseId: "r1",
      requestId: "r1",
    });
    // By another request for the same case, too.
    const other = { ...call(effect.run, "r2"), caseId: "r1" };
    expect((await errorOf(one.execute(other))).code).toBe("retired");
    expect(await errorOf(one.receipt("r1"))).toMatchObject({ code: "retired", requestId: "r1" });
    expect(await one.receipt("r2")).toBeUndefined();
    expect(effect.starts).toHaveLength(0);
  }
});

test("with another payload it is a conflict still, and nothing leaks", async () => {
  const { guard, another, turn, now } = world();
  await done(guard);
  turn(1);
  await guard.prune(dated(now()));
  for (const one of [guard, another()]) {
    const error = await errorOf(one.execute({ ...call(() => 1), payload: { cents: 501 } }));
    expect(error).toMatchObject({ code: "payload_conflict", effect: "none" });
    expect(error.message).not.toMatch(/50[01]/);
  }
});

test("payload, value and journal go; what refuses the id stays", async () => {
  const { guard, turn, now } = world();
  await done(guard);
  const before = await guard.receipt("r1");
  const fingerprint = before?.fingerprint;
  turn(1);
  await guard.prune(dated(now()));
  const kase = await guard.case("r1").get();
  expect(kase).toEqual({
    namespace: "default",
    caseId: "r1",
    version: 3,
    entries: 2,
    createdAt: now() - 1,
    updatedAt: now() - 1,
    state: "RETIRED",
    fingerprint,
    effect: "once",
    outcome: null,
    settlementId: before?.settlementId,
    receiptHash: expect.stringMatching(/^[0-9a-f]{64}$/),
    journalHash: expect.stringMatching(/^[0-9a-f]{64}$/),
    requests: ["r1"],
  });
  expect(await guard.history("r1")).toEqual([]);
});

test("whatever else is done to a retired case is refused as retired", async () => {
  const { guard, turn, now } = world();
  await done(guard);
  turn(1);
  await guard.prune(dated(now()));
  const kase = guard.case("r1");
  for (const attempt of [
    kase.signal({ source: "a", outcome: "YES" }),
    kase.decide("YES", { by: "ana", reason: "seen" }),
    kase.withdraw({ by: "ana", reason: "seen" }),
    kase.settle(call(() => 1)),
    guard.case("r1", {}).get(),
    guard.approve("r1", { actor: "ana" }),
    guard.resolve("r1", { happened: true }, { by: "ana", evidence: "seen" }),
  ]) {
    expect(await errorOf(attempt)).toMatchObject({ code: "retired", effect: "none" });
  }
});

test("a wrapped function is refused too", async () => {
  const { guard, turn, now } = world();
  const effect = counted(() => "done");
  const pay = guard.wrap("pay", { key: (id: string) => id, run: effect.run });
  expect(await pay("p1")).toBe("done");
  turn(1);
  await guard.prune(dated(now()));
  expect((await errorOf(pay("p1"))).code).toBe("retired");
  expect((await errorOf(pay.outcome("p1"))).code).toBe("retired");
  expect(effect.starts).toHaveLength(1);
});

test("only in its own namespace", async () => {
  const { guard, another, turn, now } = world();
  const other = another({ namespace: "other" });
  await done(guard);
  const kept = await done(other);
  turn(1);
  expect(await guard.prune(dated(now()))).toBe(1);
  expect(await done(other)).toEqual({ ...kept, replayed: true });
  expect((await other.case("r1").get())?.state).toBe("SETTLED");
});

test("more than one page of them", async () => {
  const { store, another, turn, now } = world();
  const limits: (number | undefined)[] = [];
  const prune: typeof store.prune = (query) => {
    limits.push(query.limit);
    return store.prune({ ...query, limit: 2 });
  };
  const guard = another({ store: { ...store, prune } });
  for (const id of ["a", "b", "c", "d", "e"]) await done(guard, id);
  turn(1);
  expect(await guard.prune(dated(now()))).toBe(5);
  expect(limits).toEqual([1_000, 1_000, 1_000, 1_000]);
});
