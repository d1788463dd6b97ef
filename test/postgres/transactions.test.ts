import { setTimeout as delay } from "node:timers/promises";
import { PGlite } from "@electric-sql/pglite";
import type { Pool, PoolClient } from "pg";
import { afterAll, describe, expect, onTestFinished, test, vi } from "vitest";
import type { Store, StoreTransaction } from "../../src/core/store.ts";
import { createGuard, type Guard } from "../../src/index.ts";
import {
  type Pglite,
  type PostgresPool,
  type PostgresStoreOptions,
  postgresStore,
} from "../../src/stores/postgres.ts";
import { claim, renew, settle, story } from "../../src/testing/store-cases.ts";
import { withServer } from "./servers/with-server.ts";

const ground = withServer();

function storeOver(
  pool: PostgresPool | Pglite,
  options: Omit<PostgresStoreOptions, "pool"> = {},
): Store {
  const store = postgresStore({ pool, schema: ground.freshSchema(), ...options });
  onTestFinished(() => store.close());
  return store;
}

function guardOver(store: Store): Guard {
  const guard = createGuard({ store });
  onTestFinished(() => guard.close());
  return guard;
}

async function clientOf(pool: Pool): Promise<PoolClient> {
  const client = await pool.connect();
  onTestFinished(() => client.release(true));
  return client;
}

function transact<T>(store: Store, work: (tx: StoreTransaction) => Promise<T>): Promise<T> {
  return store.transaction?.(work) ?? Promise.reject(new Error("no transactions"));
}

const born = (id: string) => story(id, [claim()]).steps;
const sql = (tx: StoreTransaction, text: string): Promise<unknown> =>
  (tx.handle as PoolClient).query(text);
const failure = (work: Promise<unknown> | undefined) => work?.catch((error: unknown) => error);
const casesOf = async (store: Store) =>
  (await store.list({ namespace: "default" })).items.map(({ caseId }) => caseId);
const call = (requestId: string) => ({ requestId, action: "pay", payload: {} });

/** What was heard of the server's clock is too old from here on. */
function muchLater(): void {
  const now = performance.now.bind(performance);
  const spy = vi.spyOn(performance, "now").mockImplementation(() => now() + 60_000);
  onTestFinished(() => spy.mockRestore());
}

describe("a transaction that the effect has ended", () => {
  test.each([
    ["COMMIT", "committed"],
    ["SELECT 1; COMMIT; BEGIN", "committed"],
    ["COMMIT; BEGIN; SELECT 1 / 0", "committed"],
    ["ROLLBACK", "rolled_back"],
    ["ROLLBACK; BEGIN", "rolled_back"],
    ["SELECT 1 / 0", "rolled_back"],
  ])("by %s: no step lands, and it says %s", async (text, end) => {
    const pool = ground.pool();
    const store = storeOver(pool);
    const table = ground.freshSchema();
    await pool.query(`CREATE TABLE ${table} (text text)`);
    let told: unknown;
    let commit: unknown;
    await failure(
      transact(store, async (tx) => {
        await sql(tx, `INSERT INTO ${table} VALUES ('a')`);
        await sql(tx, text).catch(() => undefined);
        commit = await failure(tx.commit(born("a")));
        told = await tx.ended?.();
        throw new Error("over");
      }),
    );
    expect(commit).toMatchObject({ code: "invalid_request", effect: "none" });
    expect(told).toBe(end);
    expect(await casesOf(store)).toEqual([]);
    const { rows } = await pool.query(`SELECT text FROM ${table}`);
    expect(rows).toHaveLength(end === "committed" ? 1 : 0);
  });

  test("is told apart from one that stands", async () => {
    const store = storeOver(ground.pool());
    const told = await transact(store, async (tx) => [await tx.ended?.(), await tx.ended?.()]);
    expect(told).toEqual(["open", "open"]);
  });

  test("whose connection was cut", async () => {
    const pool = ground.pool();
    const store = storeOver(pool);
    const end = transact(store, async (tx) => {
      const { rows } = await (tx.handle as PoolClient).query("SELECT pg_backend_pid() AS pid");
      await tx.commit(born("a"));
      await pool.query("SELECT pg_terminate_backend($1)", [rows[0].pid]);
      await failure(sql(tx, "SELECT 1"));
      throw new Error(await tx.ended?.());
    });
    await expect(end).rejects.toThrow("rolled_back");
    expect(await casesOf(store)).toEqual([]);
  });

  test("whose only connection still works at something: it is given up, and the next one comes", async () => {
    const store = storeOver(ground.pool({ max: 1 }), { timeoutMs: 300 });
    await casesOf(store);
    const end = transact(store, async (tx) => {
      await tx.commit(born("a"));
      void failure(sql(tx, "SELECT pg_sleep(3600); COMMIT"));
      throw new Error(await tx.ended?.());
    });
    await expect(end).rejects.toThrow("rolled_back");
    expect(await casesOf(store)).toEqual([]);
  });
});

