import { describe, expect, onTestFinished, test } from "vitest";
import type { ListQuery } from "../../src/core/store.ts";
import { GuardError, type GuardErrorCode, type Store } from "../../src/index.ts";
import { errorOf, gated, pause, until, world } from "./world.ts";

const key = (id: string) => id;
const looksFor = {
  queue: ({ states }: ListQuery) => states?.[0] === "FINAL",
  sweep: ({ states }: ListQuery) => states?.[0] !== "FINAL",
} as const;

/** A worker whose looks of one kind are answered by `list` first. */
function worker(kind: keyof typeof looksFor, list: () => void) {
  const made = world();
  const store: Store = {
    ...made.store,
    async list(query) {
      if (looksFor[kind](query)) list();
      return made.store.list(query);
    },
  };
  const guard = made.another({ store });
  onTestFinished(() => guard.close());
  return { ...made, guard };
}

const failing = (code: GuardErrorCode) => new GuardError(code, "It can't be read.");

describe.each(["queue", "sweep"] as const)("a worker whose %s has never had a look", (kind) => {
  test.each(["store_outdated", "store_corrupt", "invalid_request", "unauthorized"] as const)(
    "ends by %s: no waiting mends it",
    async (code) => {
      const { guard, reports } = worker(kind, () => {
        throw failing(code);
      });
      guard.wrap("send", { key, run: () => 1 });
      expect(await errorOf(guard.work({ everyMs: 1 }))).toMatchObject({ code, effect: "none" });
      expect(reports).toEqual([]);
    },
  );

  test("ends where a person has to mend it first", async () => {
    const { guard } = worker(kind, () => {
      throw new GuardError("store_unavailable", "It lets nobody in.", { lasting: true });
    });
    guard.wrap("send", { key, run: () => 1 });
    expect((await errorOf(guard.work({ everyMs: 1 }))).lasting).toBe(true);
  });

  test.each(["store_unavailable", "store_contended"] as const)(
    "goes on through %s, and tells the hook",
    async (code) => {
      let fails = 3;
      const { guard, reported } = worker(kind, () => {
        if (fails-- > 0) throw failing(code);
      });
      guard.wrap("send", { key, run: () => 1 });
      const end = new AbortController();
      const work = guard.work({ signal: end.signal, everyMs: 1 });
      await until(() => fails < 0);
      end.abort();
      await work;
      expect(reported("failed")).toBe(3);
    },
  );

  test("ends where the store comes back as one that can't be used", async () => {
    const codes: GuardErrorCode[] = ["store_unavailable", "store_outdated"];
    const { guard, reported } = worker(kind, () => {
      throw failing(codes.shift() ?? "store_outdated");
    });
    guard.wrap("send", { key, run: () => 1 });
    expect((await errorOf(guard.work({ everyMs: 1 }))).code).toBe("store_outdated");
    expect(reported("failed")).toBe(1);
  });

  test("and once it has had one, it goes on through anything", async () => {
    let looks = 0;
    const { guard, reported } = worker(kind, () => {
      looks += 1;
      if (looks === 2) throw failing("store_corrupt");
    });
    guard.wrap("send", { key, run: () => 1 });
    const end = new AbortController();
    const work = guard.work({ signal: end.signal, everyMs: 1 });
    await until(() => looks > 3);
    end.abort();
    await work;
    expect(reported("failed")).toBe(1);
  });
});

test("what runs is finished and written down before it rejects", async () => {
  const gate = gated();
  let sweeps = 0;
  const { guard } = worker("sweep", () => {
    sweeps += 1;
    throw failing(gate.starts.length === 0 ? "store_unavailable" : "store_outdated");
  });
  guard.wrap("send", { key, run: gate.run });
  await guard.enqueue({ requestId: "q1", action: "send", payload: "q1" });
  let hasEnded = false;
  const work = errorOf(guard.work({ everyMs: 1 })).finally(() => {
    hasEnded = true;
  });
  await gate.started;
  const before = sweeps;
  await until(() => sweeps > before);
  await pause(20);
  expect(hasEnded).toBe(false);
  gate.finish("sent");
  expect((await work).code).toBe("store_outdated");
  expect(await guard.receipt("q1")).toMatchObject({ effect: "once", value: "sent" });
});
