import { describe, expect, test } from "vitest";
import { createDebts } from "../../src/guard/debts.ts";
import { type Platform, system } from "../../src/guard/platform.ts";
import { GuardError, NotPerformed, type Run, type Store } from "../../src/index.ts";
import { counted, until, world } from "./world.ts";

/** Timers that go off when they are told to. */
function byHand() {
  let nowMs = 0;
  const timers: { readonly ms: number; readonly background: boolean; readonly call: () => void }[] =
    [];
  const platform: Platform = {
    ...system,
    monotonicMs: () => nowMs,
    jitter: () => 0.5,
    after: (ms, background, call) => {
      timers.push({ ms, background, call });
      return () => {};
    },
  };
  return {
    platform,
    timers,
    async ring() {
      const timer = timers.shift();
      if (timer === undefined) throw new Error("no timer is set");
      nowMs += timer.ms;
      timer.call();
      await new Promise(setImmediate);
      return timer;
    },
  };
}

const soon = () => new Promise(setImmediate);

describe("a debt", () => {
  test("that can be paid is paid at once, and never again", async () => {
    const { platform, timers } = byHand();
    const debts = createDebts(platform);
    let paid = 0;
    debts.owe(async () => {
      paid += 1;
    });
    await soon();
    expect([paid, timers.length]).toEqual([1, 0]);
    await debts.close();
    expect(paid).toBe(1);
  });

  test("that can't is tried ever later, up to five seconds, until it is paid", async () => {
    const { platform, timers, ring } = byHand();
    const debts = createDebts(platform);
    let tries = 0;
    debts.owe(async () => {
      tries += 1;
      if (tries < 12) throw new Error("the disk is gone");
    });
    await soon();
    const pauses: number[] = [];
    while (timers.length > 0) pauses.push((await ring()).ms);
    expect(pauses).toEqual([20, 40, 80, 160, 320, 640, 1_280, 2_560, 5_000, 5_000, 5_000]);
    expect(tries).toBe(12);
  });

  test("keeps the process alive for half a minute, then no longer", async () => {
    const { platform, timers, ring } = byHand();
    const debts = createDebts(platform);
    let broken = true;
    debts.owe(async () => {
      if (broken) throw new Error("the disk is gone");
    });
    await soon();
    let heldMs = 0;
    while (timers[0]?.background === false) heldMs += (await ring()).ms;
    expect(heldMs).toBeGreaterThan(30_000);
    expect(heldMs).toBeLessThanOrEqual(35_000);
    broken = false;
    await ring();
    expect(timers).toEqual([]);
  });

  test("one that fails doesn't hold up another", async () => {
    const { platform } = byHand();
    const debts = createDebts(platform);
    let paid = 0;
    debts.owe(() => Promise.reject(new Error("never")));
    debts.owe(async () => {
      paid += 1;
    });
    await soon();
    expect(paid).toBe(1);
  });
});

describe("closing", () => {
  test("tries everything once more, then gives up", async () => {
    const { platform, timers, ring } = byHand();
    const debts = createDebts(platform);
    const tries = [0, 0];
    debts.owe(async () => {
      tries[0] = (tries[0] ?? 0) + 1;
      if (tries[0] < 2) throw new Error("not yet");
    });
    debts.owe(async () => {
      tries[1] = (tries[1] ?? 0) + 1;
      throw new Error("never");
    });
    await soon();
    await debts.close();
    expect(tries).toEqual([2, 2]);
    while (timers.length > 0) await ring();
    expect(tries).toEqual([2, 2]);
  });
});

