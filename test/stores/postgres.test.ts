import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PGlite } from "@electric-sql/pglite";
import type { Pool } from "pg";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import type { CaseId } from "../../src/core/identity.ts";
import type { Store } from "../../src/core/store.ts";
import { postgresStore } from "../../src/stores/postgres.ts";
import type { Acknowledged } from "../../src/testing/law.ts";
import { storeLaws } from "../../src/testing/store-laws.ts";
import { withServer } from "../postgres/servers/with-server.ts";

const folder = mkdtempSync(join(tmpdir(), "safeagent-postgres-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const ground = withServer();

const homes = new WeakMap<Store, { readonly pool: Pool; readonly schema: string }>();
const opened: Store[] = [];
afterEach(async () => {
  for (const store of opened.splice(0)) await store.close();
});

function storeIn(schema: string, pool: Pool): Store {
  const store = postgresStore({ pool, schema });
  homes.set(store, { pool, schema });
  opened.push(store);
  return store;
}

function homeOf(store: Store) {
  const home = homes.get(store);
  if (home === undefined) throw new Error("not a store of this file");
  return home;
}

const script = new URL("./postgres-child.ts", import.meta.url).pathname;

/** Kills a process some time after its first commit; what it had been told true about. */
function killed(
  schema: string,
  acks: string,
  chains: number,
  afterMs: number,
): Promise<Acknowledged[]> {
  const child = spawn(process.execPath, [script, ground.server.url, schema, acks, String(chains)]);
  let err = "";
  child.stdout.once("data", () => setTimeout(() => child.kill("SIGKILL"), afterMs));
  child.stderr.on("data", (data) => {
    err += data;
  });
  return new Promise((resolve, reject) => {
    child.on("close", () => {
      if (err !== "") reject(new Error(err));
      const lines = readFileSync(acks, "utf8").split("\n").slice(0, -1);
      resolve(
        lines
          .map((line) => line.split(" "))
          .map(([id, version]) => ({
            namespace: "default",
            caseId: id as CaseId,
            version: Number(version),
          })),
      );
    });
  });
}

interface Queries {
  query(text: string, values?: unknown[]): Promise<{ readonly rows: readonly unknown[] }>;
}

/** The table beside the cases of the store that was opened last: one at a time, as the laws run. */
function rowsTable() {
  let name = "";
  return {
    async make(db: Queries, schema: string) {
      name = `${schema}_rows`;
      await db.query(`CREATE TABLE ${name} (place serial, text text)`);
    },
    async write(handle: unknown, text: string) {
      await (handle as Queries).query(`INSERT INTO ${name} (text) VALUES ($1)`, [text]);
    },
    async read(db: Queries) {
      const { rows } = await db.query(`SELECT text FROM ${name} ORDER BY place`);
      return rows.map((row) => (row as { text: string }).text);
    },
  };
}

describe("the laws, on a server", () => {
  const table = rowsTable();
  const untested = storeLaws({
    test,
    durable: true,
    async open() {
      const schema = ground.freshSchema();
      const pool = ground.pool();
      await table.make(pool, schema);
      return storeIn(schema, pool);
    },
    reopen: (store) => storeIn(homeOf(store).schema, homeOf(store).pool),
    rows: {
      write: table.write,
      read: (store) => table.read(homeOf(store).pool),
      async begin(store) {
        await store.now();
        const client = await homeOf(store).pool.connect();
        await client.query("BEGIN");
        const end = async (how: string) => {
          await client.query(how);
          client.release();
        };
        return { handle: client, end };
      },
    },
    async damage(store, caseId, change) {
      const { pool, schema } = homeOf(store);
      await pool.query(`UPDATE ${schema}.cases SET record = $1 WHERE id = $2`, [
        change(""),
        caseId,
      ]);
    },
    async killed() {
      const schema = ground.freshSchema();
      const acknowledged = await killed(schema, join(folder, `${schema}.acks`), 16, 300);
      return { store: storeIn(schema, ground.pool()), acknowledged };
    },
  });

  test("all of them are tested", () => {
    expect(untested).toEqual([]);
  });
});

describe("the laws, on PGlite", () => {
  const db = new PGlite();
  afterAll(() => db.close());
  let schemas = 0;
  const homes = new WeakMap<Store, string>();
  const open = (schema: string): Store => {
    const store = postgresStore({ pool: db, schema });
    homes.set(store, schema);
    opened.push(store);
    return store;
  };
  const table = rowsTable();
  const untested = storeLaws({
    test,
    durable: true,
    async open() {
      schemas += 1;
      await table.make(db, `test_${schemas}`);
      return open(`test_${schemas}`);
    },
    reopen: (store) => open(homes.get(store) ?? ""),
    rows: {
      alone: true,
      write: table.write,
      read: () => table.read(db),
      async begin(store) {
        await store.now();
        // Its one connection is the caller's from here to the end.
        const ended = Promise.withResolvers<"commit" | "rollback">();
        const handed = Promise.withResolvers<Queries>();
        const whole = db
          .transaction(async (tx) => {
            handed.resolve(tx);
            if ((await ended.promise) === "rollback") await tx.rollback();
          })
          .catch(() => undefined);
        const end = async (how: "commit" | "rollback") => {
          ended.resolve(how);
          await whole;
        };
        return { handle: await handed.promise, end };
      },
    },
    async damage(store, caseId, change) {
      await db.query(`UPDATE ${homes.get(store)}.cases SET record = $1 WHERE id = $2`, [
        change(""),
        caseId,
      ]);
    },
  });

  test("all are tested but those of a killed process: the database is in this one", () => {
    expect(untested).toEqual([
      "a killed process loses nothing it was told true about: and leaves nothing half done",
    ]);
  });
});
