import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Pool } from "pg";
import { describe, expect, onTestFinished, test } from "vitest";
import type { Store } from "../../src/core/store.ts";
import { createGuard } from "../../src/index.ts";
import { postgresStore } from "../../src/stores/postgres.ts";
import { claim, settle, story } from "../../src/testing/store-cases.ts";
import { startServer } from "./servers/server.ts";
import { withServer } from "./servers/with-server.ts";

const ground = withServer();

function storeIn(schema: string, pool: Pool = ground.pool()): Store {
  const store = postgresStore({ pool, schema });
  onTestFinished(() => store.close());
  return store;
}

/** Ends all connections but the one that asks for it. */
async function cutAll(): Promise<void> {
  await ground.pool().query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where pid <> pg_backend_pid() and backend_type = 'client backend'`,
  );
}

const born = (id: string) => story(id, [claim()]).steps;
const feed = { namespace: "default", after: 0 };

/** The ids of the feed's entries, in its order. */
async function told(store: Store, after = 0): Promise<string[]> {
  const entries = await store.journal({ ...feed, after });
  return entries.map(({ text }) => (JSON.parse(text) as { readonly caseId: string }).caseId);
}

test("16 processes that start at once on an empty database: all work, and one has made the schema", async () => {
  const schema = ground.freshSchema();
  const program = new URL("./programs/starter.ts", import.meta.url).pathname;
  const ends = Array.from({ length: 16 }, async (_, me) => {
    const args = [program, ground.server.url, schema, `case ${me}`];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "inherit", "pipe"] });
    let said = "";
    child.stderr.on("data", (chunk) => (said += chunk));
    const [code] = await once(child, "close");
    return `${code} ${said}`.trim();
  });
  expect(await Promise.all(ends)).toEqual(Array(16).fill("0"));
  expect((await storeIn(schema).list({ namespace: "default" })).items).toHaveLength(16);
  const { rows } = await ground.pool().query(`select count(*)::int from ${schema}.store`);
  expect(rows[0].count).toBe(1);
}, 120_000);

test("8 stores that wait for each other to make the schema: those that waited find it made", async () => {
  const schema = ground.freshSchema();
  const client = await ground.pool().connect();
  onTestFinished(() => client.release());
  await client.query("begin");
  const lock = "select pg_advisory_xact_lock(hashtextextended($1, 0))";
  await client.query(lock, [`safeagent "${schema}"`]);
  const ids = Array.from({ length: 8 }, (_, index) => `c-${index}`);
  const commits = ids.map((id) => storeIn(schema).commit(born(id)));
  const waiting = "select from pg_stat_activity where wait_event = 'advisory'";
  // From another session: within one transaction the view shows what it showed at first.
  const pool = ground.pool();
  while ((await pool.query(waiting)).rowCount !== 8) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await client.query("rollback");
  expect(await Promise.all(commits)).toEqual(ids.map(() => true));
});

describe("a schema of a newer version", () => {
  async function newer(oldest: number) {
    const schema = ground.freshSchema();
    const pool = ground.pool();
    const before = storeIn(schema, pool);
    expect(await before.commit(born("a"))).toBe(true);
    await pool.query(`update ${schema}.store set version = 2, oldest = $1`, [oldest]);
    return { schema, pool, before };
  }

  test("that the last version can work with: it does, and leaves it alone", async () => {
    const { schema, pool, before } = await newer(1);
    expect(await before.commit(born("b"))).toBe(true);
    expect(await storeIn(schema).commit(born("c"))).toBe(true);
    const { rows } = await pool.query(`select version, oldest from ${schema}.store`);
    expect(rows).toEqual([{ version: 2, oldest: 1 }]);
  });

  test("that it can't: it is refused, and says so", async () => {
    const { schema } = await newer(2);
    const refused = { code: "store_outdated" };
    await expect(storeIn(schema).commit(born("b"))).rejects.toMatchObject(refused);
    await expect(storeIn(schema).list({ namespace: "default" })).rejects.toMatchObject(refused);
  });
});

test("a server that doesn't keep what it acknowledges is refused", async () => {
  const server = await startServer({ settings: { fsync: "off" } });
  onTestFinished(() => server.stop());
  const pool = ground.pool({ connectionString: server.url });
  const store = postgresStore({ pool, busyMs: 100 });
  await expect(store.commit(born("a"))).rejects.toMatchObject({
    code: "store_unavailable",
    message: expect.stringContaining("fsync is off"),
  });
});

describe("places in the feed", () => {
  test("a dump in a server with smaller transaction numbers: what is new comes after what is old", async () => {
    const schema = ground.freshSchema();
    const pool = ground.pool();
    const store = storeIn(schema, pool);
    const old = story("old", [claim(), settle(1)]).steps;
    for (const step of old.slice(0, 1)) expect(await store.commit([step])).toBe(true);
    const far = 1_000_000 * 1024;
    await pool.query(`update ${schema}.journal set position = position + ${far}`);
    await pool.query(`update ${schema}.unfinished set place = place + ${far}`);
    await pool.query(
      `update ${schema}.cases set place = place + ${far}, last_entry = last_entry + ${far}`,
    );
    // Who was there before looks again when its connections break: it may be another server.
    await cutAll();
    expect(await store.commit(born("new"))).toBe(true);
    expect(await storeIn(schema).commit(born("newer"))).toBe(true);
    for (const step of old.slice(1)) expect(await store.commit([step])).toBe(true);
    expect(await told(store)).toEqual(["old", "new", "newer", "old"]);
    const ids = (await store.list({ namespace: "default" })).items.map(({ caseId }) => caseId);
    expect(ids).toEqual(["old", "new", "newer"]);
  });

  test("a full batch that was the last transaction is no dump: the count goes on as before", async () => {
    const schema = ground.freshSchema();
    const store = storeIn(schema);
    await store.list({ namespace: "default" });
    const steps = Array.from({ length: 256 }, (_, index) => born(`c-${index}`)).flat();
    expect(await store.commit(steps)).toBe(true);
    await storeIn(schema).list({ namespace: "default" });
    const { rows } = await ground.pool().query(`select base::text from ${schema}.store`);
    expect(rows).toEqual([{ base: "0" }]);
  });

  test("a transaction that began before hides what is newer, and nothing is missed when it ends", async () => {
    const schema = ground.freshSchema();
    const store = storeIn(schema);
    expect(await store.commit(born("first"))).toBe(true);
    const client = await ground.pool().connect();
    onTestFinished(() => client.release());
    await client.query("begin");
    expect(await store.within?.(client).commit(born("slow"))).toBe(true);
    expect(await store.commit(born("quick"))).toBe(true);
    const seen = await told(store);
    expect(seen).toEqual(["first"]);
    const after = await store.end("default");
    await client.query("commit");
    expect(await told(store, after)).toEqual(["slow", "quick"]);
  });

  test("under load, with readers that follow: all that they saw is in order, and complete", async () => {
    const { missed, disordered } = await followed("the store's own feed");
    expect({ missed, disordered }).toEqual({ missed: 0, disordered: 0 });
  });

  test("control: a feed that doesn't mind transactions under way misses entries", async () => {
    const { missed } = await followed("without the horizon");
    expect(missed).toBeGreaterThan(0);
  });
});

/** Writes with transactions of uneven length, while a reader follows the feed from its last place. */
async function followed(how: "the store's own feed" | "without the horizon") {
  const schema = ground.freshSchema();
  const pool = ground.pool({ max: 20 });
  const store = storeIn(schema, pool);
  await store.list({ namespace: "default" });
  let writing = true;
  const slow = async (writer: number): Promise<void> => {
    for (let count = 0; count < 20; count += 1) {
      const client = await pool.connect();
      await client.query("begin");
      await store.within?.(client).commit(born(`slow ${writer} ${count}`));
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 30));
      await client.query("commit");
      client.release();
    }
  };
  const quick = async (writer: number): Promise<void> => {
    for (let count = 0; count < 60; count += 1)
      await store.commit(born(`quick ${writer} ${count}`));
  };
  const writers = [1, 2, 3, 4].flatMap((writer) => [slow(writer), quick(writer)]);
  const done = Promise.all(writers).then(() => {
    writing = false;
  });
  const page = async (after: number): Promise<readonly number[]> => {
    if (how === "the store's own feed") {
      return (await store.journal({ ...feed, after })).map(({ position }) => position);
    }
    const { rows } = await pool.query(
      `select position::text from ${schema}.journal where position > $1 order by journal.position`,
      [after],
    );
    return rows.map(({ position }) => Number(position));
  };
  const seen: number[] = [];
  const follow = async (): Promise<void> => {
    for (let isLast = false; !isLast; ) {
      isLast = !writing;
      seen.push(...(await page(seen.at(-1) ?? 0)));
    }
  };
  await Promise.all([done, follow()]);
  const { rows } = await pool.query(`select count(*)::int from ${schema}.journal`);
  const disordered = seen.filter((place, index) => place <= (seen[index - 1] ?? 0)).length;
  return { missed: rows[0].count - new Set(seen).size, disordered };
}

test("an address that leads to an empty database by now: it is not taken for the one before", async () => {
  const schema = ground.freshSchema();
  const pool = ground.pool();
  const store = storeIn(schema);
  expect(await store.commit(born("a"))).toBe(true);
  await pool.query(`alter schema ${schema} rename to ${schema}_away`);
  await cutAll();
  await expect(store.commit(born("a"))).rejects.toMatchObject({ code: "store_corrupt" });
  expect(await storeIn(schema).commit(born("b"))).toBe(true);
  await cutAll();
  await expect(store.commit(born("a"))).rejects.toMatchObject({
    message: expect.stringContaining("another one than before"),
  });
  await pool.query(
    `drop schema ${schema} cascade; alter schema ${schema}_away rename to ${schema}`,
  );
  await cutAll();
  expect(await store.commit(born("a"))).toBe(false);
});

test("a guard is made over a database, and its tables go with their schema", async () => {
  const schema = ground.freshSchema();
  const pool = ground.pool();
  await using guard = createGuard({ store: storeIn(schema, pool) });
  await guard.execute({ requestId: "a", action: "pay", payload: {}, run: () => 1 });
  await pool.query(`drop schema ${schema} cascade`);
  await expect(guard.receipt("a")).rejects.toMatchObject({ code: "store_corrupt" });
});
