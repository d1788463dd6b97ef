import { describe, expect, test } from "vitest";
import { approval, createGuard, GuardError, type Policy, type Store } from "../../src/index.ts";
import { counted, errorOf, gated, pause, until, world } from "./world.ts";

/** What the guard says and does when the store, its clock or the caller's objects change under it. */

const full = () => new GuardError("store_unavailable", "The disk is full.");
const call = (run: (payload: unknown) => unknown) => ({
  requestId: "r1",
  action: "pay",
  payload: { cents: 5 },
  run,
});

/** A store of which parts can be broken and mended. */
function fragile(store: Store) {
  const broken = { now: false, commit: false, read: false };
  const made: Store = {
    ...store,
    now: () => (broken.now ? Promise.reject(full()) : store.now()),
    commit: (steps) => (broken.commit ? Promise.reject(full()) : store.commit(steps)),
    read: (ids) => (broken.read ? Promise.reject(full()) : store.read(ids)),
  };
  return { broken, store: made };
}

describe("once an effect has run, no call says that nothing was executed", () => {
  test("though the store has no time any more", async () => {
    const made = world();
    const { broken, store } = fragile(made.store);
    const guard = made.another({ store });
    const effect = counted(() => {
      broken.now = true;
      return "paid";
    });
    const outcome = await guard.execute(call(effect.run as never));
    expect(outcome).toMatchObject({ status: "settled", recorded: true });
    broken.now = false;
    const again = await made.another().execute(call(effect.run as never));
    expect(again).toMatchObject({ status: "settled", replayed: true });
    expect(effect.starts).toHaveLength(1);
  });

  test("though the guard's own clock says nothing", async () => {
    const made = world();
    let at = 5;
    const guard = made.another({ clock: () => at });
    const outcome = await guard.execute(
      call(() => {
        at = Number.NaN;
        return "paid";
      }),
    );
    expect(outcome).toMatchObject({ status: "settled", recorded: true });
  });

  test("though the store takes nothing: it is in doubt, or kept", async () => {
    const made = world();
    const { broken, store } = fragile(made.store);
    const guard = made.another({ store });
    const probed = {
      ...call(() => {
        Object.assign(broken, { now: true, commit: true, read: true });
        throw new Error("reset");
      }),
      probe: () => "unknown" as const,
      settlingMs: 0,
    };
    expect(await guard.execute(probed)).toMatchObject({ status: "in_doubt", effect: "unknown" });
    Object.assign(broken, { now: false, commit: false, read: false });
  });

  test("though the request's name can't be written beside the receipt", async () => {
    const made = world();
    await made.guard.execute({ ...call(() => "paid"), caseId: "c1" });
    const { broken, store } = fragile(made.store);
    const guard = made.another({ store });
    broken.commit = true;
    const again = { ...call(() => "twice"), caseId: "c1", requestId: "r2" };
    const outcome = await guard.execute(again);
    expect(outcome).toMatchObject({ status: "settled", replayed: true });
    broken.commit = false;
    await until(async () => (await made.guard.receipt("r2")) !== undefined);
  });

  test("though its case was ended without effect meanwhile", async () => {
    const made = world({ leaseMs: 60 });
    const effect = gated();
    const running = made.guard.execute(call(effect.run as never));
    await effect.started;
    made.turn(60);
    const other = made.another({ actor: "other" });
    await other.reconcile();
    await other.resolve("r1", { happened: false }, { by: "ana", evidence: "not seen" });
    await other.case("r1").withdraw({ by: "ana", reason: "not wanted any more" });
    effect.finish("paid");
    expect(await running).toMatchObject({ status: "in_doubt", effect: "unknown" });
    expect(made.reported("contradicted")).toBe(1);
  });
});

test("a claim whose acknowledgement was lost, and which others ended, starts nothing", async () => {
  const made = world({ leaseMs: 60 });
  const effect = counted(() => "paid");
  const other = made.another({ actor: "other" });
  let lost = false;
  const store: Store = {
    ...made.store,
    async commit(steps) {
      const landed = await made.store.commit(steps);
      if (lost || steps[0]?.next.state !== "EXECUTING") return landed;
      lost = true;
      made.turn(60);
      await other.reconcile();
      await other.resolve("r1", { happened: false }, { by: "ana", evidence: "not seen" });
      await other.execute(call(effect.run as never));
      throw full();
    },
  };
  const outcome = await made.another({ store }).execute(call(effect.run as never));
  expect(outcome).toMatchObject({ status: "settled", replayed: true });
  expect(effect.starts).toHaveLength(1);
});

test("an effect is told when its store was not heard of for a whole lease", async () => {
  const made = world({ leaseMs: 60 });
  const { broken, store } = fragile(made.store);
  const effect = gated();
  const running = made.another({ store }).execute(call(effect.run as never));
  await effect.started;
  broken.commit = true;
  const { signal } = effect.starts[0]!.ctx;
  await until(() => signal.aborted);
  broken.commit = false;
  effect.finish("paid");
  expect(await running).toMatchObject({ status: "settled" });
});

