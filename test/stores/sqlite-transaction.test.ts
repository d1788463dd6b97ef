import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DatabaseSync as Database, DatabaseSyncOptions } from "node:sqlite";
import { afterAll, describe, expect, onTestFinished, test } from "vitest";
import { isGuardError } from "../../src/core/errors.ts";
import type { CaseId } from "../../src/core/identity.ts";
import type { Store, StoreTransaction } from "../../src/core/store.ts";
import { sqliteStore } from "../../src/stores/sqlite.ts";
import { loadSqlite } from "../../src/stores/sqlite-module.ts";
import { claim, settle, story } from "../../src/testing/store-cases.ts";
import { storeLaws } from "../../src/testing/store-laws.ts";

const { DatabaseSync } = loadSqlite();
const folder = mkdtempSync(join(tmpdir(), "safeagent-sqlite-tx-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let files = 0;
function newPath(): string {
  files += 1;
  return join(folder, `store-${files}.db`);
}

function storeAt(path: string, busyMs = 30_000): Store {
  const store = sqliteStore({ path, busyMs });
  onTestFinished(() => store.close());
  return store;
}

function databaseAt(path: string, options: DatabaseSyncOptions = {}): Database {
  const db = new DatabaseSync(path, options);
  onTestFinished(() => db.close());
  db.exec("PRAGMA busy_timeout = 5000; PRAGMA synchronous = FULL");
  return db;
}

/** With a table of the caller's own beside the store's. */
function place() {
  const path = newPath();
  const store = storeAt(path);
  const db = databaseAt(path);
  db.exec("CREATE TABLE deeds (text TEXT UNIQUE)");
  const deeds = () =>
    db
      .prepare("SELECT text FROM deeds")
      .all()
      .map(({ text }) => text);
  return { path, store, db, deeds };
}

const transact = <T>(store: Store, work: (tx: StoreTransaction) => Promise<T>): Promise<T> => {
  if (store.transaction === undefined) throw new Error("it has transactions");
  return store.transaction(work);
};

const insert = (tx: StoreTransaction, text: string) =>
  void (tx.handle as Database).prepare("INSERT INTO deeds VALUES (?)").run(text);

const stateOf = async (store: Store, id: string) =>
  (await store.read({ namespace: "default", caseId: id as CaseId, requestId: null })).stored?.case
    .state;

async function errorOf(call: () => unknown) {
  try {
    await call();
  } catch (error) {
    if (isGuardError(error)) return error;
    throw error;
  }
  throw new Error("it did not throw");
}

describe("a transaction", () => {
  test("is as durable as every commit: WAL and FULL, on a connection that waits for nobody inside SQLite", async () => {
    const { store } = place();
    await transact(store, async ({ handle, isSync }) => {
      const db = handle as Database;
      expect(isSync).toBe(true);
      expect(db.prepare("PRAGMA synchronous").get()).toEqual({ synchronous: 2 });
      expect(db.prepare("PRAGMA journal_mode").get()).toEqual({ journal_mode: "wal" });
      expect(db.prepare("PRAGMA busy_timeout").get()).toEqual({ timeout: 0 });
    });
  });

  test("waits for others without stopping the event loop, and they for it", async () => {
    const { store, db, deeds } = place();
    db.exec("BEGIN IMMEDIATE");
    const order: string[] = [];
    const done = transact(store, async (tx) => {
      order.push("work");
      insert(tx, "a");
    });
    const commit = store.commit(story("b", [claim()]).steps);
    for (let turns = 0; turns < 5; turns += 1) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      order.push("turn");
    }
    db.exec("COMMIT");
    await done;
    expect(await commit).toBe(true);
    expect(order).toEqual(["turn", "turn", "turn", "turn", "turn", "work"]);
    expect(deeds()).toEqual(["a"]);
  });

  test("gives up on one that never lets go, and costs nothing once it has", async () => {
    const { path, db } = place();
    const store = storeAt(path, 50);
    db.exec("BEGIN IMMEDIATE");
    let ran = false;
    const error = await errorOf(() =>
      transact(store, async () => {
        ran = true;
      }),
    );
    expect([error.code, ran]).toEqual(["store_contended", false]);
    db.exec("ROLLBACK");
    await transact(store, async () => undefined);
  });

  test("whose end fails is store_unavailable, and taken back; the next one is none the worse", async () => {
    const { store, db, deeds } = place();
    db.exec("CREATE TABLE items (deed TEXT REFERENCES deeds (text) DEFERRABLE INITIALLY DEFERRED)");
    const error = await errorOf(() =>
      transact(store, async (tx) => {
        await tx.commit(story("a", [claim()]).steps);
        (tx.handle as Database).exec("INSERT INTO items VALUES ('nothing')");
      }),
    );
    expect(error.code).toBe("store_unavailable");
    expect(await stateOf(store, "a")).toBeUndefined();
    await transact(store, async (tx) => insert(tx, "a"));
    expect(deeds()).toEqual(["a"]);
  });

  test("that its work has ended is refused, and no step lands outside of it", async () => {
    const { store } = place();
    const error = await errorOf(() =>
      transact(store, async (tx) => {
        (tx.handle as Database).exec("COMMIT");
        await tx.commit(story("a", [claim()]).steps);
      }),
    );
    expect(error.code).toBe("invalid_request");
    expect(await stateOf(store, "a")).toBeUndefined();
  });

  test("on a file that was replaced is refused", async () => {
    const { path, store } = place();
    await transact(store, async () => undefined);
    const copy = newPath();
    copyFileSync(path, copy);
    rmSync(path);
    copyFileSync(copy, path);
    const error = await errorOf(() => transact(store, async (tx) => insert(tx, "a")));
    expect(error.code).toBe("store_unavailable");
    expect(error.message).toContain("replaced");
  });

  test("many of them write the log back in between", async () => {
    const { store, deeds } = place();
    for (let index = 0; index < 130; index += 1) {
      await transact(store, async (tx) => insert(tx, `${index}`));
    }
    expect(deeds()).toHaveLength(130);
  });
});

describe("the caller's own transaction", () => {
  const begun = (path: string, options?: DatabaseSyncOptions): Database => {
    const db = databaseAt(path, options);
    db.exec("BEGIN IMMEDIATE");
    return db;
  };

  const refusals: readonly (readonly [string, (path: string) => unknown, RegExp])[] = [
    ["none was begun", (path) => databaseAt(path), /in no transaction/],
    ["another file", () => begun(newPath()), /another file/],
    ["no file", () => begun(":memory:"), /another file/],
    [
      "not durable",
      (path) => {
        const db = databaseAt(path);
        db.exec("PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE");
        return db;
      },
      /`synchronous` is not FULL/,
    ],
    [
      "a table that hides the store's",
      (path) => {
        const db = databaseAt(path);
        db.exec("CREATE TEMP TABLE cases (id TEXT); BEGIN IMMEDIATE");
        return db;
      },
      /"cases" hides/,
    ],
    ["numbers as BigInt", (path) => begun(path, { readBigInts: true }), /BigInt/],
    ["rows as arrays", (path) => begun(path, { returnArrays: true }), /objects/],
    [
      "closed",
      (path) => {
        const db = new DatabaseSync(path);
        db.close();
        return db;
      },
      /can't be read|in no transaction/,
    ],
  ];

  test.each(refusals)("%s: refused, and nothing is written", async (_what, make, says) => {
    const { path, store } = place();
    const error = await errorOf(() => store.within?.(make(path)));
    expect(error).toMatchObject({ code: "invalid_request", effect: "none" });
    expect(error.message).toMatch(says);
    expect((await store.list({ namespace: "default" })).items).toEqual([]);
  });

  test("lets no step land after its end", async () => {
    const { path, store } = place();
    const db = begun(path);
    const tx = store.within?.(db);
    db.exec("COMMIT");
    const error = await errorOf(() => tx?.commit(story("a", [claim()]).steps));
    expect(error.code).toBe("invalid_request");
    expect(await stateOf(store, "a")).toBeUndefined();
  });

  test("goes on whole where a step could not be written", async () => {
    const { path, store } = place();
    const db = databaseAt(path);
    // The disk is as full as it may be, for this connection.
    db.exec("BEGIN IMMEDIATE");
    const tx = store.within?.(db) as StoreTransaction;
    db.exec(
      "CREATE TEMP TRIGGER full BEFORE INSERT ON main.journal BEGIN SELECT RAISE(ABORT, 'full'); END",
    );
    const error = await errorOf(() => tx.commit(story("a", [claim(), settle(1)]).steps));
    expect(error.code).toMatch(/^store_/);
    db.exec("DROP TRIGGER full; INSERT INTO deeds VALUES ('kept'); COMMIT");
    expect(await stateOf(store, "a")).toBeUndefined();
    expect(await store.check?.()).toEqual([]);
  });
});

/** A store that is right but for its transactions. */
const wrong: readonly (readonly [what: string, spoil: (store: Store) => Partial<Store>])[] = [
  [
    "keeps what it should take back",
    (store) => ({
      transaction: async (work) => {
        const done = await transact(store, async (tx) =>
          work(tx).then(
            (result) => ({ result }),
            (error: unknown) => ({ error }),
          ),
        );
        if ("error" in done) throw done.error;
        return done.result;
      },
    }),
  ],
  [
    "lets steps land outside",
    (store) => ({
      transaction: (work) =>
        work({
          handle: new DatabaseSync(":memory:"),
          isSync: true,
          now: store.now,
          read: store.read,
          commit: store.commit,
        }),
    }),
  ],
  [
    "answers for its work before it has landed",
    (store) => ({
      transaction: async (work) => {
        let told: unknown;
        await transact(store, async (tx) => {
          told = await work(tx);
          throw new Error("after it");
        }).catch(() => undefined);
        return told as never;
      },
    }),
  ],
  [
    "says yes to every step",
    (store) => ({
      transaction: (work) =>
        transact(store, (tx) =>
          work({ ...tx, commit: async (steps) => (await tx.commit(steps)) || true }),
        ),
    }),
  ],
  [
    "takes back what was written beside it, where it refuses",
    (store) => ({
      transaction: (work) =>
        transact(store, (tx) => {
          const db = tx.handle as Database;
          db.exec("SAVEPOINT all_of_it");
          const commit: typeof tx.commit = async (steps) => {
            const landed = await tx.commit(steps);
            if (!landed) db.exec("ROLLBACK TO all_of_it");
            return landed;
          };
          return work({ ...tx, commit });
        }),
    }),
  ],
  ["calls the work of who has left", (store) => ({ transaction: (work) => transact(store, work) })],
  [
    "takes any handle",
    (store) => ({
      within: (handle) => ({
        handle,
        isSync: true,
        now: store.now,
        read: store.read,
        commit: store.commit,
      }),
    }),
  ],
  ["goes on after its end", (store) => ({ close: async () => void store })],
];

describe("control: the laws find a store that", () => {
  test.each([...wrong, ["has nothing wrong with it", () => ({})] as const])(
    "%s",
    async (_what, spoil) => {
      const laws: (() => Promise<void>)[] = [];
      const paths = new WeakMap<Store, string>();
      const open = (path: string): Store => {
        const store = storeAt(path, 300);
        const spoiled = { ...store, ...spoil(store) };
        paths.set(spoiled, path);
        return spoiled;
      };
      const at = (store: Store) => paths.get(store) ?? "";
      storeLaws({
        test: (name, run) => void (/transaction/.test(name) && laws.push(run)),
        open() {
          const path = newPath();
          const store = open(path);
          const db = new DatabaseSync(path);
          db.exec("CREATE TABLE deeds (text TEXT)");
          db.close();
          return store;
        },
        reopen: (store) => open(at(store)),
        rows: {
          write: (handle, text) =>
            void (handle as Database).prepare("INSERT INTO deeds VALUES (?)").run(text),
          read(store) {
            const db = new DatabaseSync(at(store));
            const rows = db.prepare("SELECT text FROM deeds").all();
            db.close();
            return rows.map(({ text }) => String(text));
          },
          begin(store) {
            const db = new DatabaseSync(at(store));
            db.exec("PRAGMA busy_timeout = 5000; BEGIN IMMEDIATE");
            return { handle: db, end: (how) => db.exec(how) };
          },
        },
      });
      expect(laws.length).toBeGreaterThan(6);
      const broken = await Promise.all(
        laws.map((law) =>
          law().then(
            () => 0,
            () => 1,
          ),
        ),
      );
      expect(broken.includes(1)).toBe(wrong.some(([, one]) => one === spoil));
    },
  );
});
