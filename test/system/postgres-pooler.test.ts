import { Pool } from "pg";
import { describe, expect, onTestFinished, test } from "vitest";
import type { Store } from "../../src/core/store.ts";
import { createGuard } from "../../src/index.ts";
import { postgresStore } from "../../src/stores/postgres.ts";
import { storeLaws } from "../../src/testing/store-laws.ts";
import { startPooler } from "../postgres/servers/pooler.ts";
import { withServer } from "../postgres/servers/with-server.ts";

const ground = withServer();
let pooler: ReturnType<typeof startPooler> | undefined;

/** A pool whose connections lead through PgBouncer, each transaction to another of four behind it. */
function lazyPool(): { connect(): Promise<never>; end(): Promise<void>; real(): Promise<Pool> } {
  let made: Promise<Pool> | undefined;
  const real = (): Promise<Pool> => {
    pooler ??= startPooler({ to: ground.server });
    made ??= pooler.then(({ url }) => {
      const pool = new Pool({ connectionString: url });
      pool.on("error", () => undefined);
      return pool;
    });
    return made;
  };
  return {
    connect: async () => (await real()).connect() as never,
    end: async () => (await made)?.end(),
    real,
  };
}

const homes = new WeakMap<Store, string>();
function open(schema: string): Store {
  const pool = lazyPool();
  const store = postgresStore({ pool, schema });
  homes.set(store, schema);
  onTestFinished(async () => {
    await store.close();
    await pool.end();
  });
  return store;
}

describe("the laws, behind a pooler that hands out connections by the transaction", () => {
  storeLaws({
    test: (name, ...rest) => {
      // Whoever waits behind it looks again by himself.
      if (!name.startsWith("tells its listeners")) test(name, ...rest);
    },
    durable: true,
    open: () => open(ground.freshSchema()),
    reopen: (store) => open(homes.get(store) ?? ""),
    async damage(store, caseId, change) {
      const pool = ground.pool();
      await pool.query(`UPDATE ${homes.get(store)}.cases SET record = $1 WHERE id = $2`, [
        change(""),
        caseId,
      ]);
    },
  });
});

test("who waits for another process's effect gets its receipt without hearing of it", async () => {
  const schema = ground.freshSchema();
  const [one, other] = [1, 2].map(() => {
    const guard = createGuard({ store: open(schema) });
    onTestFinished(() => guard.close());
    return guard;
  });
  const started = Promise.withResolvers<void>();
  const finish = Promise.withResolvers<string>();
  const call = {
    requestId: "a",
    action: "pay",
    payload: {},
    run: () => {
      started.resolve();
      return finish.promise;
    },
  };
  const first = one?.execute(call);
  await started.promise;
  const second = other?.execute({ ...call, run: () => "again" });
  setTimeout(() => finish.resolve("done"), 300);
  expect(await first).toMatchObject({ status: "settled", replayed: false });
  expect(await second).toMatchObject({ status: "settled", replayed: true });
});