test("a sweep's rerun is replayed to who sends the same members in another order", async () => {
  const made = world();
  const payload = { "10": 1, "9": 2, a: 3 };
  const effect = counted((start) => {
    if (start === 1) throw new Error("reset");
    return "done";
  });
  const sync = made.guard.wrap("sync", {
    key: () => "k",
    effect: "idempotent",
    run: effect.run as (payload: { "10": number; "9": number; a: number }) => string,
  });
  expect((await sync.outcome(payload)).status).toBe("in_doubt");
  expect(await made.guard.reconcile()).toMatchObject({ settled: 1 });
  expect(await sync({ a: 3, "9": 2, "10": 1 })).toBe("done");
  expect(effect.starts).toHaveLength(2);
});

test("a policy that is changed after it was given changes nothing", async () => {
  const made = world();
  const policy = approval({ need: 2 }) as { need: number } & Policy;
  const kase = made.guard.case("c1", { policy, action: "pay", payload: { cents: 5 } });
  (policy as { need: number }).need = 0;
  expect((await kase.get())?.state).toBe("OPEN");
  const effect = counted(() => "paid");
  const outcome = await kase.settle({ ...call(effect.run as never), requestId: "s1" });
  expect(outcome.status).toBe("pending");
  expect(effect.starts).toHaveLength(0);
});

test("a closed guard runs nothing, by whatever door", async () => {
  const made = world();
  const guard = made.another();
  const effect = counted(() => "paid");
  const pay = guard.wrap("pay", { key: () => "k", run: effect.run as never });
  await guard.close();
  expect((await errorOf(pay({}))).code).toBe("store_unavailable");
  expect((await errorOf(guard.execute(call(effect.run as never)))).code).toBe("store_unavailable");
  const settle = guard.case("c1").settle({ ...call(effect.run as never), requestId: "s1" });
  expect((await errorOf(settle)).code).toBe("store_unavailable");
  expect(effect.starts).toHaveLength(0);
});

test("a twin does not give up because its leader did", async () => {
  const made = world();
  const slow: Store = {
    ...made.store,
    async commit(steps) {
      await pause(20);
      return made.store.commit(steps);
    },
  };
  const guard = made.another({ store: slow });
  const leader = new AbortController();
  const effect = counted(() => "paid");
  const first = guard.execute({ ...call(effect.run as never), signal: leader.signal });
  const second = guard.execute(call(effect.run as never));
  leader.abort();
  expect((await first).status).not.toBe("settled");
  expect(await second).toMatchObject({ status: "settled" });
  expect(effect.starts).toHaveLength(1);
});

describe("a wrong call is told so before anything starts", () => {
  const wrong: readonly (readonly [string, object])[] = [
    ["a controller for its signal", { signal: new AbortController() }],
    ["a probe that can't be called", { probe: "yes" }],
    ["an onError that can't be called", { onError: "no" }],
  ];
  test.each(wrong)("%s", async (_, slip) => {
    const { guard } = world();
    const effect = counted(() => "paid");
    const error = await errorOf(guard.execute({ ...call(effect.run as never), ...slip } as never));
    expect(error.code).toBe("invalid_request");
    expect(effect.starts).toHaveLength(0);
  });

  test("options that are a path", async () => {
    expect((await errorOf(() => createGuard("prod.db" as never))).code).toBe("invalid_request");
  });

  test("a state that doesn't exist", async () => {
    const { guard } = world();
    const error = await errorOf(guard.list({ states: ["DOUBT" as never] }));
    expect(error.code).toBe("invalid_request");
  });

  test("a key that can't be taken", async () => {
    const { guard } = world();
    const pay = guard.wrap("pay", { key: (p: { a: { b: string } }) => p.a.b, run: () => 1 });
    expect((await errorOf(pay({} as never))).code).toBe("invalid_request");
  });
});

test("a slow probe doesn't hold up the others of its sweep", async () => {
  const made = world();
  const asked = new Set<string>();
  const pay = made.guard.wrap("pay", {
    key: (payload: { id: string }) => payload.id,
    settlingMs: 0,
    run: () => {
      throw new Error("reset");
    },
    async probe({ id }) {
      asked.add(id);
      // The first answers only after all the others were asked.
      if (id === "a") await until(() => asked.size === 3);
      return { happened: true };
    },
  });
  for (const id of ["a", "b", "c"]) {
    await made.another().execute({
      ...call(() => {
        throw new Error("reset");
      }),
      requestId: id,
      payload: { id },
      probe: () => "unknown" as const,
      settlingMs: 1_000,
      waitMs: 0,
    });
  }
  made.turn(1_000);
  expect(await made.guard.reconcile()).toMatchObject({ settled: 3, failed: 0 });
  expect(await pay({ id: "a" })).toBeUndefined();
});
