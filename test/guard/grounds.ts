import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, onTestFinished } from "vitest";
import type { Store } from "../../src/index.ts";
import { postgresStore } from "../../src/stores/postgres.ts";
import { sqliteStore } from "../../src/stores/sqlite.ts";
import { loadSqlite } from "../../src/stores/sqlite-module.ts";
import type { FileServer } from "../postgres/servers/with-server.ts";
import { type Address, insert } from "./programs/deeds.ts";

const { DatabaseSync } = loadSqlite();

/** A database that holds the guard's cases and a table of deeds, and the ways to get at both. */
export interface Place {
  readonly address: Address;
  /** A store on it, closed with the test. */
  store(): Store;
  /** The deeds that are there, sorted. */
  deeds(): Promise<string[]>;
  /** Writes a deed by a connection of its own, at once. */
  deed(text: string): Promise<void>;
  /** A transaction as the caller's own program would begin it. */
  begin(): Promise<{ readonly tx: object; end(how: "COMMIT" | "ROLLBACK"): Promise<void> }>;
}

export interface Ground {
  readonly name: string;
  place(): Promise<Place>;
}

/** SQLite, and a Postgres server of the test file's own. */
export function grounds(server: FileServer): readonly [sqlite: Ground, postgres: Ground] {
  const folder = mkdtempSync(join(tmpdir(), "safeagent-transactions-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  let files = 0;

  const kept = (store: Store): Store => {
    onTestFinished(() => store.close());
    return store;
  };

  return [
    {
      name: "SQLite",
      async place() {
        files += 1;
        const path = join(folder, `${files}.db`);
        await sqliteStore({ path }).close();
        const open = () => {
          const db = new DatabaseSync(path);
          db.exec("PRAGMA busy_timeout = 10000; PRAGMA synchronous = FULL");
          return db;
        };
        const at = async <T>(work: (db: InstanceType<typeof DatabaseSync>) => T): Promise<T> => {
          const db = open();
          try {
            return work(db);
          } finally {
            db.close();
          }
        };
        await at((db) => db.exec("CREATE TABLE deeds (text TEXT)"));
        return {
          address: { kind: "sqlite", path, table: "deeds" },
          store: () => kept(sqliteStore({ path })),
          deeds: () =>
            at((db) =>
              db
                .prepare("SELECT text FROM deeds")
                .all()
                .map((row) => String(row.text))
                .sort(),
            ),
          deed: (text) => at((db) => void insert(db, "deeds", text)),
          async begin() {
            const db = open();
            db.exec("BEGIN IMMEDIATE");
            const end = async (how: string) => {
              db.exec(how);
              db.close();
            };
            return { tx: db, end };
          },
        };
      },
    },
    {
      name: "Postgres",
      async place() {
        const schema = server.freshSchema();
        const pool = server.pool();
        const table = `${schema}_deeds`;
        await pool.query(`CREATE TABLE ${table} (text text)`);
        return {
          address: { kind: "postgres", url: server.server.url, schema, table },
          store: () => kept(postgresStore({ pool, schema })),
          async deeds() {
            const { rows } = await pool.query(`SELECT text FROM ${table}`);
            return rows.map((row) => String(row.text)).sort();
          },
          async deed(text) {
            await insert(pool, table, text);
          },
          async begin() {
            const client = await pool.connect();
            await client.query("BEGIN");
            const end = async (how: string) => {
              await client.query(how);
              client.release();
            };
            return { tx: client, end };
          },
        };
      },
    },
  ];
}