describe("the guard's own debts", () => {
  const failing = (store: Store, when: (state: string) => boolean) => {
    let broken = true;
    const commit: Store["commit"] = async (steps) => {
      if (broken && when(steps[0]?.next.state ?? "")) {
        throw new GuardError("store_unavailable", "The disk is gone.");
      }
      return store.commit(steps);
    };
    return {
      store: { ...store, commit },
      mend: () => {
        broken = false;
      },
    };
  };
  const call = (run: Run<unknown, unknown>) => ({
    requestId: "r1",
    action: "pay",
    payload: 1,
    run,
  });

  test("a receipt that can't be written: told as unrecorded, kept, and written later", async () => {
    const { store, another, reported } = world();
    const broken = failing(store, (state) => state === "SETTLED");
    const guard = another({ store: broken.store });
    const effect = counted(() => "done");
    const first = await guard.execute(call(effect.run));
    expect(first).toMatchObject({
      status: "settled",
      effect: "once",
      replayed: false,
      recorded: false,
      receipt: { value: "done" },
    });
    expect(reported("unrecorded")).toBe(1);
    const again = await guard.execute(call(effect.run));
    expect(again).toEqual({ ...first, replayed: true });
    broken.mend();
    await until(async () => (await guard.receipt("r1")) !== undefined);
    if (first.status !== "settled") throw new Error(first.status);
    // What was told while it was unrecorded stays true to the byte.
    expect(JSON.stringify(await guard.receipt("r1"))).toBe(JSON.stringify(first.receipt));
    await until(async () => {
      const repeat = await guard.execute(call(effect.run));
      return repeat.status === "settled" && repeat.recorded;
    });
    expect(effect.starts).toHaveLength(1);
  });

  test("a guard that is closed meanwhile tries once more, and reports what it has not written", async () => {
    const { store, another, reports } = world();
    const broken = failing(store, (state) => state === "SETTLED");
    const guard = another({ store: broken.store });
    await guard.execute(call(() => "done"));
    await guard.close();
    const closing = reports.filter(([name, what]) => name === "failed" && what === "close");
    expect(closing).toEqual([
      ["failed", "close", expect.objectContaining({ code: "store_unavailable" })],
    ]);
    const well = another({ store: failing(store, () => false).store });
    await well.execute({ ...call(() => "done"), requestId: "r2" });
    await well.close();
    expect(reports.filter(([, what]) => what === "close")).toHaveLength(1);
  });

  test("another payload meanwhile is a conflict", async () => {
    const { store, another } = world();
    const broken = failing(store, (state) => state === "SETTLED");
    const guard = another({ store: broken.store });
    await guard.execute(call(() => "done"));
    const error = await guard.execute({ ...call(() => 2), payload: 2 }).catch((one) => one);
    expect(error).toMatchObject({ code: "payload_conflict", effect: "none" });
    broken.mend();
  });

  test("a claim that can't be given back is told as not performed, and given back later", async () => {
    const { store, another, reported } = world();
    const broken = failing(store, (next) => next === "FINAL");
    const guard = another({ store: broken.store });
    const run = () => {
      throw new NotPerformed("busy");
    };
    expect(await guard.execute(call(run))).toMatchObject({ status: "not_performed" });
    expect(reported("failed")).toBe(1);
    expect((await guard.case("r1").get())?.state).toBe("EXECUTING");
    broken.mend();
    await until(async () => (await guard.case("r1").get())?.state === "FINAL");
  });

  test("a doubt that can't be written is written later", async () => {
    const { store, another, reported } = world();
    const broken = failing(store, (next) => next === "IN_DOUBT");
    const guard = another({ store: broken.store, waitMs: 0 });
    const run = () => {
      throw new Error("reset");
    };
    expect(await guard.execute(call(run))).toMatchObject({ effect: "unknown" });
    expect(reported("failed")).toBe(1);
    expect((await guard.case("r1").get())?.state).toBe("EXECUTING");
    broken.mend();
    await until(async () => (await guard.case("r1").get())?.state === "IN_DOUBT");
  });

  test("a receipt still owed is written when the guard closes", async () => {
    const { store, another } = world();
    const broken = failing(store, (state) => state === "SETTLED");
    const guard = another({ store: { ...broken.store, close: async () => {} } });
    await guard.execute(call(() => "done"));
    broken.mend();
    await guard.close();
    expect(await another().receipt("r1")).toMatchObject({ effect: "once", value: "done" });
  });
});
