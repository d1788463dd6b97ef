import { Client, Pool } from "pg";
import { describe, expect, onTestFinished, test } from "vitest";
import { createGuard, type GuardError } from "../../src/index.ts";
import { type PostgresStoreOptions, postgresStore } from "../../src/stores/postgres.ts";
import { startServer } from "./servers/server.ts";
import { withServer } from "./servers/with-server.ts";

const ground = withServer();
const call = { requestId: "a", action: "pay", payload: {}, run: () => 1 };

/** A call that is tried for ten minutes, where trying again is worth it. */
async function ask(pool: Pool, schema = ground.freshSchema()): Promise<string> {
  const store = postgresStore({ pool, schema, busyMs: 600_000 });
  await using guard = createGuard({ store });
  const outcome = await guard.execute(call);
  await store.close();
  return outcome.status;
}

async function refused(pool: Pool, schema?: string): Promise<GuardError> {
  const error: unknown = await ask(pool, schema).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ name: "GuardError", effect: "none" });
  const { code, lasting } = error as GuardError;
  expect(lasting).toBe(code === "store_unavailable");
  return error as GuardError;
}

/** A pool on the server, as somebody else or in another database. */
function poolAs(user: string, database = "postgres"): Pool {
  const url = new URL(ground.server.url);
  url.username = user;
  url.pathname = `/${database}`;
  return ground.pool({ connectionString: url.href });
}

/** A pool of a role that was made for the test. */
async function poolOf(role: string): Promise<Pool> {
  await ground.pool().query(`create role ${role} login`);
  return poolAs(role);
}

describe("the schema's name", () => {
  test.each(["user", "order", "table", "all", "_", "s".repeat(63)])(
    "%s: is one",
    async (schema) => {
      await using guard = createGuard({ store: `${ground.server.url}?schema=${schema}` });
      expect(await guard.execute(call)).toMatchObject({ status: "settled" });
      expect((await guard.list()).items).toHaveLength(1);
      expect((await guard.verify()).faults).toEqual([]);
      // Of another process's commits it hears, too.
      await using other = createGuard({ store: `${ground.server.url}?schema=${schema}` });
      expect(await other.execute(call)).toMatchObject({ replayed: true });
    },
  );

  test.each(["information_schema", "pg_catalog", "pg_x", "Payments", "a-b", "", "a\n", 5])(
    "%j: is refused at once",
    (schema) => {
      const make = () => postgresStore({ pool: ground.pool(), schema: schema as string });
      expect(make).toThrow(expect.objectContaining({ code: "invalid_request" }));
    },
  );
});

test.each([
  ["nothing", undefined],
  ["null", null],
  ["no pool", {}],
  ["a pool that is a text", { pool: "postgres://localhost" }],
  ["a Client", { pool: new Client() }],
  ["a wait that is a text", { pool: new Pool(), timeoutMs: "x" }],
  ["no wait at all", { pool: new Pool(), timeoutMs: 0 }],
  ["a wait without end", { pool: new Pool(), timeoutMs: Number.POSITIVE_INFINITY }],
  ["tries before the beginning", { pool: new Pool(), busyMs: -1 }],
])("postgresStore with %s is refused at once", (_, options) => {
  const make = () => postgresStore(options as PostgresStoreOptions);
  expect(make).toThrow(expect.objectContaining({ code: "invalid_request", effect: "none" }));
});

test("a Client in the place of a Pool: the error says what to give", () => {
  const make = () => postgresStore({ pool: new Client() as never });
  expect(make).toThrow("new Pool(");
});

