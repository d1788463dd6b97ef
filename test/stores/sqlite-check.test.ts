import { spawn } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { isGuardError } from "../../src/core/errors.ts";
import type { Store } from "../../src/core/store.ts";
import { createGuard, type Guard, NotPerformed } from "../../src/index.ts";
import { sqliteStore } from "../../src/stores/sqlite.ts";
import { checkInThread, isLargeFile } from "../../src/stores/sqlite-check-thread.ts";
import { loadSqlite } from "../../src/stores/sqlite-module.ts";
import { openConnection } from "../../src/stores/sqlite-open.ts";
import { extendWal } from "../../src/stores/sqlite-wal.ts";
import { lostCommits } from "../../src/stores/sqlite-wal-check.ts";
import { claim, settle, story } from "../../src/testing/store-cases.ts";

const { DatabaseSync } = loadSqlite();
const folder = mkdtempSync(join(tmpdir(), "safeagent-check-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let files = 0;
const newPath = (): string => join(folder, `store-${++files}.db`);

const opened: Store[] = [];
afterEach(async () => {
  for (const store of opened.splice(0)) await store.close();
});

function storeAt(path: string): Store {
  const store = sqliteStore({ path });
  opened.push(store);
  return store;
}

const call = (requestId: string, caseId = requestId) => ({
  requestId,
  caseId,
  action: "pay",
  payload: { cents: 500 },
  run: (): unknown => ({ paid: requestId }),
});

let made: Promise<string> | undefined;

/** A file, closed, in which a guard has left some of everything. */
async function livedIn(): Promise<string> {
  made ??= makeOne();
  return copied(await made);
}

async function makeOne(): Promise<string> {
  const path = newPath();
  const guard = createGuard({ store: path });
  await guard.execute(call("old"));
  await guard.execute(call("r-old", "old-2"));
  await guard.prune({ before: new Date(Date.now() + 1_000) });
  await guard.execute(call("a"));
  await guard.execute(call("r-b", "b"));
  await guard.execute(call("r-b-2", "b"));
  await guard.execute({ ...call("doubt"), run: () => Promise.reject(new Error("reset")) });
  await guard.execute({
    ...call("r-keyed", "keyed"),
    effect: "keyed",
    run: () => Promise.reject(new Error("reset")),
  });
  await guard.execute({ ...call("back"), run: () => Promise.reject(new NotPerformed("later")) });
  await guard.close();
  return path;
}

/** Runs SQL behind the store's back. */
function behind(path: string, sql: string): void {
  const db = new DatabaseSync(path);
  db.exec(sql);
  db.close();
}

/** Whether SQLite alone, its own check included, finds nothing wrong. */
function passesSqlite(path: string): boolean {
  const db = new DatabaseSync(path);
  const says = db.prepare("PRAGMA integrity_check").get()?.integrity_check;
  for (const table of ["cases", "journal", "requests", "unfinished"]) {
    const all = db.prepare(`SELECT * FROM ${table}`);
    all.setReadBigInts(true);
    all.all();
  }
  db.close();
  return says === "ok";
}

async function faultsAt(path: string): Promise<readonly string[]> {
  const store = storeAt(path);
  const { faults } = await guardOn(store).verify();
  return faults.map(({ what }) => what);
}

const guardOn = (store: Store): Guard => createGuard({ store });
const place = (id: string) => `(SELECT place FROM cases WHERE id = '${id}')`;
const last = (id: string) => `(SELECT last_entry FROM cases WHERE id = '${id}')`;

/** Exchanges what two rows have in a column: in one statement the second would read what the first wrote. */
function swapped(table: string, column: string, one: string, other: string): string {
  return `CREATE TEMP TABLE kept AS SELECT (SELECT ${column} FROM ${table} WHERE ${one}) AS a,
      (SELECT ${column} FROM ${table} WHERE ${other}) AS b;
    UPDATE ${table} SET ${column} = CASE WHEN ${one} THEN (SELECT b FROM kept)
      ELSE (SELECT a FROM kept) END WHERE ${one} OR ${other}`;
}

const damages: readonly (readonly [name: string, sql: string, says: readonly RegExp[]])[] = [
  [
    "a record's value",
    'UPDATE cases SET record = replace(record, \'"paid":"a"\', \'"paid":"x"\') WHERE id = \'a\'',
    [/^Case a has a record that its journal doesn't give: receipt\.$/],
  ],
  [
    "two records swapped",
    swapped("cases", "record", "id = 'a'", "id = 'b'"),
    [/^Case a can't be read: .*columns and its record differ/, /^Case b can't be read/],
  ],
  [
    "two entries' texts swapped",
    swapped("journal", "text", `position = ${last("a")}`, `position = ${last("b")}`),
    [/^Entry 2 of case a .* is missing: another/, /^Entry 3 of case b .* is missing: another/],
  ],
  [
    "two entries' texts of one place swapped",
    swapped("journal", "text", `position = ${last("a")}`, `position = ${last("doubt")}`),
    [/^Entry 2 of case a .* was changed/, /^Entry 2 of case doubt .* was changed/],
  ],
  [
    "two heads swapped",
    swapped("cases", "head", "id = 'a'", "id = 'b'"),
    [/^Entry 2 of case a .* the hash beside its record/, /^Entry 3 of case b .* the hash/],
  ],
  [
    "two requests swapped",
    `UPDATE requests SET case_id = CASE id WHEN 'r-b' THEN 'keyed' ELSE 'b' END
     WHERE id IN ('r-b', 'r-keyed')`,
    [/^Case b is not found by request r-b,/, /^Case keyed is not found by request r-keyed,/],
  ],
  [
    "a request of a tombstone",
    "UPDATE requests SET case_id = 'a' WHERE id = 'r-old'",
    [
      /^Case old-2 is not found by request r-old,/,
      /^A request id is bound to a case whose journal doesn't tell of it/,
    ],
  ],
  [
    "a case's own request",
    "UPDATE cases SET own_request = 1 - own_request WHERE id IN ('a', 'b')",
    [/^Case a is not found by request a,/, /^Case b is bound to the request of its own name/],
  ],
  [
    "an entry",
    `UPDATE journal SET text = replace(text, '"paid":"a"', '"paid":"x"') WHERE position = ${last("a")}`,
    [/^Entry 2 of case a \(position \d+\) was changed/],
  ],
  [
    "an entry's number in the feed",
    `UPDATE journal SET position = position + 1000 WHERE position = ${last("a")}`,
    [/^Case a can't be read: .*the entry at position \d+ of a journal is missing/],
  ],
  [
    "an entry's namespace",
    `UPDATE journal SET namespace = 'else' WHERE position = ${last("a")}`,
    [/^Entry 2 of case a \(position \d+\) is missing from the feed/],
  ],
  [
    "an entry's link to the one before",
    `UPDATE journal SET previous = NULL WHERE position = ${last("b")}`,
    [/^Entry 1 of case b \(position \d+\) is missing: another/],
  ],
  [
    "a journal's link that leads forwards",
    `UPDATE journal SET previous = position + 1 WHERE position = ${last("b")}`,
    [/^Case b can't be read: .*the entry at position \d+ of a journal follows on none/],
  ],
  [
    "an entry deleted",
    `DELETE FROM journal WHERE position = ${last("b")} - 1`,
    [/^Case b can't be read: .*the entry at position \d+ of a journal is missing/],
  ],
  [
    "a case deleted",
    "DELETE FROM cases WHERE id = 'a'",
    [
      /^Entry 1 of case a .* is in the feed, and it has no case with a journal/,
      /^A case is missing from the table of cases \(place 3\)/,
    ],
  ],
  [
    "a tombstone deleted",
    "DELETE FROM cases WHERE id = 'old'",
    [/^A case is missing from the table of cases \(place 1\)/],
  ],
  [
    "a tombstone of another namespace",
    "UPDATE cases SET namespace = 'else' WHERE id = 'old'",
    [/^A case's record doesn't say the namespace that it stands in \(place 1\)/],
  ],
  [
    "a tombstone changed",
    'UPDATE cases SET record = replace(record, \'"effect":"once"\', \'"effect":"none"\') WHERE id = \'old\'',
    [/^Case old is retired, and its record or the hash/],
  ],
  [
    "a tombstone given a journal",
    `UPDATE cases SET last_entry = ${last("a")} WHERE id = 'old'`,
    [/^Case old is retired, and has a journal again/],
  ],
  [
    "a request deleted",
    "DELETE FROM requests WHERE id = 'r-b'",
    [/^Case b is not found by request r-b,/, /^A request id is missing from the table of requests/],
  ],
  [
    "a request of nobody",
    "INSERT INTO requests (namespace, id, case_id) VALUES ('default', 'new', 'nobody')",
    [
      /^A request id is bound to a case that is not there/,
      /^A request id is bound to a case whose journal doesn't tell of it/,
    ],
  ],
  [
    "a request that nobody made",
    "INSERT INTO requests (namespace, id, case_id) VALUES ('default', 'new', 'a')",
    [/^A request id is bound to a case whose journal doesn't tell of it \(place \d+\)/],
  ],
  [
    "a case in doubt taken off the list",
    `DELETE FROM unfinished WHERE place = ${place("doubt")}`,
    [/^Case doubt is missing from the list of what has not ended/],
  ],
  [
    "a case due never",
    `UPDATE unfinished SET due = NULL WHERE place = ${place("keyed")}`,
    [/^Case keyed can't be read: .*columns and its record differ/],
  ],
  [
    "a case that has ended due",
    `INSERT INTO unfinished (place, due) VALUES (${place("a")}, 7)`,
    [/^Case a can't be read: .*columns/, /^The list of unfinished cases has one that is not/],
  ],
  [
    "a tombstone in the list",
    `INSERT INTO unfinished (place, due) VALUES (${place("old")}, NULL)`,
    [/^The list of unfinished cases has one that is not unfinished/],
  ],
  [
    "a number beyond all numbers",
    `UPDATE cases SET version = 9223372036854775807 WHERE id = 'a'`,
    [/^The list of cases can't be read: .*a number that is none of ours/, /^Case a can't be read/],
  ],
];

describe("what SQLite alone does not find, the guard names:", () => {
  test.each(damages)("%s", async (_name, sql, says) => {
    const path = await livedIn();
    expect(await faultsAt(path)).toEqual([]);
    for (const store of opened.splice(0)) await store.close();
    behind(path, sql);
    // (control)
    expect(passesSqlite(path)).toBe(true);
    const found = await faultsAt(path);
    expect(found).toHaveLength(says.length);
    for (const [index, pattern] of says.entries()) expect(found[index]).toMatch(pattern);
  });
});

describe("the file itself", () => {
  test("is checked on the main thread while it is small, and on another when it is large", async () => {
    const path = await livedIn();
    const store = storeAt(path);
    expect(isLargeFile(path)).toBe(false);
    expect(await store.check?.()).toEqual([]);
    for (let round = 0; !isLargeFile(path); round += 1) {
      const tales = Array.from({ length: 200 }, (_, index) =>
        story(`${round}-${index}`, [claim({ payload: "x".repeat(2_000) }), settle(index)]),
      );
      await Promise.all(tales.map(({ steps }) => store.commit(steps)));
    }
    expect(await store.check?.()).toEqual([]);
    behind(path, "DELETE FROM cases WHERE id = 'old'");
    expect(await store.check?.()).toEqual(["A case is missing from the table of cases (place 1)."]);
  });

  test("that is another one by now is not checked for it", async () => {
    const path = await livedIn();
    const options = { path, busyMs: 1_000, file: { device: 0, inode: 0 } };
    const error = await checkInThread(options).catch((thrown: unknown) => thrown);
    expect(isGuardError(error, "store_unavailable")).toBe(true);
  });

  test("with an index that lacks a row is found, whatever the rows say", async () => {
    const path = await livedIn();
    const root = rootOf(path, "sqlite_autoindex_requests_1");
    damaged(path, (bytes) => {
      // A leaf of an index: one entry less.
      const at = (root - 1) * 4_096;
      bytes.writeUInt16BE(bytes.readUInt16BE(at + 3) - 1, at + 3);
    });
    expect(passesSqlite(path)).toBe(false);
    const found = await faultsAt(path);
    expect(found).toContainEqual(
      expect.stringMatching(/^The database is damaged: .+ on page \d+; and \d+ more\.$/),
    );
  });

  test("that can't be read through is a fault and no error, case by case", async () => {
    const path = await livedIn();
    damaged(path, (bytes) => {
      bytes.fill(0, (rootOf(path, "journal") - 1) * 4_096, rootOf(path, "journal") * 4_096);
    });
    const found = await faultsAt(path);
    expect(found).toContainEqual(expect.stringMatching(/^Case a can't be read: .*damaged/));
    expect(found).toContainEqual(expect.stringMatching(/^The feed('s end)? can't be read/));
  });
});

function rootOf(path: string, name: string): number {
  const db = new DatabaseSync(path);
  const row = db.prepare("SELECT rootpage FROM sqlite_schema WHERE name = ?").get(name);
  db.close();
  return row?.rootpage as number;
}

function damaged(path: string, change: (bytes: Buffer) => void): void {
  const bytes = readFileSync(path);
  change(bytes);
  writeFileSync(path, bytes);
}

describe("the WAL", () => {
  const frameBytes = 4_096 + 24;

  /** A store that was left without closing: some cases written back, the others in the WAL, a commit each. */
  async function left(commits = 20): Promise<string> {
    const path = newPath();
    const store = storeAt(path);
    await store.commit(story("first", [claim()]).steps);
    behind(path, "PRAGMA wal_checkpoint(TRUNCATE)");
    for (let index = 0; index < commits; index += 1) {
      await store.commit(story(`case-${index}`, [claim()]).steps);
    }
    const copy = newPath();
    copyFileSync(path, copy);
    copyFileSync(`${path}-wal`, `${copy}-wal`);
    return copy;
  }

  const idsAt = async (path: string) =>
    (await storeAt(path).list({ namespace: "default" })).items.map((kase) => kase.caseId);
  const frames = (path: string) => Math.floor(readFileSync(`${path}-wal`).length / frameBytes);

  test("that is whole has lost nothing", async () => {
    const path = await left();
    expect(lostCommits(path)).toBeUndefined();
    expect((await idsAt(path)).length).toBe(21);
  });

  test("with a flipped bit has lost every commit since: SQLite says nothing, the check does", async () => {
    const path = await left();
    damaged(`${path}-wal`, (bytes) => {
      const at = 32 + 4 * frameBytes + 2_000;
      bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
    });
    // (control)
    expect(passesSqlite(copied(path))).toBe(true);
    expect(lostCommits(path)).toBe(
      "The WAL is damaged in frame 5: commits that stand behind it are left out, unless they were written back before.",
    );
    const store = storeAt(path);
    expect((await store.list({ namespace: "default" })).items.length).toBeLessThan(10);
    expect((await guardOn(store).verify()).faults).toContainEqual({
      where: "store",
      what: "The WAL is damaged in frame 5: commits that stand behind it are left out, unless they were written back before.",
    });
  });

  test("with a damaged header has lost all of it", async () => {
    for (const at of [0, 5, 9, 13, 17, 25, 31]) {
      const path = await left();
      damaged(`${path}-wal`, (bytes) => bytes.writeUInt8(bytes.readUInt8(at) ^ 0x10, at));
      expect(lostCommits(path), `byte ${at}`).toBe(
        "The WAL is damaged in its header: commits that stand behind it are left out, unless they were written back before.",
      );
      expect(await idsAt(path)).toEqual(["first"]);
    }
  });

  test("whose first sector is noise has lost all of it", async () => {
    const path = await left();
    damaged(`${path}-wal`, (bytes) => bytes.fill(0xa5, 0, 512));
    expect(lostCommits(path)).toMatch(/^The WAL is damaged in its header/);
  });

  test("with a damaged header, begun anew over what was written back, has lost nothing", async () => {
    const path = await left(12);
    const db = new DatabaseSync(path);
    db.exec("PRAGMA synchronous = FULL; PRAGMA wal_checkpoint(RESTART)");
    // One page, so that the frames of the time before follow at once.
    db.exec("PRAGMA user_version = 1; PRAGMA wal_checkpoint(PASSIVE)");
    const copy = copied(path);
    db.close();
    expect(lostCommits(copy)).toBeUndefined();
    damaged(`${copy}-wal`, (bytes) => bytes.writeUInt8(bytes.readUInt8(3) ^ 1, 3));
    expect(lostCommits(copy)).toBeUndefined();
  });

  test("that was written back and not begun anew may be damaged, too, and nothing is lost", async () => {
    const path = await left();
    const db = new DatabaseSync(path);
    db.exec("PRAGMA wal_checkpoint(PASSIVE)");
    const copy = copied(path);
    db.close();
    expect(lostCommits(copy)).toBeUndefined();
    damaged(`${copy}-wal`, (bytes) => bytes.writeUInt8(bytes.readUInt8(17) ^ 1, 17));
    expect(lostCommits(copy)).toMatch(/unless they were written back before/);
    expect((await idsAt(copy)).length).toBe(21);
  });

  test("whose last transaction is damaged looks like one that was cut off", async () => {
    const path = await left();
    damaged(`${path}-wal`, (bytes) => {
      const at = 32 + (frames(path) - 1) * frameBytes + 100;
      bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
    });
    expect(lostCommits(path)).toBeUndefined();
    expect((await idsAt(path)).length).toBe(20);
  });

  test("that is cut off anywhere is one that power loss may leave", async () => {
    const path = await left(6);
    const whole = readFileSync(`${path}-wal`);
    for (let end = 0; end <= whole.length; end += 1_030) {
      writeFileSync(`${path}-wal`, whole.subarray(0, end));
      expect(lostCommits(path)).toBeUndefined();
    }
  });

  test("with one transaction of which any part is missing, too", async () => {
    const path = await left(6);
    const whole = readFileSync(`${path}-wal`);
    const starts = commitsIn(whole, frameBytes);
    const from = 32 + (starts.at(-2) ?? 0) * frameBytes;
    for (let at = from; at < whole.length; at += 512) {
      const torn = Buffer.from(whole);
      torn.fill(0, at, Math.min(at + 512, whole.length));
      writeFileSync(`${path}-wal`, torn);
      expect(lostCommits(path), `${at}`).toBeUndefined();
    }
    // (control) The same in the one before it is no power loss.
    const before = 32 + (starts.at(-3) ?? 0) * frameBytes;
    writeFileSync(`${path}-wal`, Buffer.from(whole).fill(0, before, before + 512));
    expect(lostCommits(path)).toMatch(/^The WAL is damaged in frame/);
  });

  test("that was given its length by a transaction rolled back has lost nothing", async () => {
    const path = newPath();
    const store = storeAt(path);
    const session = openConnection({ path, busyMs: 1_000 });
    for (let index = 0; index < 12; index += 1) {
      await store.commit(story(`case-${index}`, [claim()]).steps);
      if (index % 4 === 0) expect(extendWal(session)).toBe(false);
    }
    expect(readFileSync(`${path}-wal`).length).toBeGreaterThan(1_000_000);
    expect(lostCommits(path)).toBeUndefined();
    session.db.close();
  });

  test("of processes that were killed has lost nothing, nor while a neighbour writes", async () => {
    const path = newPath();
    for (const ms of [60, 200, 500]) {
      const seen = await killedAfter(path, ms, () => lostCommits(path));
      expect(seen.length).toBeGreaterThan(0);
      expect(seen.filter((lost) => lost !== undefined)).toEqual([]);
      expect(lostCommits(path)).toBeUndefined();
    }
    expect(await storeAt(path).check?.()).toEqual([]);
  });

  test("is none, or of no database: nothing to say", () => {
    const path = newPath();
    writeFileSync(path, "");
    expect(lostCommits(path)).toBeUndefined();
    writeFileSync(`${path}-wal`, Buffer.alloc(9_000));
    expect(lostCommits(path)).toBeUndefined();
    writeFileSync(path, Buffer.alloc(4_096, 0xff));
    expect(lostCommits(path)).toBeUndefined();
  });
});

function copied(path: string): string {
  const copy = newPath();
  for (const end of ["", "-wal"]) if (existsSync(path + end)) copyFileSync(path + end, copy + end);
  return copy;
}

/** The numbers of the frames that end a transaction. */
function commitsIn(wal: Buffer, frameBytes: number): number[] {
  const numbers: number[] = [];
  for (let at = 32, number = 1; at + frameBytes <= wal.length; at += frameBytes, number += 1) {
    if (wal.readUInt32BE(at + 4) !== 0) numbers.push(number);
  }
  return numbers;
}

/** Runs a process that commits without end, looks on all the while, and kills it. */
async function killedAfter<T>(path: string, ms: number, look: () => T): Promise<T[]> {
  const script = new URL("./sqlite-child.ts", import.meta.url).pathname;
  const child = spawn(process.execPath, [script, "load", path, `k${ms}`, "4"]);
  const ended = new Promise((resolve) => child.on("close", resolve));
  await new Promise((resolve) => child.stdout.once("data", resolve));
  const seen: T[] = [];
  for (const end = performance.now() + ms; performance.now() < end; ) {
    seen.push(look());
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  child.kill("SIGKILL");
  await ended;
  return seen;
}
