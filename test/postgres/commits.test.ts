import { setTimeout as delay } from "node:timers/promises";
import { PGlite } from "@electric-sql/pglite";
import type { Pool } from "pg";
import { afterAll, describe, expect, onTestFinished, test } from "vitest";
import type { Store } from "../../src/core/store.ts";
import { createGuard } from "../../src/index.ts";
import { postgresStore } from "../../src/stores/postgres.ts";
import { claim, renew, settle, story } from "../../src/testing/store-cases.ts";
import { withServer } from "./servers/with-server.ts";

const ground = withServer();

function storeIn(schema: string, pool: Pool = ground.pool()): Store {
  const store = postgresStore({ pool, schema });
  onTestFinished(() => store.close());
  return store;
}

const born = (id: string) => story(id, [claim()]).steps;

/** Holds a case in a transaction of somebody else's; answers how to let it go. */
async function hold(schema: string, id: string): Promise<() => Promise<void>> {
  const client = await ground.pool().connect();
  let isHeld = true;
  const letGo = async (): Promise<void> => {
    if (!isHeld) return;
    isHeld = false;
    await client.query("rollback");
    client.release();
  };
  onTestFinished(letGo);
  await client.query("begin");
  await client.query(`select from ${schema}.cases where id = $1 for update`, [id]);
  return letGo;
}

describe("a case that another session holds", () => {
  test("keeps nobody else waiting for longer than the lock's timeout", async () => {
    const schema = ground.freshSchema();
    const store = storeIn(schema);
    const stories = Array.from({ length: 200 }, (_, index) =>
      story(`c-${index}`, [claim(), settle(index)]),
    );
    await Promise.all(stories.map(({ steps }) => store.commit(steps.slice(0, 1))));
    const letGo = await hold(schema, "c-100");
    const order: string[] = [];
    const answers = stories.map(async ({ caseId, steps }) => {
      const landed = await store.commit(steps.slice(1));
      order.push(caseId);
      return landed;
    });
    // What comes later goes through as well, while one still waits.
    while (order.length < 199) await delay(5);
    expect(await store.commit(born("later"))).toBe(true);
    expect(order).not.toContain("c-100");
    await letGo();
    expect((await Promise.all(answers)).every(Boolean)).toBe(true);
    expect(order.at(-1)).toBe("c-100");
  });

  test("four of them, held for good, are refused; all others land meanwhile", async () => {
    const schema = ground.freshSchema();
    const store = postgresStore({ pool: ground.pool(), schema, busyMs: 2_000 });
    onTestFinished(() => store.close());
    const stories = Array.from({ length: 40 }, (_, index) =>
      story(`c-${index}`, [claim(), settle(index)]),
    );
    await Promise.all(stories.map(({ steps }) => store.commit(steps.slice(0, 1))));
    const held = ["c-3", "c-13", "c-23", "c-33"];
    for (const id of held) await hold(schema, id);
    const refused: string[] = [];
    const landed = await Promise.all(
      stories.map(({ caseId, steps }) =>
        store.commit(steps.slice(1)).catch((error: { readonly code: string }) => {
          refused.push(`${caseId} ${error.code}`);
          return false;
        }),
      ),
    );
    expect(refused.sort()).toEqual(held.map((id) => `${id} store_contended`).sort());
    expect(landed.filter(Boolean)).toHaveLength(36);
  });
});

test.each(["repeatable read", "serializable"])(
  "a database that is %s by default",
  async (level) => {
    const schema = ground.freshSchema();
    const options = `-c default_transaction_isolation=${level.replace(" ", "\\ ")}`;
    const guards = Array.from({ length: 4 }, () => {
      const guard = createGuard({ store: storeIn(schema, ground.pool({ options })) });
      onTestFinished(() => guard.close());
      return guard;
    });
    const ran: string[] = [];
    const answers = await Promise.all(
      guards.flatMap((guard) =>
        Array.from({ length: 30 }, async (_, index) => {
          const [caseId, requestId] = [`case ${index}`, `case ${index}`];
          const run = () => void ran.push(caseId);
          const outcome = await guard.execute({
            caseId,
            requestId,
            action: "pay",
            payload: {},
            run,
          });
          return outcome.status === "settled" ? JSON.stringify(outcome.receipt) : outcome.status;
        }),
      ),
    );
    expect(ran).toHaveLength(30);
    expect(new Set(answers).size).toBe(30);
  },
);

test("two batches that wait for each other in a circle with a third party: both land", async () => {
  const schema = ground.freshSchema();
  const store = storeIn(schema);
  const pool = ground.pool();
  for (const id of ["a", "b"]) await store.commit(born(id));
  const client = await pool.connect();
  onTestFinished(() => client.release());
  // It goes from b to a; the store goes from a to b: the server ends one of them.
  await client.query("set deadlock_timeout = '10ms'");
  await client.query("begin");
  await client.query(`select from ${schema}.cases where id = 'b' for update`);
  const [one, other] = ["a", "b"].map((id) => story(id, [claim(), settle(1)]).steps[1]);
  const committed = store.commit([one, other].filter((step) => step !== undefined));
  await delay(50);
  await client
    .query(`select from ${schema}.cases where id = 'a' for update`)
    .catch(() => undefined);
  await client.query("rollback");
  expect(await committed).toBe(true);
});

