import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import * as face from "../src/index.ts";
import { createGuard, isGuardError, memoryStore } from "../src/index.ts";

const folder = mkdtempSync(join(tmpdir(), "safeagent-index-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("what the package gives out, by name", () => {
  expect(Object.keys(face).sort()).toEqual([
    "GuardError",
    "NotPerformed",
    "all",
    "any",
    "approval",
    "createGuard",
    "errorTable",
    "immediate",
    "isGuardError",
    "limits",
    "majority",
    "manual",
    "memoryStore",
    "threshold",
    "unanimous",
  ]);
});

test("a guard's own members, by name", () => {
  expect(Object.keys(createGuard({ store: "memory:" })).sort()).toEqual([
    "approve",
    "case",
    "close",
    "deny",
    "enqueue",
    "execute",
    "history",
    "list",
    "prune",
    "receipt",
    "reconcile",
    "resolve",
    "subscribe",
    "verify",
    "work",
    "wrap",
  ]);
});

const call = { requestId: "r1", action: "pay", payload: 1, run: () => "done" };

const errorOf = (make: () => unknown) => {
  try {
    make();
  } catch (error) {
    if (isGuardError(error)) return error;
    throw error;
  }
  throw new Error("it did not throw");
};

describe("the store", () => {
  test.each(["mysql://user:secret@localhost/db", "redis://localhost", "sqlite://a.db"])(
    "%s: there is none for such an address, yet",
    (store) => {
      const error = errorOf(() => createGuard({ store }));
      expect(error).toMatchObject({ code: "invalid_request", effect: "none" });
      expect(error.message).toContain(`"${store.slice(0, store.indexOf(":"))}:"`);
      expect(error.message).not.toContain("secret");
      expect(error.next).toMatch(/path|Store/);
    },
  );

  test("memory: one that ends with its guard", async () => {
    await using one = createGuard({ store: "memory:" });
    await using two = createGuard({ store: "memory:" });
    await one.execute(call);
    expect(await two.receipt("r1")).toBeUndefined();
  });

  test("a Store, shared by two guards", async () => {
    const store = memoryStore();
    const first = await createGuard({ store }).execute(call);
    expect(await createGuard({ store }).execute(call)).toEqual({ ...first, replayed: true });
  });

  test("a file's path: what was settled is there for the next guard", async () => {
    const path = join(folder, "safeagent.db");
    const one = createGuard({ store: path });
    const first = await one.execute(call);
    await one.close();
    expect(existsSync(path)).toBe(true);
    await using two = createGuard({ store: path });
    expect(await two.execute(call)).toEqual({ ...first, replayed: true });
  });

  test("safeagent.db, where nothing is said", async () => {
    const before = process.cwd();
    process.chdir(mkdtempSync(join(folder, "cwd-")));
    try {
      await using guard = createGuard();
      await guard.execute(call);
      expect(existsSync("safeagent.db")).toBe(true);
    } finally {
      process.chdir(before);
    }
  });
});

describe("wrong options", () => {
  test.each<readonly [string, object]>([
    ["leaseMs", { leaseMs: 19 }],
    ["leaseMs", { leaseMs: 86_400_001 }],
    ["leaseMs", { leaseMs: Number.NaN }],
    ["leaseMs", { leaseMs: "30s" }],
    ["waitMs", { waitMs: -1 }],
    ["waitMs", { waitMs: 31_622_400_001 }],
    ["namespace", { namespace: "" }],
    ["actor", { actor: "a\u0007" }],
  ])("%s: %j", (name, options) => {
    const error = errorOf(() => createGuard({ store: "memory:", ...options }));
    expect(error).toMatchObject({ code: "invalid_request", effect: "none" });
    expect(error.message).toContain(`\`${name}\``);
  });

  test("the bounds themselves are right", () => {
    for (const leaseMs of [20, 86_400_000]) createGuard({ store: "memory:", leaseMs });
    for (const waitMs of [0, 31_622_400_000]) createGuard({ store: "memory:", waitMs });
  });
});

test("a guard can be left to `await using`; a store that was handed in stays open", async () => {
  const store = memoryStore();
  let left: face.Guard | undefined;
  {
    await using guard = createGuard({ store });
    left = guard;
    await guard.execute(call);
  }
  const closed = await left.execute(call).catch((error: unknown) => error);
  expect(isGuardError(closed, "store_unavailable")).toBe(true);
  expect(await createGuard({ store }).execute(call)).toMatchObject({ replayed: true });
});

test("a store that the guard opened is closed with it", async () => {
  const guard = createGuard({ store: "memory:" });
  await guard.close();
  await expect(guard.list()).rejects.toMatchObject({ code: "store_unavailable" });
});
