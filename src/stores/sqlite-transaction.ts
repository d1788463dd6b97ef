import type { DatabaseSync } from "node:sqlite";
import { GuardError, isGuardError } from "../core/errors.ts";
import type { StoreTransaction } from "../core/store.ts";
import { isBusy, storeError } from "./sqlite-errors.ts";
import { checkIdentity, type FileIdentity } from "./sqlite-file.ts";
import { type Connection, openSession, type Session } from "./sqlite-open.ts";
import { prepareReader, type Reader } from "./sqlite-read.ts";
import { pragma, rollback } from "./sqlite-schema.ts";
import { checkpoint } from "./sqlite-wal.ts";
import { type Landing, prepareLanding, stepValues } from "./sqlite-write.ts";
import { createTurns, ensureWanted } from "./turns.ts";

export interface TransactionOptions {
  readonly path: string;
  readonly file: FileIdentity;
  readonly busyMs: number;
  /** The store's time. */
  readonly now: () => number;
  /** Something has landed. */
  onLanded(): void;
}

export interface Transactions {
  /** @param signal gives up the wait for a turn */
  run<T>(work: (tx: StoreTransaction) => Promise<T>, signal?: AbortSignal): Promise<T>;
  within(handle: unknown): StoreTransaction;
  /** Waits for those that were begun. */
  close(): Promise<void>;
}

/** Transactions between two looks at the WAL: what the work writes is not counted otherwise. */
const checkpointEvery = 64;

/** What a connection needs to take part. */
interface Seat {
  readonly connection: Connection;
  readonly reader: Reader;
  readonly landing: Landing;
}

/**
 * Transactions for work of others: one at a time, on a connection of their own, since nobody else in
 * the file can write meanwhile. They wait for their turn without stopping the event loop.
 */
export function createTransactions(options: TransactionOptions): Transactions {
  const { path, file, busyMs, now, onLanded } = options;
  let session: Session<Seat> | undefined;
  const turns = createTurns(1);
  let last: Promise<unknown> = Promise.resolve();
  let count = 0;
  const guests = new WeakMap<DatabaseSync, Seat>();

  async function transact<T>(
    work: (tx: StoreTransaction) => Promise<T>,
    signal: AbortSignal | undefined,
  ): Promise<T> {
    const seat = await begun(signal);
    const { db } = seat.connection;
    let result: T;
    try {
      checkIdentity(path, file);
      result = await work({ ...transactionOver(seat, now), ended: () => endOf(db) });
      ensureBegun(db);
    } catch (error) {
      rollback(db);
      throw error;
    }
    try {
      checkIdentity(path, file);
      session?.use(() => db.exec("COMMIT"));
    } catch (error) {
      rollback(db);
      // It may be on the disk all the same: only another look tells.
      throw unknownEnd(error);
    }
    onLanded();
    tendWal();
    return result;
  }

  async function begun(signal: AbortSignal | undefined): Promise<Seat> {
    const deadline = performance.now() + busyMs;
    for (;;) {
      ensureWanted(signal);
      try {
        session ??= openSession({ path, busyMs: 1_000, file }, seatOn);
        return session.use((seat) => {
          seat.connection.db.exec("BEGIN IMMEDIATE");
          return seat;
        });
      } catch (error) {
        const isWaiting = isBusy(error) || isGuardError(error, "store_contended");
        if (!isWaiting || performance.now() > deadline) throw storeError(error);
      }
      await new Promise((resolve) => setTimeout(resolve, 1 + Math.random() * 10));
    }
  }

  /** After the answer is certain: nothing is lost where it fails. */
  function tendWal(): void {
    count += 1;
    if (count % checkpointEvery !== 0) return;
    try {
      session?.use(({ connection }) => checkpoint(connection));
    } catch {
      // Somebody else is at it, or the disk can't: what was committed is durable where it is.
    }
  }

  return {
    run(work, signal) {
      const done = turns.take(() => transact(work, signal), signal);
      last = Promise.allSettled([last, done]);
      return done;
    },
    within(handle) {
      const db = guestOf(handle, { path, file });
      const seat = guests.get(db) ?? seatOn({ db, path, file });
      guests.set(db, seat);
      return transactionOver(seat, now);
    },
    async close() {
      await last;
      session?.close();
      session = undefined;
    },
  };
}

function seatOn(connection: Connection): Seat {
  return {
    connection,
    reader: prepareReader(connection),
    landing: prepareLanding(connection.db),
  };
}

