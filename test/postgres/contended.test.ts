import type { Pool } from "pg";
import { expect, onTestFinished, test } from "vitest";
import type { Step, Store } from "../../src/core/store.ts";
import { postgresStore } from "../../src/stores/postgres.ts";
import { claim, story } from "../../src/testing/store-cases.ts";
import { withServer } from "./servers/with-server.ts";

const ground = withServer();

const born = (id: string): readonly Step[] => story(id, [claim()]).steps;

/** A pool that counts the statements that gave up waiting for a lock. */
function counted(): { readonly pool: Pool; readonly met: { locks: number } } {
  const pool = ground.pool();
  const met = { locks: 0 };
  pool.on("connect", (client) => {
    const query = client.query.bind(client) as (...args: unknown[]) => Promise<unknown>;
    Object.assign(client, {
      query: (...args: unknown[]) =>
        query(...args).catch((error: { readonly code?: unknown }) => {
          if (error.code === "55P03") met.locks += 1;
          throw error;
        }),
    });
  });
  return { pool, met };
}

async function heldCase(busyMs: number) {
  const { pool, met } = counted();
  const schema = ground.freshSchema();
  const store = postgresStore({ pool, schema, busyMs });
  onTestFinished(() => store.close());
  await store.list({ namespace: "default" });
  const client = await ground.pool().connect();
  onTestFinished(() => client.release());
  await client.query("begin");
  expect(await store.within?.(client).commit(born("held"))).toBe(true);
  return { store, met, letGo: () => client.query("rollback") };
}

const ask = (store: Store) =>
  store.commit(born("held")).then(String, (error: { readonly code: string }) => error.code);

test("40 callers wait for a case that somebody's transaction holds: each of the others meets its lock a few times at most", async () => {
  const { store, met, letGo } = await heldCase(60_000);
  const blocked = Array.from({ length: 40 }, () => ask(store));
  let most = 0;
  const others = Array.from({ length: 8 }, async (_, caller) => {
    for (let round = 0; round < 10; round += 1) {
      const before = met.locks;
      expect(await store.commit(born(`other ${caller} ${round}`))).toBe(true);
      most = Math.max(most, met.locks - before);
    }
  });
  await Promise.all(others);
  expect(most).toBeLessThanOrEqual(8);
  await letGo();
  const answers = await Promise.all(blocked);
  expect(answers.sort()).toEqual([...Array(39).fill("false"), "true"]);
});

test("40 callers wait for a case that is never let go: all are refused, after as many tries as their time has room for", async () => {
  const { store, met } = await heldCase(1_500);
  const answers = await Promise.all(Array.from({ length: 40 }, () => ask(store)));
  expect(answers).toEqual(Array(40).fill("store_contended"));
  // One at a time, half a second each.
  expect(met.locks).toBeLessThanOrEqual(12);
});

test("30 cases are held at once: each lands as soon as it is let go", async () => {
  const { store, letGo } = await heldCase(60_000);
  const client = await ground.pool().connect();
  onTestFinished(() => client.release());
  await client.query("begin");
  const ids = Array.from({ length: 30 }, (_, index) => `c-${index}`);
  for (const id of ids) expect(await store.within?.(client).commit(born(id))).toBe(true);
  const answers = ids.flatMap((id) => [store.commit(born(id)), store.commit(born(id))]);
  expect(await store.commit(born("other"))).toBe(true);
  await client.query("rollback");
  const landed = await Promise.all(answers);
  expect(landed.filter(Boolean)).toHaveLength(30);
  await letGo();
});
