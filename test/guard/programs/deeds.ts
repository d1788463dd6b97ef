import { Pool } from "pg";
import type { Store } from "../../../src/index.ts";
import { postgresStore } from "../../../src/stores/postgres.ts";
import { sqliteStore } from "../../../src/stores/sqlite.ts";

/** Where a store is, and the table of deeds beside it. */
export type Address =
  | { readonly kind: "sqlite"; readonly path: string; readonly table: string }
  | {
      readonly kind: "postgres";
      readonly url: string;
      readonly schema: string;
      readonly table: string;
    };

export function storeAt(address: Address): Store {
  switch (address.kind) {
    case "sqlite":
      return sqliteStore({ path: address.path });
    case "postgres": {
      const pool = new Pool({ connectionString: address.url });
      pool.on("error", () => undefined);
      return postgresStore({ pool, schema: address.schema });
    }
  }
}

interface Sync {
  prepare(sql: string): { run(...values: string[]): unknown };
}

interface Async {
  query(sql: string, values: string[]): Promise<unknown>;
}

/** Writes a deed through whatever a transaction is on this ground: on SQLite it is done on return. */
export function insert(tx: unknown, table: string, text: string): unknown {
  if ("prepare" in (tx as object)) {
    (tx as Sync).prepare(`INSERT INTO ${table} VALUES (?)`).run(text);
    return undefined;
  }
  return (tx as Async).query(`INSERT INTO ${table} VALUES ($1)`, [text]);
}
