import { DatabaseSync } from "node:sqlite";

/** `place, position, previous, id, head, record, entry` for each write; an insert has an id, an update has none. */
export type Values = readonly (string | number | null)[];
export const width = 7;

export interface BareWriter {
  /** One transaction for all the writes. */
  write(values: Values): void;
  checkpoint(): void;
  close(): void;
}

export interface BareOptions {
  readonly path: string;
  /** Also append each write to a journal. */
  readonly journal: boolean;
}

/** The least that two durable writes can be on SQLite. Imports nothing of the product. */
export function openBareWriter({ path, journal }: BareOptions): BareWriter {
  const db = new DatabaseSync(path);
  db.exec("PRAGMA busy_timeout = 5000; PRAGMA cache_size = -32768; PRAGMA synchronous = FULL");
  db.exec("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0");
  db.exec(`
    CREATE TABLE IF NOT EXISTS cases (
      place INTEGER PRIMARY KEY, namespace TEXT NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL,
      state TEXT NOT NULL, action TEXT, updated_at REAL NOT NULL, own_request INTEGER NOT NULL,
      head TEXT NOT NULL, last_entry INTEGER, record TEXT NOT NULL, UNIQUE (namespace, id)) STRICT;
    CREATE TABLE IF NOT EXISTS journal (
      position INTEGER PRIMARY KEY, previous INTEGER, namespace TEXT NOT NULL, text TEXT NOT NULL) STRICT`);
  const begin = db.prepare("BEGIN IMMEDIATE");
  const commit = db.prepare("COMMIT");
  const checkpoint = db.prepare("PRAGMA wal_checkpoint(PASSIVE)");
  const insert = db.prepare(`
    INSERT INTO cases (place, namespace, id, version, state, action, updated_at, own_request, head, last_entry, record)
    VALUES (?, 'default', ?, 1, 'EXECUTING', 'send_email', 1763874000123, 1, ?, ?, ?)`);
  const update = db.prepare(`
    UPDATE cases SET version = 2, state = 'SETTLED', updated_at = 1763874000456,
    head = ?, last_entry = ?, record = ? WHERE place = ?`);
  const append = db.prepare(
    "INSERT INTO journal (position, previous, namespace, text) VALUES (?, ?, 'default', ?)",
  );

  return {
    write(values) {
      begin.run();
      for (let at = 0; at < values.length; at += width) {
        const place = values[at] as number;
        const position = values[at + 1] as number;
        const id = values[at + 3] as string | null;
        const head = values[at + 4] as string;
        const record = values[at + 5] as string;
        if (id === null) update.run(head, position, record, place);
        else insert.run(place, id, head, position, record);
        if (journal)
          append.run(position, values[at + 2] as number | null, values[at + 6] as string);
      }
      commit.run();
    },
    checkpoint: () => void checkpoint.get(),
    close: () => db.close(),
  };
}
