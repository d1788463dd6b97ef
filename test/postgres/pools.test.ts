import { setTimeout as delay } from "node:timers/promises";
import { type Pool, types } from "pg";
import { describe, expect, onTestFinished, test } from "vitest";
import type { Step, Store } from "../../src/core/store.ts";
import { approval, createGuard, type Guard } from "../../src/index.ts";
import {
  type PostgresClient,
  type PostgresPool,
  type PostgresQueries,
  postgresStore,
} from "../../src/stores/postgres.ts";
import { claim, settle, story } from "../../src/testing/store-cases.ts";
import { withServer } from "./servers/with-server.ts";

const ground = withServer();

function storeOver(pool: PostgresPool, schema: string): Store {
  const store = postgresStore({ pool, schema });
  onTestFinished(() => store.close());
  return store;
}

function guardOver(pool: PostgresPool, schema: string): Guard {
  const guard = createGuard({ store: storeOver(pool, schema) });
  onTestFinished(() => guard.close());
  return guard;
}

const call = (id: string, run: () => unknown = () => id) => ({
  requestId: id,
  action: "pay",
  payload: {},
  run,
});
const born = (id: string): readonly Step[] => story(id, [claim()]).steps;

describe.each([1, 2])("a pool of %i", (max) => {
  test("is enough: also while somebody waits for another process's effect", async () => {
    const schema = ground.freshSchema();
    const small = guardOver(ground.pool({ max }), schema);
    const other = guardOver(ground.pool(), schema);
    let finish = (_: string): void => undefined;
    const started = Promise.withResolvers<void>();
    const ended = new Promise<string>((resolve) => {
      finish = resolve;
    });
    const first = other.execute(
      call("slow", () => {
        started.resolve();
        return ended;
      }),
    );
    await started.promise;
    const waits = small.execute(call("slow"));
    // Longer than it takes to begin to listen.
    await delay(100);
    const many = Array.from({ length: 50 }, (_, index) => small.execute(call(`r-${index}`)));
    for (const outcome of await Promise.all(many)) expect(outcome.status).toBe("settled");
    finish("done");
    expect(await first).toMatchObject({ status: "settled", replayed: false });
    expect(await waits).toMatchObject({ status: "settled", replayed: true });
  });
});

test("a pool of one does its work while somebody listens", async () => {
  const store = storeOver(ground.pool({ max: 1 }), ground.freshSchema());
  expect(await store.commit(born("a"))).toBe(true);
  const leave = store.subscribe?.(() => undefined);
  expect(await store.commit(born("b"))).toBe(true);
  leave?.();
});

test("a pool that reads numbers, floats and booleans in a way of its own", async () => {
  const own = new Map<number, (text: string) => unknown>([
    [types.builtins.BOOL, (text) => (text === "t" ? "yes" : "no")],
    [types.builtins.INT8, BigInt],
    [types.builtins.INT4, (text) => ({ int: text })],
    [types.builtins.FLOAT8, (text) => ({ float: text })],
    [types.builtins.JSON, () => "unread"],
  ]);
  const getTypeParser = (oid: number, format?: string) =>
    own.get(oid) ?? types.getTypeParser(oid, format as "text");
  const pool = ground.pool({ types: { getTypeParser } as typeof types });
  expect((await pool.query("select true as yes")).rows).toEqual([{ yes: "yes" }]);
  const schema = ground.freshSchema();
  const guard = guardOver(pool, schema);
  await guard.execute(call("a"));
  await guard.execute(call("b", () => Promise.reject(new Error("socket hang up"))));
  expect(await guard.execute(call("a"))).toMatchObject({ replayed: true });
  expect((await guard.list({ states: ["IN_DOUBT"] })).items).toHaveLength(1);
  expect(await guard.history("a")).toHaveLength(2);
  expect((await guard.verify()).faults).toEqual([]);
  // No entry of this one names its request: only its row does.
  await guard.execute({ ...call("w"), policy: approval() });
  await guard.case("w").withdraw({ by: "ana", reason: "not wanted" });
  expect(await guard.prune({ before: new Date(Date.now() + 60_000) })).toBe(2);
  expect(await guard.case("w").get()).toMatchObject({ state: "RETIRED", requests: ["w"] });
  const fresh = guardOver(ground.pool(), schema);
  await expect(fresh.execute(call("a"))).rejects.toMatchObject({ code: "retired" });
  await expect(fresh.receipt("a")).rejects.toMatchObject({ code: "retired" });
  expect((await fresh.verify()).faults).toEqual([]);
});

