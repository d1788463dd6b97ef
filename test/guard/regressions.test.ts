import { describe, expect, test } from "vitest";
import type { CaseId } from "../../src/core/identity.ts";
import { system } from "../../src/guard/platform.ts";
import { createWaiting } from "../../src/guard/waiting.ts";
import { type Case, GuardError, NotPerformed, type Run } from "../../src/index.ts";
import { counted, errorOf, gated, pause, world } from "./world.ts";

/** Defects that the first reading of the guard found. Each stays here, so that it can't come back. */

const explode = () => {
  throw new Error("reset");
};
const call = (run: Run<unknown, unknown>) => ({
  requestId: "r1",
  action: "pay",
  payload: { cents: 5 },
  run,
});
const word = { by: "ana", evidence: "seen" };

test("no caller can change what the next one gets", async () => {
  const { guard, another } = world();
  const first = await guard.execute(call(() => ({ paid: 1 })));
  if (first.status !== "settled") throw new Error(first.status);
  const text = JSON.stringify(first.receipt);
  for (const object of [first.receipt, first.receipt.value] as object[]) {
    Reflect.set(object, "paid", 9);
    Reflect.set(object, "by", "mallory");
    Reflect.deleteProperty(object, "fence");
  }
  for (const one of [guard, another()]) {
    const again = await one.execute(call(() => 2));
    expect(again.status === "settled" && JSON.stringify(again.receipt)).toBe(text);
  }
});

describe("whatever an effect throws, the case has an end", () => {
  const refuses = () => {
    throw new Error("no reading");
  };
  const unreadable = (name: string) =>
    Object.defineProperty(new Error("x"), name, { get: refuses });
  test.each<readonly [string, unknown]>([
    ["an object that can't be made a text", Object.create(null)],
    ["an error whose message can't be read", unreadable("message")],
    ["an error whose code can't be read", unreadable("code")],
    [
      "a proxy that answers nothing",
      new Proxy(new Error("x"), { get: refuses, has: refuses, getPrototypeOf: refuses }),
    ],
    [
      "its own word, with a message that is no text",
      Object.assign(new NotPerformed("x"), { message: 7 }),
    ],
  ])("%s", async (_name, thrown) => {
    const { guard } = world();
    const run = () => {
      throw thrown;
    };
    const outcome = await guard.execute({ ...call(run), timeoutMs: 300 });
    expect(["in_doubt", "not_performed"]).toContain(outcome.status);
    // Not by its time: it ended, and that was seen.
    expect(await guard.case("r1").get()).not.toMatchObject({ doubt: { reason: "timed_out" } });
  });
});

test("prune without an instant is refused, and prunes nothing", async () => {
  const { guard } = world();
  await guard.execute(call(() => 1));
  const attempts = [new Date("yesterday"), "2020-01-01", undefined];
  for (const before of attempts) {
    expect((await errorOf(guard.prune({ before: before as Date }))).code).toBe("invalid_request");
  }
  expect((await guard.case("r1").get())?.state).toBe("SETTLED");
});

test.each([{}, { happened: undefined }, { happened: "no" }, { happened: 1 }, undefined])(
  "a resolution that says neither is refused: %j",
  async (resolution) => {
    const { guard } = world();
    await guard.execute(call(explode));
    const error = await errorOf(guard.resolve("r1", resolution as never, word));
    expect(error.code).toBe("invalid_request");
    expect((await guard.case("r1").get())?.state).toBe("IN_DOUBT");
  },
);

test.each<readonly [string, (guard: ReturnType<typeof world>["guard"]) => Promise<unknown>]>([
  ["execute", (guard) => guard.execute(undefined as never)],
  [
    "a policy that is null inside",
    (guard) => guard.execute({ ...call(explode), policy: { kind: "all", of: [null as never] } }),
  ],
  [
    "`ignore` that is a text",
    (guard) => guard.execute({ ...call(explode), ignore: "/note" as never }),
  ],
  ["approve", (guard) => guard.approve("r1", undefined as never)],
  ["resolve", (guard) => guard.resolve("r1", { happened: true }, undefined as never)],
  ["decide", (guard) => guard.case("r1").decide("YES", undefined as never)],
  ["signal", (guard) => guard.case("r1").signal(undefined as never)],
  ["prune", (guard) => guard.prune(undefined as never)],
])("a wrong call is refused with the guard's own error: %s", async (_name, make) => {
  expect((await errorOf(make(world().guard))).code).toBe("invalid_request");
});

test("aborted beforehand, of a case that this process runs: no wait", async () => {
  const { guard } = world();
  const effect = gated();
  const first = guard.execute({ ...call(explode), run: effect.run });
  await effect.started;
  const rest = { signal: AbortSignal.abort(), waitMs: 3_600_000 };
  const twin = guard.execute({ ...call(explode), ...rest });
  const answer = await Promise.race([twin, pause(500)]);
  effect.finish("done");
  await first;
  expect(answer).toMatchObject({ status: "in_progress" });
});

test("a twin in the same process is told the state as it is", async () => {
  const { guard } = world();
  const effect = gated();
  const first = guard.execute({ ...call(explode), run: effect.run });
  await effect.started;
  const twin = await guard.execute({ ...call(explode), waitMs: 0 });
  effect.finish("done");
  await first;
  expect(twin).toMatchObject({ case: { caseId: "r1", state: "EXECUTING", action: "pay" } });
});

test("a doubt that can't be written is told as a doubt, not as somebody else's work", async () => {
  const { store, another } = world();
  const commit: typeof store.commit = async (steps) => {
    if (steps[0]?.next.state === "IN_DOUBT") throw new GuardError("store_unavailable", "Gone.");
    return store.commit(steps);
  };
  const guard = another({ store: { ...store, commit }, waitMs: 0 });
  expect(await guard.execute(call(explode))).toMatchObject({ status: "in_doubt" });
});

