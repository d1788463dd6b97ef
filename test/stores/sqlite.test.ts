import { spawn } from "node:child_process";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DatabaseSync as Database } from "node:sqlite";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { isGuardError } from "../../src/core/errors.ts";
import type { CaseId, RequestId } from "../../src/core/identity.ts";
import type { Store } from "../../src/core/store.ts";
import { sqliteStore } from "../../src/stores/sqlite.ts";
import { loadSqlite } from "../../src/stores/sqlite-module.ts";
import { checkDurable, openConnection, openSession } from "../../src/stores/sqlite-open.ts";
import { commitQueue } from "../../src/stores/sqlite-queue.ts";
import { applicationId, schemaVersion } from "../../src/stores/sqlite-schema.ts";
import { writerThread } from "../../src/stores/sqlite-thread.ts";
import { checkpoint, extendWal } from "../../src/stores/sqlite-wal.ts";
import { prepareWriter, stepValues } from "../../src/stores/sqlite-write.ts";
import type { Acknowledged } from "../../src/testing/law.ts";
import { claim, settle, start, story } from "../../src/testing/store-cases.ts";
import { storeLaws } from "../../src/testing/store-laws.ts";

const { DatabaseSync } = loadSqlite();
const folder = mkdtempSync(join(tmpdir(), "safeagent-sqlite-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let files = 0;
function newPath(): string {
  files += 1;
  return join(folder, `store-${files}.db`);
}

const paths = new WeakMap<Store, string>();
const opened: Store[] = [];
afterEach(async () => {
  for (const store of opened.splice(0)) await store.close();
});

function storeAt(path: string, options: { busyMs?: number } = {}): Store {
  const store = sqliteStore({ path, ...options });
  paths.set(store, path);
  opened.push(store);
  return store;
}

const pathOf = (store: Store): string => paths.get(store) ?? "";
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const readCase = (store: Store, id: string) =>
  store.read({ namespace: "default", caseId: id as CaseId, requestId: null });

/** Runs SQL behind the store's back. */
function behind(path: string, sql: string, ...values: string[]): void {
  const db = new DatabaseSync(path);
  db.exec("PRAGMA busy_timeout = 5000");
  db.prepare(sql).run(...values);
  db.close();
}

function rowsAt(path: string): string[] {
  const db = new DatabaseSync(path);
  const rows = db.prepare("SELECT text FROM rows ORDER BY rowid").all();
  db.close();
  return rows.map((row) => String(row.text));
}

function codeOf(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    if (isGuardError(error)) return error.code;
    throw error;
  }
  return "none";
}

interface Child {
  readonly out: string;
  readonly err: string;
  readonly code: number | null;
}

const script = new URL("./sqlite-child.ts", import.meta.url).pathname;

/** Runs a process to its end, or kills it some time after its first line. */
function run(args: readonly string[], killAfterMs?: number): Promise<Child> {
  const child = spawn(process.execPath, [script, ...args]);
  let out = "";
  let err = "";
  return new Promise((resolve) => {
    child.stdout.on("data", (data) => {
      if (out === "" && killAfterMs !== undefined) {
        setTimeout(() => child.kill("SIGKILL"), killAfterMs);
      }
      out += data;
    });
    child.stderr.on("data", (data) => {
      err += data;
    });
    child.on("close", (code) => resolve({ out, err, code }));
  });
}

/** What killed processes had been told true about. A line may be cut short by the kill. */
function acknowledgedAt(path: string): Acknowledged[] {
  const lines = readFileSync(`${path}.acks`, "utf8").split("\n").slice(0, -1);
  return lines
    .map((line) => line.split(" "))
    .map(([id, version]) => ({
      namespace: "default",
      caseId: id as CaseId,
      version: Number(version),
    }));
}

describe("the laws", () => {
  const untested = storeLaws({
    test,
    durable: true,
    open() {
      const store = storeAt(newPath());
      behind(pathOf(store), "CREATE TABLE rows (text TEXT)");
      return store;
    },
    reopen: (store) => storeAt(pathOf(store)),
    rows: {
      write: (handle, text) =>
        void (handle as Database).prepare("INSERT INTO rows VALUES (?)").run(text),
      read: (store) => rowsAt(pathOf(store)),
      begin(store) {
        const db = new DatabaseSync(pathOf(store));
        db.exec("PRAGMA busy_timeout = 5000; PRAGMA synchronous = FULL; BEGIN IMMEDIATE");
        const end = (how: string) => {
          db.exec(how);
          db.close();
        };
        return { handle: db, end };
      },
    },
    damage: (store, caseId, change) =>
      behind(pathOf(store), "UPDATE cases SET record = ? WHERE id = ?", change(""), caseId),
    async killed() {
      const path = newPath();
      await run(["load", path, "k", "16"], 300);
      return { store: storeAt(path), acknowledged: acknowledgedAt(path) };
    },
  });

  test("all of them are tested", () => {
    expect(untested).toEqual([]);
  });
});

describe("durable", () => {
  test.each([
    ["one by one, on the main thread", "1"],
    ["in large batches, by the thread", "200"],
  ])("kill -9 at any moment loses nothing acknowledged: %s", async (_how, chains) => {
    const path = newPath();
    for (const [round, ms] of [20, 150, 400, 900].entries()) {
      const { err, code } = await run(["load", path, `k${round}`, chains], ms);
      expect([err, code]).toEqual(["", null]);
    }
    const acknowledged = acknowledgedAt(path);
    expect(acknowledged.length).toBeGreaterThan(100);
    const store = storeAt(path);
    for (const { caseId, version } of acknowledged) {
      const { stored } = await readCase(store, caseId);
      expect(stored?.case.version ?? 0, caseId).toBeGreaterThanOrEqual(version);
    }
    await store.close();
    const db = new DatabaseSync(path);
    expect(Object.values(db.prepare("PRAGMA integrity_check").get() ?? {})).toEqual(["ok"]);
    db.close();
  });

  test("every connection is WAL and FULL, also on a file that exists", () => {
    const path = newPath();
    for (let round = 0; round < 2; round += 1) {
      const { db } = openConnection({ path, busyMs: 1_000 });
      expect(db.prepare("PRAGMA synchronous").get()).toEqual({ synchronous: 2 });
      expect(db.prepare("PRAGMA journal_mode").get()).toEqual({ journal_mode: "wal" });
      expect(db.prepare("PRAGMA mmap_size").get()).toEqual({ mmap_size: 0 });
      expect(db.prepare("PRAGMA trusted_schema").get()).toEqual({ trusted_schema: 0 });
      expect(() => checkDurable(db)).not.toThrow();
      db.close();
    }
  });

  test("a connection that is not is refused", () => {
    const { db } = openConnection({ path: newPath(), busyMs: 1_000 });
    db.exec("PRAGMA synchronous = NORMAL");
    expect(codeOf(() => checkDurable(db))).toBe("store_unavailable");
    db.exec("PRAGMA synchronous = FULL; PRAGMA journal_mode = DELETE");
    expect(codeOf(() => checkDurable(db))).toBe("store_unavailable");
    db.close();
  });

  test.each(["3", "300"])(
    "a process that ends without closing loses nothing (%s)",
    async (chains) => {
      const path = newPath();
      expect(await run(["leave", path, "l", chains])).toEqual({ out: "done\n", err: "", code: 0 });
      const { items } = await storeAt(path).list({ namespace: "default" });
      expect(items.length).toBe(Number(chains));
    },
  );
});

describe("many processes", () => {
  test("16 that open a new file at once all get in, and one wins", async () => {
    const path = newPath();
    const names = Array.from({ length: 16 }, (_, index) => `p${index}`);
    const children = await Promise.all(names.map((name) => run(["open", path, name])));
    expect(children.map((child) => child.err).join("")).toBe("");
    expect(children.map((child) => child.out.split(" ")[0])).toEqual(names.map(() => "true"));
    expect(children.filter((child) => child.out === "true true\n").length).toBe(1);
    const store = storeAt(path);
    expect((await store.list({ namespace: "default" })).items.length).toBe(17);
  });

  test("one that holds the lock is waited for without stopping the event loop", async () => {
    const path = newPath();
    const store = storeAt(path);
    await store.commit(story("first", [claim()]).steps);
    const neighbour = new DatabaseSync(path);
    neighbour.exec("BEGIN IMMEDIATE");
    let turns = 0;
    const clock = setInterval(() => {
      turns += 1;
    }, 5);
    const commits = ["a", "b"].map((id) => store.commit(story(id, [claim()]).steps));
    expect((await readCase(store, "first")).stored?.case.caseId).toBe("first");
    await pause(400);
    neighbour.exec("COMMIT");
    neighbour.close();
    expect(await Promise.all(commits)).toEqual([true, true]);
    clearInterval(clock);
    expect(turns).toBeGreaterThan(20);
  });

  test("one that never lets go is given up on, and costs nothing once it has", async () => {
    const path = newPath();
    const store = storeAt(path, { busyMs: 300 });
    const neighbour = new DatabaseSync(path);
    neighbour.exec("BEGIN IMMEDIATE");
    const error = await store.commit(story("a", [claim()]).steps).catch((thrown) => thrown);
    expect(isGuardError(error, "store_contended")).toBe(true);
    expect((await readCase(store, "a")).stored).toBe(null);
    neighbour.exec("ROLLBACK");
    neighbour.close();
    expect(await store.commit(story("a", [claim()]).steps)).toBe(true);
  });
});

describe("the second thread", () => {
  test("writes large batches, each commit answered by itself", async () => {
    const store = storeAt(newPath());
    for (let round = 0; round < 4; round += 1) {
      const tales = Array.from({ length: 700 }, (_, index) =>
        story(`${round}-${index % 500}`, [claim()], { by: `${index}` }),
      );
      const answers = await Promise.all(tales.map((told) => store.commit(told.steps)));
      expect(answers.filter(Boolean).length).toBe(500);
      await pause(200);
    }
    let count = 0;
    for (let after: string | undefined; ; ) {
      const query = { namespace: "default", ...(after === undefined ? {} : { after }) };
      const page = await store.list(query);
      count += page.items.length;
      if (page.next === null) break;
      after = page.next;
    }
    expect(count).toBe(2_000);
    expect((await store.journal({ namespace: "default", after: 1_500 })).length).toBe(500);
  });

  test("is the one that wrote them", async () => {
    const path = newPath();
    const { db, file } = openConnection({ path, busyMs: 1_000 });
    const heard: unknown[] = [];
    const thread = writerThread(
      { path, busyMs: 1_000, file },
      {
        written: (results) => void heard.push(results),
        failed: (error) => void heard.push(error.code),
        idle: () => void heard.push("idle"),
      },
    );
    thread.start();
    while (thread.state() === "starting") await pause(5);
    expect(thread.state()).toBe("ready");
    const values = stepValues(story("a", [claim()]).steps);
    thread.write({ sizes: [1, 1], values: [...values, ...values] }, true);
    while (heard.length < 2) await pause(5);
    expect(heard).toEqual([[true, false], "idle"]);
    await thread.close();
    db.close();
  });

  test("is done without where it can't be started", async () => {
    const path = newPath();
    const session = openSession({ path, busyMs: 1_000 }, (connection) => ({
      writer: prepareWriter(connection),
      checkpoint: () => checkpoint(connection),
      extendWal: () => extendWal(connection),
    }));
    const queue = commitQueue({
      session,
      busyMs: 300,
      onLanded: () => {},
      makeThread: () => ({ state: () => "gone", start() {}, write() {}, close: async () => {} }),
    });
    for (let round = 0; round < 12; round += 1) {
      const tales = Array.from({ length: 300 }, (_, index) =>
        story(`${round}-${index}`, [claim()]),
      );
      const answers = await Promise.all(tales.map((told) => queue.commit(told.steps)));
      expect(answers.every(Boolean)).toBe(true);
    }
    const neighbour = new DatabaseSync(path);
    neighbour.exec("BEGIN IMMEDIATE");
    const late = queue.commit(story("late", [claim()]).steps).catch((error) => error);
    expect(isGuardError(await late, "store_contended")).toBe(true);
    neighbour.close();
    await queue.drained();
    session.close();
  });
});

describe("a file that is not ours", () => {
  test("a newer schema is refused", async () => {
    const path = newPath();
    await storeAt(path).close();
    behind(path, `PRAGMA user_version = ${schemaVersion + 1}`);
    expect(codeOf(() => sqliteStore({ path }))).toBe("store_outdated");
    behind(path, `PRAGMA user_version = ${schemaVersion}`);
    await storeAt(path).close();
  });

  test("one that has our name and lacks our tables is refused", async () => {
    const path = newPath();
    await storeAt(path).close();
    behind(path, "DROP TABLE unfinished");
    expect(codeOf(() => sqliteStore({ path }))).toBe("store_corrupt");
  });

  test("another program's database is refused, and left as it was", () => {
    for (const sql of [
      "CREATE TABLE t (x)",
      "PRAGMA application_id = 7",
      "PRAGMA user_version = 3",
    ]) {
      const path = newPath();
      behind(path, sql);
      const before = readFileSync(path);
      expect(codeOf(() => sqliteStore({ path }))).toBe("store_outdated");
      expect(readFileSync(path).equals(before)).toBe(true);
    }
  });

  test("what is no database is refused, and left as it was", () => {
    const path = newPath();
    writeFileSync(path, "A letter to a friend, and not a database.\n".repeat(200));
    const before = readFileSync(path);
    expect(codeOf(() => sqliteStore({ path }))).toBe("store_corrupt");
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  test("what is no plain file is refused", () => {
    mkdirSync(join(folder, "a-folder"));
    const path = (name: string) => codeOf(() => sqliteStore({ path: name }));
    expect(path(join(folder, "a-folder"))).toBe("store_unavailable");
    expect(path(join(folder, "nowhere", "x.db"))).toBe("store_unavailable");
    expect(path("/dev/null")).toBe("store_unavailable");
    for (const name of ["", ":memory:", "file:x.db?mode=memory", "FILE:x.db", "a\0b"]) {
      expect(path(name)).toBe("invalid_request");
    }
  });

  test("a new one is readable to its owner alone, its companions too", async () => {
    const path = newPath();
    const store = storeAt(path);
    await store.commit(story("a", [claim()]).steps);
    for (const name of [path, `${path}-wal`, `${path}-shm`]) {
      expect(statSync(name).mode & 0o777, name).toBe(0o600);
    }
    const db = new DatabaseSync(path);
    expect(db.prepare("PRAGMA application_id").get()).toEqual({ application_id: applicationId });
    db.close();
  });
});

describe("a broken world", () => {
  test("a deleted or replaced file is noticed, and nothing is acknowledged into it", async () => {
    for (const isReplaced of [false, true]) {
      const path = newPath();
      const store = storeAt(path);
      expect(await store.commit(story("a", [claim()]).steps)).toBe(true);
      for (const end of ["", "-wal", "-shm"]) renameSync(path + end, `${path}-away${end}`);
      if (isReplaced) await sqliteStore({ path }).close();
      const error = await store.commit(story("b", [claim()]).steps).catch((thrown) => thrown);
      expect(isGuardError(error, "store_unavailable")).toBe(true);
      expect(codeOf(() => store.subscribe?.(() => {})?.())).toBe("none");
      const later = await readCase(store, "a").catch((thrown) => thrown);
      expect(isGuardError(later, "store_unavailable")).toBe(true);
      if (isReplaced) rmSync(path);
      for (const end of ["", "-wal", "-shm"]) {
        rmSync(path + end, { force: true });
        if (end === "") renameSync(`${path}-away`, path);
      }
      const after = await readCase(store, "b").catch((thrown) => thrown);
      expect(after).toEqual({ stored: null, bound: null });
    }
  });

  test("a damaged page is store_corrupt", async () => {
    const path = newPath();
    const store = storeAt(path);
    for (let index = 0; index < 200; index += 1) {
      await store.commit(story(`case-${index}`, [claim()]).steps);
    }
    await store.close();
    const bytes = readFileSync(path);
    bytes.fill(0xff, 8_192);
    writeFileSync(path, bytes);
    const codes = new Set<string>();
    try {
      const damaged = storeAt(path);
      const error = await damaged.list({ namespace: "default" }).catch((thrown) => thrown);
      codes.add(isGuardError(error) ? error.code : "none");
    } catch (error) {
      codes.add(isGuardError(error) ? error.code : "none");
    }
    expect([...codes]).toEqual(["store_corrupt"]);
  });

  test("a clock without a time is refused", () => {
    const store = sqliteStore({ path: newPath(), clock: () => Number.NaN });
    opened.push(store);
    expect(codeOf(() => store.now())).toBe("store_unavailable");
  });

  test("a file that may only be read still answers reads", async () => {
    const place = join(folder, "read-only");
    mkdirSync(place);
    const path = join(place, "store.db");
    const writer = storeAt(path);
    await writer.commit(story("a", [claim(), settle(1)]).steps.slice(0, 1));
    await writer.close();
    for (const name of [folder, place]) chmodSync(name, 0o777);
    chmodSync(path, 0o444);
    // Root may write anything: be nobody for a while.
    const isRoot = process.geteuid?.() === 0;
    if (isRoot) process.seteuid?.(65_534);
    try {
      const store = sqliteStore({ path, busyMs: 500 });
      expect((await readCase(store, "a")).stored?.case.state).toBe("EXECUTING");
      const error = await store.commit(story("b", [claim()]).steps).catch((thrown) => thrown);
      expect(isGuardError(error, "store_unavailable")).toBe(true);
      expect((await readCase(store, "a")).stored?.case.state).toBe("EXECUTING");
      await store.close();
    } finally {
      if (isRoot) process.seteuid?.(0);
    }
  });
});

test("request ids of a case's own name are told apart in both directions, after a restart, too", async () => {
  const path = newPath();
  const first = storeAt(path);
  await first.commit(story("own", [claim()]).steps);
  await first.commit(story("y", [claim()], { bind: "r" }).steps);
  await first.close();
  const store = storeAt(path);
  expect(await store.commit(story("z", [claim()], { bind: "own" }).steps)).toBe(false);
  expect(await store.commit(story("r", [claim()], { bind: "r" }).steps)).toBe(false);
  const bound = async (id: string) =>
    (await store.read({ namespace: "default", caseId: null, requestId: id as RequestId })).bound;
  expect([await bound("own"), await bound("r"), await bound("z")]).toEqual(["own", "y", null]);
});

test("prune goes through thousands, page by page", async () => {
  const store = storeAt(newPath());
  const tales = Array.from({ length: 2_300 }, (_, index) =>
    story(`case-${index}`, index % 10 === 0 ? [claim()] : [claim(), settle(index)]),
  );
  for (const part of [0, 1]) {
    await Promise.all(tales.map((told) => store.commit(told.steps.slice(part, part + 1))));
  }
  const query = { namespace: "default", before: start + 1_000 };
  const counts: number[] = [];
  do counts.push(await store.prune(query));
  while (counts.at(-1) !== 0);
  expect(counts).toEqual([1_000, 1_000, 70, 0]);
  expect((await store.journal({ namespace: "default", after: 0 })).length).toBe(230);
});