describe("a role", () => {
  test("that may not make the schema: told the grant, the database and itself", async () => {
    await ground.pool().query("revoke create on database postgres from public");
    const { code, message } = await refused(await poolOf("nobody_much"), "mine");
    expect(code).toBe("store_unavailable");
    expect(message).toContain("nobody_much may make no schema in the database postgres");
    expect(message).toContain("GRANT CREATE ON DATABASE postgres TO nobody_much");
    expect(message).toContain('CREATE SCHEMA "mine" AUTHORIZATION nobody_much');
  });

  test("that may not either, in a schema that was made for it: works", async () => {
    const pool = await poolOf("newcomer");
    await ground.pool().query("create schema made_for_it authorization newcomer");
    expect(await ask(pool, "made_for_it")).toBe("settled");
  });

  test.each([
    ["a stranger", "", "GRANT USAGE ON SCHEMA"],
    ["a reader", "select", "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA"],
  ])("that is %s in a schema: told what its owner must grant", async (name, right, grant) => {
    const schema = ground.freshSchema();
    const role = name.replace(" ", "_");
    const pool = await poolOf(role);
    const admin = ground.pool();
    expect(await ask(admin, schema)).toBe("settled");
    if (right !== "") {
      await admin.query(`grant usage on schema ${schema} to ${role};
        grant ${right} on all tables in schema ${schema} to ${role}`);
    }
    const { message } = await refused(pool, schema);
    expect(message).toContain(`${grant} "${schema}" TO ${role}`);
    // What it says is enough.
    await admin.query(`grant usage on schema ${schema} to ${role};
      grant select, insert, update, delete on all tables in schema ${schema} to ${role}`);
    expect(await ask(pool, schema)).toBe("settled");
  });

  test("that may not make tables in a schema: told the grant", async () => {
    const pool = await poolOf("onlooker");
    const schema = ground.freshSchema();
    await ground
      .pool()
      .query(`create schema ${schema}; grant usage on schema ${schema} to onlooker`);
    const { message } = await refused(pool, schema);
    expect(message).toContain(`GRANT CREATE ON SCHEMA "${schema}" TO onlooker`);
  });

  test("whose transactions are read-only: told so, and not that the server is a standby", async () => {
    const pool = await poolOf("only_reading");
    await ground.pool().query("alter role only_reading set default_transaction_read_only = on");
    const { message } = await refused(pool);
    expect(message).toContain('Transactions of the role "only_reading" are read-only');
    expect(message).not.toContain("standby");
  });

  test("or a database that there is none of: told which, and what to do", async () => {
    const role = await refused(poolAs("nowhere_man"));
    expect(role.message).toContain('role "nowhere_man" does not exist');
    expect(role.next).toContain("CREATE ROLE");
    const database = await refused(poolAs("postgres", "nowhere"));
    expect(database.message).toContain('database "nowhere" does not exist');
    expect(database.next).toContain("CREATE DATABASE");
  });
});

test("a worker with a wrong address ends, and says why", async () => {
  const url = new URL(ground.server.url);
  url.username = "nobody_at_all";
  await using guard = createGuard({ store: url.href });
  guard.wrap("ping", { key: (payload: { readonly id: string }) => payload.id, run: () => "pong" });
  await expect(guard.work()).rejects.toMatchObject({ code: "store_unavailable", lasting: true });
});

describe("a database that can't be trusted is refused at once", () => {
  test("another encoding", async () => {
    const options = "encoding 'LATIN1' locale 'C' template template0 locale_provider libc";
    await ground.pool().query(`create database latin ${options}`);
    const { message, next } = await refused(poolAs("postgres", "latin"));
    expect(message).toContain('The encoding of the database "latin" is LATIN1');
    expect(next).toContain("ENCODING 'UTF8'");
  });

  test("no fsync", async () => {
    const server = await startServer({ settings: { fsync: "off" } });
    onTestFinished(() => server.stop());
    const { message } = await refused(ground.pool({ connectionString: server.url }));
    expect(message).toContain("fsync is off");
  });
});

test.each(["store", "cases", "journal"])(
  "another program's table %s in the schema: it is left as it is, and another schema asked for",
  async (table) => {
    const schema = ground.freshSchema();
    const pool = ground.pool();
    await pool.query(`create schema ${schema}; create table ${schema}.${table} (id int)`);
    await pool.query(`insert into ${schema}.${table} values (7)`);
    const { code, message, next } = await refused(pool, schema);
    expect(code).toBe("store_outdated");
    expect(message).toContain(`"${table}" is not the guard's`);
    expect(next).toBe("Choose another schema.");
    expect((await pool.query(`select * from ${schema}.${table}`)).rows).toEqual([{ id: 7 }]);
    const all = await pool.query("select from pg_tables where schemaname = $1", [schema]);
    expect(all.rowCount).toBe(1);
  },
);
