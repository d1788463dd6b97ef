import { statSync } from "node:fs";
import type { Connection } from "./sqlite-open.ts";
import { rollback } from "./sqlite-schema.ts";
import type { Value } from "./sqlite-write.ts";

/**
 * Pages in the WAL at which it is written back into the database: fewer cost throughput, more cost
 * the slowest commits.
 */
export const checkpointPages = 4_000;

const pageBytes = 4_096;

/**
 * About how many pages a transaction adds to the WAL: nothing but a checkpoint tells how long it is.
 * Each case touches a page of the key index of its own; the rest is shared by all of a transaction.
 */
export function pagesOf(commits: number, pages: number): number {
  return 4 + 0.9 * commits + pages;
}

/** The pages that a commit's texts fill. */
export function pagesFilledBy(values: readonly Value[]): number {
  let chars = 0;
  for (const value of values) if (typeof value === "string") chars += value.length;
  return chars / pageBytes;
}

/** Writes the WAL back as far as nobody is held up by it; where that left too much, holds up the writers once. */
export function checkpoint({ db }: Connection): void {
  const row = db.prepare("PRAGMA wal_checkpoint(PASSIVE)").get();
  if (Number(row?.log ?? 0) < 4 * checkpointPages) return;
  db.exec("PRAGMA busy_timeout = 500");
  try {
    db.prepare("PRAGMA wal_checkpoint(RESTART)").get();
  } finally {
    db.exec("PRAGMA busy_timeout = 0");
  }
}

/** Writes back what processes that never closed have left: each alone may have added too little to do it. */
export function writeBackLeftovers(connection: Connection): void {
  const stats = statSync(`${connection.path}-wal`, { throwIfNoEntry: false });
  if (stats === undefined || stats.size < 2 * checkpointPages * pageBytes) return;
  try {
    checkpoint(connection);
  } catch {
    // Somebody else is at it, or the disk can't: it is durable where it is.
  }
}

/** What one call of `extendWal` adds: a few milliseconds of writing. */
const extensionBytes = 1_048_576;

/**
 * Gives the WAL file its length before it is needed, a piece a call; true: it has it. While the file
 * grows, each commit also journals the new length in the file system, which makes it about twice as
 * slow. A transaction that outgrows its cache spills into the WAL; rolled back, it leaves nothing but
 * the length.
 */
export function extendWal({ db, path }: Connection): boolean {
  const stats = statSync(`${path}-wal`, { throwIfNoEntry: false });
  if (stats === undefined || stats.size > checkpointPages * pageBytes) return true;
  try {
    db.exec("PRAGMA cache_size = 16; BEGIN IMMEDIATE");
    db.prepare(
      "INSERT INTO journal (position, namespace, text) VALUES (9007199254740991, '', hex(zeroblob(?)))",
    ).run(extensionBytes / 2);
  } catch {
    // The lock is taken or the disk is full: it was only for speed.
  } finally {
    rollback(db);
    db.exec("PRAGMA cache_size = -32768");
  }
  return false;
}