describe("a transaction in which a statement failed, and whose error was swallowed", () => {
  const swallow = async (store: Store): Promise<unknown> =>
    store.transaction?.(async (tx) => {
      await tx.commit(born("a"));
      const { query } = tx.handle as { query(text: string): Promise<unknown> };
      await query.call(tx.handle, "select 1 / 0").catch(() => undefined);
      return "done";
    });

  test("is no success, on a server", async () => {
    const store = storeIn(ground.freshSchema());
    await expect(swallow(store)).rejects.toMatchObject({ code: "store_unavailable" });
    expect((await store.list({ namespace: "default" })).items).toEqual([]);
  });

  test("nor on PGlite", async () => {
    const store = postgresStore({ pool: db });
    await expect(swallow(store)).rejects.toMatchObject({ code: "store_unavailable" });
    expect((await store.list({ namespace: "default" })).items).toEqual([]);
    await store.close();
  });
  const db = new PGlite();
  afterAll(() => db.close());
});

test("an entry by an older transaction comes after the one that a newer transaction wrote", async () => {
  const schema = ground.freshSchema();
  const store = storeIn(schema);
  const [first, second, third, fourth, fifth, sixth] = story("a", [
    claim(),
    renew(1),
    { type: "doubt", fence: 1, reason: "threw", error: null },
    { type: "resolve", fence: 1, happened: false, evidence: "none" },
    claim({ opens: false }),
    { type: "release", fence: 2, reason: "no", final: false, retryAt: null },
  ] as never).steps;
  const all = [first, second, third, fourth, fifth, sixth].flatMap((step) => step ?? []);
  const client = await ground.pool().connect();
  onTestFinished(() => client.release());
  await store.list({ namespace: "default" });
  await client.query("begin");
  await client.query("select pg_current_xact_id()");
  for (const step of all.slice(0, 3)) expect(await store.commit([step])).toBe(true);
  // The transaction that began before any of them writes what follows on them.
  const older = store.within?.(client);
  for (const step of all.slice(3)) expect(await older?.commit([step])).toBe(true);
  const query = { namespace: "default", after: 0 };
  expect(await store.journal(query)).toEqual([]);
  await client.query("commit");
  const texts = all.flatMap(({ entry }) => entry ?? []);
  expect((await store.history("default", first?.next.caseId as never)).map((e) => e.text)).toEqual(
    texts,
  );
  expect((await store.journal(query)).map((e) => e.text)).toEqual(texts);
});

test("a transaction of the caller's takes as many statements as it has room for, and no more", async () => {
  const schema = ground.freshSchema();
  const store = storeIn(schema);
  await store.list({ namespace: "default" });
  const client = await ground.pool().connect();
  onTestFinished(() => client.release());
  await client.query("begin");
  const within = store.within?.(client);
  for (let index = 0; index < 256; index += 1) {
    expect(await within?.commit(born(`c-${index}`))).toBe(true);
  }
  await expect(within?.commit(born("one more"))).rejects.toMatchObject({ code: "over_limit" });
  await client.query("commit");
  const ids = (await store.list({ namespace: "default" })).items.map(({ caseId }) => caseId);
  expect(ids).toEqual(Array.from({ length: 256 }, (_, index) => `c-${index}`));
});

test("a client that was given back in the midst of a transaction: no commit is hidden in it", async () => {
  const schema = ground.freshSchema();
  const pool = ground.pool();
  const store = storeIn(schema, pool);
  expect(await store.commit(born("before"))).toBe(true);
  const clients = await Promise.all(Array.from({ length: 10 }, () => pool.connect()));
  for (const client of clients) {
    await client.query("begin");
    client.release();
  }
  const told = await Promise.all(["a", "b", "c"].map((id) => store.commit(born(id))));
  expect(told).toEqual([true, true, true]);
  // From a session of its own: what was acknowledged is committed.
  const { items } = await storeIn(schema).list({ namespace: "default" });
  expect(items.map(({ caseId }) => caseId)).toEqual(["before", "a", "b", "c"]);
});

test("a value that would tear a batch apart is refused, and the others of its batch land", async () => {
  const store = storeIn(ground.freshSchema());
  expect(await store.commit(born("before"))).toBe(true);
  const torn = born("torn").map((step) => ({ ...step, head: "a\u001eb" }));
  const answers = await Promise.allSettled([
    store.commit(born("a")),
    store.commit(torn),
    store.commit(born("b")),
  ]);
  expect(answers).toMatchObject([
    { status: "fulfilled", value: true },
    { status: "rejected", reason: { code: "store_unavailable" } },
    { status: "fulfilled", value: true },
  ]);
});