test("a commit in a transaction is one statement, as are its begin and its end", async () => {
  const statements: string[] = [];
  const real = ground.pool();
  const pool: PostgresPool = {
    async connect() {
      const client = await real.connect();
      return {
        query(text, values) {
          statements.push(text.split(/\W/, 1)[0] ?? "");
          return client.query(text, values);
        },
        release: (destroy) => client.release(destroy),
        on: (event, listener) => client.on(event as "notice", listener as never),
        removeListener: (event, listener) => client.removeListener(event, listener),
      };
    },
  };
  const store = storeOver(pool);
  await store.commit(born("before"));
  statements.splice(0);
  await transact(store, async (tx) => {
    await tx.commit([...story("a", [claim(), settle(1)]).steps, ...born("b")]);
    await tx.commit(born("before"));
  });
  const [begin, end] = [statements.indexOf("BEGIN"), statements.indexOf("COMMIT")];
  expect(statements.slice(begin, end + 1)).toEqual(["BEGIN", "SELECT", "SELECT", "COMMIT"]);
  expect(await casesOf(store)).toEqual(["before", "a", "b"]);
});

test.each(["repeatable read", "serializable"])(
  "a case that is renewed meanwhile settles, where the database is %s by default",
  async (level) => {
    const options = `-c default_transaction_isolation=${level.replace(" ", "\\ ")}`;
    const store = storeOver(ground.pool({ options }));
    const [first, second, third] = story("a", [claim(), renew(1), settle(1)]).steps;
    await store.commit(first === undefined ? [] : [first]);
    const landed = await transact(store, async (tx) => {
      await sql(tx, "SELECT 1");
      expect(await store.commit(second === undefined ? [] : [second])).toBe(true);
      return tx.commit(third === undefined ? [] : [third]);
    });
    expect(landed).toBe(true);
  },
);

test("a constraint that was deferred to the end: its own error, and nothing has landed", async () => {
  const pool = ground.pool();
  const store = storeOver(pool);
  const table = ground.freshSchema();
  await pool.query(`CREATE TABLE ${table} (id int UNIQUE DEFERRABLE INITIALLY DEFERRED)`);
  const end = transact(store, async (tx) => {
    await sql(tx, `INSERT INTO ${table} VALUES (1), (1)`);
    await tx.commit(born("a"));
  });
  await expect(end).rejects.toMatchObject({ code: "23505", constraint: expect.any(String) });
  expect(await casesOf(store)).toEqual([]);
});