test("a store that throws anything else at the settlement doesn't lose the receipt", async () => {
  const { store, another } = world();
  const commit: typeof store.commit = async (steps) => {
    if (steps[0]?.next.state === "SETTLED") throw new Error("connection terminated");
    return store.commit(steps);
  };
  const guard = another({ store: { ...store, commit } });
  expect(await guard.execute(call(() => "done"))).toMatchObject({
    status: "settled",
    recorded: false,
    receipt: { value: "done" },
  });
});

test("keyed after its time: nobody is told to ask again", async () => {
  const { guard, turn } = world();
  const keyed = { ...call(explode), effect: "keyed", keyTtlMs: 1_000 } as const;
  await guard.execute(keyed);
  turn(1_000);
  const outcome = await guard.execute(keyed);
  if (outcome.status !== "in_doubt") throw new Error(outcome.status);
  expect(outcome.forModel).toContain("Do not call it again");
  expect(outcome.next).toContain("guard.resolve(");
});

test("a caller that gave up on a final case is not told that others decide", async () => {
  const { guard } = world();
  await guard.case("r1", { policy: { kind: "immediate" } }).get();
  const outcome = await guard.execute({ ...call(explode), signal: AbortSignal.abort() });
  if (outcome.status === "settled") throw new Error(outcome.status);
  expect(outcome.forModel).not.toContain("decision by others");
  expect(outcome.next).not.toContain("not final");
});

test("the last claim a case may have is refused, not tried for ever", async () => {
  const { store, guard, another } = world();
  const decline = () => {
    throw new NotPerformed("busy");
  };
  await guard.execute(call(decline));
  const ids = { namespace: "default", caseId: "r1" as CaseId, requestId: null };
  const { stored } = await store.read(ids);
  if (stored?.case.state !== "FINAL" || stored.case.past === null) throw new Error("not free");
  const { past } = stored.case;
  const next: Case = {
    ...stored.case,
    version: stored.case.version + 1,
    past: { ...past, claim: { ...past.claim, fence: 10_000 } },
  };
  const { head } = stored;
  await store.commit([{ expected: stored.case.version, next, head, entry: null, bind: null }]);
  let reads = 0;
  const read: typeof store.read = async (what) => {
    reads += 1;
    if (reads > 200) throw new GuardError("store_unavailable", "Asked for ever.");
    return store.read(what);
  };
  const error = await errorOf(another({ store: { ...store, read } }).execute(call(() => 1)));
  expect(error).toMatchObject({ code: "over_limit", effect: "none" });
});

test("ctx.signal is one signal, however often it is asked for", async () => {
  const { guard } = world();
  const effect = counted(() => 1);
  const { signal } = new AbortController();
  await guard.execute({ ...call(explode), run: effect.run, signal });
  const ctx = effect.starts[0]?.ctx;
  expect(ctx?.signal).toBe(ctx?.signal);
});

test("waiting leaves no subscription behind", async () => {
  let open = 0;
  const { store } = world();
  const counting = {
    ...store,
    subscribe: () => {
      open += 1;
      return () => {
        open -= 1;
      };
    },
  };
  const waiting = createWaiting(counting, system);
  const first = new AbortController();
  const second = new AbortController();
  const one = waiting.change(60_000, first.signal);
  first.abort();
  // Before the first one has gone on, another begins to wait.
  const two = waiting.change(60_000, second.signal);
  await one;
  second.abort();
  await two;
  expect(open).toBe(0);
});

test("closing doesn't wait for callers that only wait", async () => {
  const { guard, another } = world();
  const effect = gated();
  const running = another().execute({ ...call(explode), run: effect.run });
  await effect.started;
  const waiter = guard.execute({ ...call(explode), waitMs: 3_600_000 });
  const settled = waiter.catch((error: unknown) => error);
  await pause(5);
  const closed = await Promise.race([guard.close().then(() => true), pause(500)]);
  effect.finish("done");
  await running.catch(() => undefined);
  await settled;
  expect(closed).toBe(true);
});

test("a subscription ends when its guard is closed", async () => {
  const { guard } = world();
  const feed = guard.subscribe({ after: 0 })[Symbol.asyncIterator]();
  const next = feed.next();
  await pause(5);
  await guard.close();
  expect(await Promise.race([next, pause(1_000)])).toMatchObject({ done: true });
});

test("a subscription from now misses nothing that is written after it was made", async () => {
  const { guard } = world();
  const end = new AbortController();
  const feed = guard.subscribe({ signal: end.signal })[Symbol.asyncIterator]();
  await guard.execute(call(() => 1));
  const next = feed.next();
  const got = await Promise.race([next, pause(500)]);
  end.abort();
  await next;
  expect(got).toMatchObject({ done: false });
});

test("a hook whose promise is rejected becomes a warning, never a crash", async () => {
  const crashes: unknown[] = [];
  const crash = (reason: unknown) => void crashes.push(reason);
  process.on("unhandledRejection", crash);
  const listeners = process.listeners("unhandledRejection").filter((one) => one !== crash);
  for (const one of listeners) process.off("unhandledRejection", one);
  const { another } = world();
  const committed = async () => {
    throw new Error("broken");
  };
  await another({ hooks: { committed } }).execute(call(() => 1));
  await pause(5);
  process.off("unhandledRejection", crash);
  for (const one of listeners) process.on("unhandledRejection", one);
  expect(crashes).toEqual([]);
});