/** Steps land in a transaction that somebody else began and will end. */
function transactionOver(
  { connection: { db }, reader, landing }: Seat,
  now: () => number,
): StoreTransaction {
  return {
    handle: db,
    isSync: true,
    now,
    async read(ids) {
      ensureBegun(db);
      return attempt(() => reader.read(ids));
    },
    async commit(steps) {
      ensureBegun(db);
      return attempt(() => {
        // Half a step must not stay behind in a transaction that goes on.
        db.exec("SAVEPOINT safeagent_steps");
        try {
          const [landed] = landing.land(stepValues(steps), [steps.length]);
          db.exec("RELEASE safeagent_steps");
          return landed === true;
        } catch (error) {
          takeBack(db);
          throw error;
        }
      });
    },
  };
}

/** SQLite doesn't tell what became of one that has ended. */
async function endOf(db: DatabaseSync): Promise<"open" | undefined> {
  return isInTransaction(db) ? "open" : undefined;
}

function attempt<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw storeError(error);
  }
}

function takeBack(db: DatabaseSync): void {
  try {
    db.exec("ROLLBACK TO safeagent_steps; RELEASE safeagent_steps");
  } catch {
    // SQLite has taken the whole transaction back by its own will.
  }
}

function unknownEnd(error: unknown): GuardError {
  const cause = storeError(error);
  if (cause.code === "store_unavailable") return cause;
  return new GuardError("store_unavailable", "The transaction's end is not known.", { cause });
}

/** Steps outside of a transaction would land one statement at a time. */
function ensureBegun(db: DatabaseSync): void {
  if (isInTransaction(db)) return;
  throw new GuardError("invalid_request", "The transaction has ended already.", {
    next: "Leave COMMIT and ROLLBACK to who began it, and use it before that.",
  });
}

function isInTransaction(db: DatabaseSync): boolean {
  const told = (db as { readonly isTransaction?: boolean }).isTransaction;
  if (told !== undefined) return told;
  // Node 22.13 doesn't tell: a transaction can't be begun within another.
  try {
    db.exec("BEGIN");
  } catch {
    return true;
  }
  db.exec("ROLLBACK");
  return false;
}

const ourTables = "'store', 'cases', 'unfinished', 'requests', 'journal'";

/** The caller's own database: it must be this very file, and as durable as the store's connections. */
function guestOf(handle: unknown, own: { path: string; file: FileIdentity }): DatabaseSync {
  const isDatabase =
    typeof handle === "object" && handle !== null && "prepare" in handle && "exec" in handle;
  if (!isDatabase) throw refusal("it is not a DatabaseSync of `node:sqlite`");
  const db = handle as DatabaseSync;
  let fault: string | undefined;
  try {
    fault = faultOf(db, own);
  } catch (cause) {
    if (isGuardError(cause)) throw cause;
    throw refusal("it can't be read", cause);
  }
  if (fault !== undefined) throw refusal(fault);
  return db;
}

function faultOf(db: DatabaseSync, { path, file }: { path: string; file: FileIdentity }) {
  if (!isInTransaction(db)) return "it is in no transaction";
  const main = db.prepare("PRAGMA database_list").all()[0];
  if (main === undefined || Array.isArray(main)) return "it doesn't answer with objects";
  checkIdentity(path, file);
  if (!leadsTo(String(main.file), file)) return "it is open on another file than the store";
  if (pragma(db, "synchronous") < 2)
    return "its `synchronous` is not FULL, so power loss could take back what it commits";
  const shadow = db.prepare(
    `SELECT name, 1 AS one FROM sqlite_temp_schema WHERE name IN (${ourTables})
     UNION ALL SELECT '', 1`,
  );
  const { name, one } = shadow.get() ?? {};
  if (name !== "") return `its temporary table "${String(name)}" hides the store's`;
  if (one !== 1) return "it reads whole numbers as BigInt";
  return undefined;
}

function leadsTo(path: string, file: FileIdentity): boolean {
  try {
    checkIdentity(path, file);
    return true;
  } catch {
    return false;
  }
}

function refusal(why: string, cause?: unknown): GuardError {
  return new GuardError("invalid_request", `The transaction can't be used: ${why}.`, {
    next: "Open a DatabaseSync on the store's file, say PRAGMA synchronous = FULL, then BEGIN IMMEDIATE.",
    ...(cause === undefined ? {} : { cause }),
  });
}
