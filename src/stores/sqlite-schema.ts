import type { DatabaseSync } from "node:sqlite";
import { GuardError } from "../core/errors.ts";

/** "Safe" in ASCII: `file` and SQLite's own tools tell by it whose database this is. */
export const applicationId = 0x53616665;

/**
 * Each brings the schema one version on; a released one is never changed.
 *
 * - Rowid tables with a unique text key: WITHOUT ROWID halves the speed with random keys.
 * - A request id equal to its case's id, bound when the case was made, is a flag on the case
 *   (`own_request`): a fresh execution then touches one key index and not two.
 * - `unfinished` lists the cases that a sweep or an operator may have to look at. Its rows come and go
 *   at one end, which costs a fraction of an index over the cases.
 * - `journal.previous` links a case's entries, so its history needs no index.
 * - `feed` keeps the last position given out: pruning may take the last row, its number must not
 *   come back.
 */
const migrations: readonly string[] = [
  `CREATE TABLE store (
     one INTEGER PRIMARY KEY CHECK (one = 1),
     id TEXT NOT NULL,
     feed INTEGER NOT NULL
   ) STRICT;
   INSERT INTO store (one, id, feed) VALUES (1, lower(hex(randomblob(16))), 0);
   CREATE TABLE cases (
     place INTEGER PRIMARY KEY,
     namespace TEXT NOT NULL,
     id TEXT NOT NULL,
     version INTEGER NOT NULL,
     state TEXT NOT NULL,
     action TEXT,
     updated_at REAL NOT NULL,
     own_request INTEGER NOT NULL,
     head TEXT NOT NULL,
     last_entry INTEGER,
     record TEXT NOT NULL,
     UNIQUE (namespace, id)
   ) STRICT;
   CREATE TABLE unfinished (
     place INTEGER PRIMARY KEY,
     due REAL
   ) STRICT;
   CREATE TABLE requests (
     place INTEGER PRIMARY KEY,
     namespace TEXT NOT NULL,
     id TEXT NOT NULL,
     case_id TEXT NOT NULL,
     UNIQUE (namespace, id)
   ) STRICT;
   CREATE TABLE journal (
     position INTEGER PRIMARY KEY,
     previous INTEGER,
     namespace TEXT NOT NULL,
     text TEXT NOT NULL
   ) STRICT;`,
];

export const schemaVersion: number = migrations.length;

/** Refuses a database that is another program's, or a newer version's. Reads only. */
export function checkSchema(db: DatabaseSync): SchemaAge {
  // One view for all that is read: between two reads another process may bring the schema up to date.
  db.exec("BEGIN");
  try {
    return ageOf(db);
  } finally {
    rollback(db);
  }
}

type SchemaAge = "empty" | "older" | "current";

function ageOf(db: DatabaseSync): SchemaAge {
  const owner = pragma(db, "application_id");
  const version = pragma(db, "user_version");
  if (owner === 0 && version === 0 && isEmpty(db)) return "empty";
  if (owner !== applicationId) {
    throw new GuardError("store_outdated", "The database belongs to another program.", {
      next: "Give the guard a file of its own.",
    });
  }
  if (version > schemaVersion) {
    throw new GuardError(
      "store_outdated",
      `The database has schema ${version}; this version of SafeAgent knows ${schemaVersion}.`,
    );
  }
  return version === schemaVersion ? "current" : "older";
}

/** Brings the schema up to date. Of many processes that try at once, one does it and the others find it done. */
export function migrate(db: DatabaseSync): void {
  if (checkSchema(db) === "current") return;
  db.exec("BEGIN IMMEDIATE");
  try {
    if (ageOf(db) !== "current") {
      for (const migration of migrations.slice(pragma(db, "user_version"))) db.exec(migration);
      db.exec(`PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${schemaVersion}`);
    }
    db.exec("COMMIT");
  } catch (error) {
    rollback(db);
    throw error;
  }
}

/** Ends a transaction that may have ended by itself: SQLite rolls back by its own will after some errors. */
export function rollback(db: DatabaseSync): void {
  try {
    db.exec("ROLLBACK");
  } catch {
    // There was nothing left to roll back.
  }
}

export function pragma(db: DatabaseSync, name: string): number {
  const row = db.prepare(`PRAGMA ${name}`).get();
  return Number(row === undefined ? Number.NaN : Object.values(row)[0]);
}

function isEmpty(db: DatabaseSync): boolean {
  return db.prepare("SELECT 1 FROM sqlite_schema LIMIT 1").get() === undefined;
}
