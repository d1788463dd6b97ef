import { hash } from "node:crypto";
import { DatabaseSync } from "node:sqlite";
import { sqliteStore } from "../src/stores/sqlite.ts";
import { newKey } from "./keys.ts";
import { fingerprintFor, type RealRows } from "./real-rows.ts";

const rowsInTransaction = 50_000;

/**
 * Makes a store's file with so many settled cases in it: real rows with other ids and their own hash
 * chains, written with SQL into the file that the product made, in random order of their keys, so that
 * the index is as full as it would be had they come one by one.
 */
export async function prefill(path: string, receipts: number, rows: RealRows): Promise<void> {
  await sqliteStore({ path }).close();
  const db = new DatabaseSync(path);
  db.exec("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF; PRAGMA cache_size = -1000000");
  const insert = db.prepare(`
    INSERT INTO cases (place, namespace, id, version, state, action, updated_at, own_request, head, last_entry, record)
    VALUES (?, 'default', ?, 2, 'SETTLED', 'send_email', ?, 1, ?, ?, ?)`);
  const append = db.prepare(
    "INSERT INTO journal (position, previous, namespace, text) VALUES (?, ?, 'default', ?)",
  );
  const { claim, settle } = rows;
  const claimEntry = template(rows, claim.entry);
  const settleEntry = template(rows, settle.entry);
  const record = template(rows, settle.record);
  for (let place = 1; place <= receipts; place += 1) {
    if (place % rowsInTransaction === 1) db.exec("BEGIN");
    const id = newKey();
    const fingerprint = fingerprintFor(id);
    const first = claimEntry(id, fingerprint);
    const second = settleEntry(id, fingerprint).replace(claim.head, sha256(first));
    append.run(place * 2 - 1, null, first);
    append.run(place * 2, place * 2 - 1, second);
    insert.run(place, id, settle.updatedAt, sha256(second), place * 2, record(id, fingerprint));
    if (place % rowsInTransaction === 0 || place === receipts) db.exec("COMMIT");
  }
  db.exec("PRAGMA synchronous = FULL; PRAGMA journal_mode = WAL");
  db.close();
}

/** Ids that are in a prefilled file: their keys are random, so their places in the index are. */
export function storedKeys(path: string, count: number): readonly string[] {
  const db = new DatabaseSync(path, { readOnly: true });
  const total = Number(db.prepare("SELECT max(place) AS place FROM cases").get()?.place);
  const step = Math.max(1, Math.floor(total / count));
  const find = db.prepare("SELECT id FROM cases WHERE place = ?");
  const keys = Array.from({ length: Math.min(count, total) }, (_, index) =>
    String(find.get(1 + index * step)?.id),
  );
  db.close();
  return keys;
}

/** A real text with another id, and the fingerprint that goes with it, in their places. */
function template(rows: RealRows, text: string): (id: string, fingerprint: string) => string {
  const parts = text.split(rows.id).map((part) => part.split(rows.fingerprint));
  return (id, fingerprint) => parts.map((part) => part.join(fingerprint)).join(id);
}

function sha256(text: string): string {
  return hash("sha256", text);
}