/** A pool whose clients ask something else of the server where `instead` says so. */
function altered(
  pool: Pool,
  instead: (text: string, client: PostgresClient) => Promise<void> | undefined,
): PostgresPool {
  // One for each client, as a pool hands out the same ones again.
  const made = new WeakMap<object, PostgresClient>();
  return {
    async connect() {
      const client = await pool.connect();
      const before = made.get(client);
      if (before !== undefined) return before;
      const query: PostgresQueries["query"] = async (text, values) => {
        const answer = await client.query(text, values);
        await instead(text, client as PostgresClient);
        return answer;
      };
      const own: PostgresClient = {
        query,
        release: (destroy) => client.release(destroy),
        on: (event, listener) => client.on(event as "notice", listener as never),
        removeListener: (event, listener) => client.removeListener(event, listener),
      };
      made.set(client, own);
      return own;
    },
  };
}

describe("what a server or a driver says", () => {
  test("EPIPE is no SQLSTATE: the commit may have landed, and is looked for", async () => {
    const schema = ground.freshSchema();
    let broken = 0;
    const pool = altered(ground.pool(), (text) => {
      if (!text.includes("land_1") || broken > 0) return undefined;
      broken += 1;
      throw Object.assign(new Error("write EPIPE"), { code: "EPIPE" });
    });
    expect(await storeOver(pool, schema).commit(born("a"))).toBe(true);
    expect(broken).toBe(1);
  });

  test.each([
    ["WARNING", true],
    ["WARNUNG", true],
    ["警告", true],
    ["NOTICE", false],
    ["DEBUG1", false],
  ])("%s in a commit: is it made sure of? %s", async (severity, isSure) => {
    const schema = ground.freshSchema();
    let says = false;
    let sure = 0;
    const pool = altered(ground.pool({ max: 1 }), (text, client) => {
      if (text.includes("pg_logical_emit_message")) sure += 1;
      if (says && text.includes("land_1")) {
        (client as unknown as Pool).emit("notice" as never, { severity } as never);
      }
      return undefined;
    });
    const store = storeOver(pool, schema);
    await store.commit(born("a"));
    [says, sure] = [true, 0];
    expect(await store.commit(born("b"))).toBe(true);
    expect(sure > 0).toBe(isSure);
  });

  test("a session that would not wait for the disk waits where it is made sure of", async () => {
    const schema = ground.freshSchema();
    const seen: unknown[] = [];
    const pool = altered(ground.pool({ options: "-c synchronous_commit=off" }), () => undefined);
    const watching: PostgresPool = {
      async connect() {
        const client = await pool.connect();
        return {
          ...client,
          async query(text, values) {
            if (!text.includes("pg_logical_emit_message")) return client.query(text, values);
            await client.query("BEGIN");
            const answer = await client.query(text, values);
            const { rows } = await client.query(
              "SELECT current_setting('synchronous_commit') AS s",
            );
            seen.push(rows[0]);
            await client.query("COMMIT");
            return answer;
          },
        };
      },
    };
    expect(await storeOver(watching, schema).commit(born("a"))).toBe(true);
    expect(seen[0]).toEqual({ s: "on" });
  });

  test.each(["40001", "40P01", "55P03", "57P01", "53300"])(
    "%s: it is tried again",
    async (code) => {
      const schema = ground.freshSchema();
      let times = 0;
      const real = ground.pool();
      const pool: PostgresPool = {
        async connect() {
          const client = (await altered(real, () => undefined).connect()) as PostgresClient;
          return {
            ...client,
            query(text, values) {
              if (!text.includes("land_1") || times === 3) return client.query(text, values);
              times += 1;
              return Promise.reject(Object.assign(new Error("told by a test"), { code }));
            },
          };
        },
      };
      const store = storeOver(pool, schema);
      expect(await Promise.all(["a", "b"].map((id) => store.commit(born(id))))).toEqual([
        true,
        true,
      ]);
      expect(times).toBe(3);
    },
  );
});

test("a server that hangs: calls end, and say that nothing is known", async () => {
  const schema = ground.freshSchema();
  const real = ground.pool();
  let hangs = false;
  const pool: PostgresPool = {
    async connect() {
      const client = (await altered(real, () => undefined).connect()) as PostgresClient;
      return {
        ...client,
        query: (text, values) =>
          hangs ? new Promise(() => undefined) : client.query(text, values),
      };
    },
  };
  const store = postgresStore({ pool, schema, timeoutMs: 200, busyMs: 300 });
  const [first, second] = story("a", [claim(), settle(1)]).steps;
  expect(await store.commit(first === undefined ? [] : [first])).toBe(true);
  hangs = true;
  const gone = { code: "store_unavailable" };
  const many = Array.from({ length: 50 }, (_, index) => store.commit(born(`m-${index}`)));
  for (const answer of many) await expect(answer).rejects.toMatchObject(gone);
  await expect(store.list({ namespace: "default" })).rejects.toMatchObject(gone);
  hangs = false;
  expect(await store.commit(second === undefined ? [] : [second])).toBe(true);
  await store.close();
});