describe("transactions take turns", () => {
  test.each([
    [1, 1],
    [2, 1],
    [4, 1],
    [10, 7],
  ])("of a pool of %i, %i at a time; the rest is left to other calls", async (max, atOnce) => {
    const store = storeOver(ground.pool({ max }), { timeoutMs: 1_000 });
    const leave = store.subscribe?.(() => undefined);
    onTestFinished(() => leave?.());
    expect(await store.commit(born("before"))).toBe(true);
    const gate = Promise.withResolvers<void>();
    let underWay = 0;
    let most = 0;
    const all = Array.from({ length: 20 }, (_, index) =>
      transact(store, async (tx) => {
        underWay += 1;
        most = Math.max(most, underWay);
        await gate.promise;
        await tx.commit(born(`c-${index}`));
        underWay -= 1;
      }),
    );
    while (most < atOnce) await delay(5);
    // Longer than anybody would wait for a connection, where there is one for the others.
    if (max > 1) await delay(1_200);
    if (max > 1) expect(await store.commit(born("beside"))).toBe(true);
    gate.resolve();
    await Promise.all(all);
    expect(most).toBe(atOnce);
    expect(await casesOf(store)).toHaveLength(max > 1 ? 22 : 21);
  });

  test("one that could not be begun is begun again; its work is called once", async () => {
    const real = ground.pool();
    let failures = 0;
    const pool: PostgresPool = {
      options: { max: 10 },
      async connect() {
        if (failures > 0) {
          failures -= 1;
          throw new Error("timeout exceeded when trying to connect");
        }
        return (await real.connect()) as never;
      },
    };
    const store = storeOver(pool);
    await casesOf(store);
    failures = 2;
    let calls = 0;
    const landed = await transact(store, async (tx) => {
      calls += 1;
      return tx.commit(born("a"));
    });
    expect([landed, calls, failures]).toEqual([true, 1, 0]);
  });
});

describe("where the server's clock was not heard lately", () => {
  test("a case is enqueued through the only connection there is", async () => {
    const pool = ground.pool({ max: 1 });
    const store = storeOver(pool, { timeoutMs: 300, busyMs: 300 });
    const guard = guardOver(store);
    await guard.list();
    muchLater();
    const client = await clientOf(pool);
    await client.query("BEGIN");
    expect(await guard.enqueue(client, call("a"))).toMatchObject({ status: "pending" });
    await client.query("COMMIT");
  });

  test("a transaction of the only connection tells the time", async () => {
    const store = storeOver(ground.pool({ max: 1 }), { timeoutMs: 300, busyMs: 300 });
    const landed = await transact(store, async (tx) => {
      muchLater();
      expect(Math.abs((await tx.now()) - Date.now())).toBeLessThan(3_600_000);
      return tx.commit(born("a"));
    });
    expect(landed).toBe(true);
  });

  test("and on PGlite", async () => {
    const store = storeOver(db, { timeoutMs: 300, busyMs: 300 });
    const guard = guardOver(store);
    await guard.list();
    muchLater();
    const queued = await db.transaction((tx) => guard.enqueue(tx as never, call("a")));
    expect(queued).toMatchObject({ status: "pending" });
    vi.restoreAllMocks();
    const end = transact(store, async (tx) => {
      muchLater();
      await tx.now();
      return tx.commit(born("b"));
    });
    expect(await end).toBe(true);
  });
  const db = new PGlite();
  afterAll(() => db.close());
});

