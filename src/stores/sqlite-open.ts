import type { DatabaseSync } from "node:sqlite";
import { GuardError } from "../core/errors.ts";
import { breaksConnection, isBusy, storeError } from "./sqlite-errors.ts";
import {
  checkIdentity,
  type FileIdentity,
  identityOf,
  makeCertain,
  makeFile,
} from "./sqlite-file.ts";
import { loadSqlite } from "./sqlite-module.ts";
import { checkSchema, migrate, pragma } from "./sqlite-schema.ts";

export interface OpenOptions {
  readonly path: string;
  /** How long to wait, in all, for other processes that open or migrate at the same time. */
  readonly busyMs: number;
  /**
   * The file that must be found; undefined on the first opening, which makes one where there is none.
   * Never so on a later one: an empty store, or an older copy, would not know of effects that ran.
   */
  readonly file?: FileIdentity | undefined;
}

/** An open database, safe to write. */
export interface Connection {
  readonly db: DatabaseSync;
  readonly path: string;
  readonly file: FileIdentity;
}

/**
 * Opens the database and proves that it is durable, or refuses. Waits on this thread: opening is rare,
 * and nothing can be done before it.
 */
export function openConnection(options: OpenOptions): Connection {
  const { path, busyMs } = options;
  try {
    if (options.file === undefined) makeFile(path);
    const file = options.file ?? identityOf(path) ?? { device: 0, inode: 0 };
    checkIdentity(path, file);
    const { DatabaseSync } = loadSqlite();
    const db = new DatabaseSync(path);
    try {
      prepare(db, performance.now() + busyMs);
      checkIdentity(path, file);
      makeCertain(path);
      return { db, path, file };
    } catch (error) {
      db.close();
      throw error;
    }
  } catch (error) {
    throw storeError(error);
  }
}

function prepare(db: DatabaseSync, deadline: number): void {
  db.exec("PRAGMA busy_timeout = 1000");
  db.exec("PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0");
  db.exec("PRAGMA cache_size = -32768; PRAGMA synchronous = FULL");
  // Before anything is written: another program's database is left as it was.
  untilFree(deadline, () => checkSchema(db));
  untilFree(deadline, () => db.exec("PRAGMA journal_mode = WAL"));
  untilFree(deadline, () => migrate(db));
  checkDurable(db);
  // From here on nobody waits inside SQLite, and checkpoints are made where they hold up nobody.
  db.exec("PRAGMA busy_timeout = 0; PRAGMA wal_autocheckpoint = 0");
}

/**
 * Refuses a connection that would acknowledge what power loss can take away. Read back after the first
 * access: some builds answer FULL until then and NORMAL afterwards.
 */
export function checkDurable(db: DatabaseSync): void {
  const mode = db.prepare("PRAGMA journal_mode").get()?.journal_mode;
  const synchronous = pragma(db, "synchronous");
  if (mode === "wal" && synchronous === 2) return;
  throw new GuardError(
    "store_unavailable",
    `SQLite doesn't keep this database durably here: journal_mode is ${String(mode)}, synchronous is ${synchronous}; wal and 2 are needed.`,
    { next: "Use a local disk that allows shared memory files." },
  );
}

/** Tries again while others hold the file: setting WAL mode is refused at once, without SQLite's own waiting. */
function untilFree<T>(deadline: number, run: () => T): T {
  for (;;) {
    try {
      return run();
    } catch (error) {
      if (!isBusy(error) || performance.now() > deadline) throw error;
      pause(1 + Math.random() * 20);
    }
  }
}

const bell = new Int32Array(new SharedArrayBuffer(4));

/** Stops this thread for a while. */
export function pause(ms: number): void {
  Atomics.wait(bell, 0, 0, ms);
}

/** A connection with what was prepared on it, opened again by itself after it broke. */
export interface Session<T> {
  readonly file: FileIdentity;
  /** Errors come as SQLite throws them, so that a busy database can be told from a broken one. */
  use<R>(work: (prepared: T) => R): R;
  close(): void;
}

export function openSession<T>(
  options: OpenOptions,
  prepareOn: (connection: Connection) => T,
): Session<T> {
  let connection: Connection | undefined = openConnection(options);
  let prepared: T | undefined = preparedOn(connection);
  const { file } = connection;

  /** What can't be prepared on is not a database of ours, whatever its header says. */
  function preparedOn(opened: Connection): T {
    try {
      return prepareOn(opened);
    } catch (error) {
      opened.db.close();
      if (!/no such (table|column)/.test(String(error))) throw error;
      throw new GuardError("store_corrupt", `"${options.path}" lacks what its schema says.`, {
        cause: error,
      });
    }
  }

  function drop(): void {
    const { db } = connection ?? {};
    connection = undefined;
    prepared = undefined;
    db?.close();
  }

  return {
    file,
    use(work) {
      if (prepared === undefined) {
        // A short wait: this may be the main thread, and the first opening has done the long ones.
        connection = openConnection({ path: options.path, busyMs: 1_000, file });
        prepared = preparedOn(connection);
      }
      try {
        return work(prepared);
      } catch (error) {
        if (breaksConnection(error)) drop();
        throw error;
      }
    },
    close: drop,
  };
}