describe("another database", () => {
  const otherPool = async (): Promise<Pool> => {
    const name = ground.freshSchema();
    await ground.pool().query(`CREATE DATABASE ${name}`);
    const url = new URL(ground.server.url);
    url.pathname = name;
    return ground.pool({ connectionString: url.href });
  };

  test("behind a connection that stays: nothing is read there, and nothing written", async () => {
    const schema = ground.freshSchema();
    const [one, other] = [ground.pool(), await otherPool()];
    expect(await storeOver(other, { schema }).commit(born("there"))).toBe(true);
    // What a pooler does that is told to use another database from here on.
    let isSwitched = false;
    const clients = new Map<string, PoolClient>();
    for (const [name, pool] of Object.entries({ one, other })) {
      clients.set(name, await clientOf(pool));
    }
    const client = {
      query: (text: string, values?: unknown[]) =>
        clients.get(isSwitched ? "other" : "one")?.query(text, values),
      release: () => undefined,
      on: () => undefined,
      removeListener: () => undefined,
    };
    const store = storeOver({ connect: async () => client as never }, { schema });
    expect(await store.commit(born("here"))).toBe(true);
    isSwitched = true;
    const refusal = {
      code: "store_corrupt",
      message: expect.stringContaining("another one than before"),
    };
    const ids = { namespace: "default", caseId: "here" as never, requestId: null };
    await expect(store.read(ids)).rejects.toMatchObject(refusal);
    await expect(store.commit(born("a"))).rejects.toMatchObject(refusal);
    await expect(store.commit([...born("a"), ...born("b")])).rejects.toMatchObject(refusal);
    const inside = transact(store, (tx) => tx.commit(born("c")));
    await expect(inside).rejects.toMatchObject(refusal);
    isSwitched = false;
    expect(await casesOf(store)).toEqual(["here"]);
    expect(await casesOf(storeOver(other, { schema }))).toEqual(["there"]);
  });

  test.each([true, false])(
    "of a caller's transaction: its client is refused; tables there: %s",
    async (made) => {
      const schema = ground.freshSchema();
      const other = await otherPool();
      if (made) await storeOver(other, { schema }).commit(born("there"));
      const guard = guardOver(storeOver(ground.pool(), { schema }));
      const client = await clientOf(other);
      await client.query("BEGIN");
      await expect(guard.enqueue(client, call("a"))).rejects.toMatchObject({
        code: "invalid_request",
        message: expect.stringContaining("another database"),
      });
      await client.query("ROLLBACK");
      if (made) expect(await casesOf(storeOver(other, { schema }))).toEqual(["there"]);
    },
  );
});

describe("a caller's client", () => {
  test("that was sent no BEGIN is refused, and nothing is enqueued", async () => {
    const pool = ground.pool();
    const store = storeOver(pool);
    const guard = guardOver(store);
    const client = await clientOf(pool);
    const refusal = { code: "invalid_request", next: expect.stringContaining("BEGIN") };
    await expect(guard.enqueue(client, call("a"))).rejects.toMatchObject(refusal);
    await expect(store.within?.(client).commit(born("b"))).rejects.toMatchObject(refusal);
    await client.query("BEGIN");
    const tx = store.within?.(client);
    expect(await tx?.commit(born("c"))).toBe(true);
    await client.query("COMMIT");
    await expect(tx?.commit(born("d"))).rejects.toMatchObject(refusal);
    expect(await casesOf(store)).toEqual(["c"]);
  });

  test("whose transaction may only read", async () => {
    const pool = ground.pool();
    const guard = guardOver(storeOver(pool));
    const client = await clientOf(pool);
    await client.query("BEGIN READ ONLY");
    await expect(guard.enqueue(client, call("a"))).rejects.toMatchObject({
      code: "invalid_request",
      message: expect.stringContaining("read only"),
    });
  });

  test("in whose transaction a statement has failed", async () => {
    const pool = ground.pool();
    const guard = guardOver(storeOver(pool));
    const client = await clientOf(pool);
    await client.query("BEGIN");
    await failure(client.query("SELECT 1 / 0"));
    await expect(guard.enqueue(client, call("a"))).rejects.toMatchObject({
      code: "invalid_request",
      message: expect.stringContaining("has failed before"),
    });
  });

  test("at another level: a case that others have touched since is contended, and its own rows stand", async () => {
    const pool = ground.pool();
    const store = storeOver(pool);
    const client = await clientOf(pool);
    await store.commit(born("a"));
    await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ");
    const tx = store.within?.(client);
    expect(await tx?.commit(born("before"))).toBe(true);
    const [, renewed] = story("a", [claim(), renew(1)]).steps;
    const [, settled] = story("a", [claim(), settle(1)]).steps;
    expect(await store.commit(renewed === undefined ? [] : [renewed])).toBe(true);
    const late = tx?.commit(settled === undefined ? [] : [settled]);
    await expect(late).rejects.toMatchObject({
      code: "store_contended",
      next: expect.stringContaining("Roll it back"),
    });
    expect(await tx?.commit(born("after"))).toBe(true);
    await client.query("COMMIT");
    expect(await casesOf(store)).toEqual(["a", "before", "after"]);
  });
});
