import { describe, expect, onTestFinished, test } from "vitest";
import type { ListQuery } from "../../src/core/store.ts";
import { postgresStore } from "../../src/stores/postgres.ts";
import { withServer } from "./servers/with-server.ts";

const ground = withServer();

const now = 1_000_000;
const look = (action: string): ListQuery => ({
  namespace: "default",
  action,
  states: ["FINAL"],
  dueBy: now,
  limit: 256,
});
const sweep: ListQuery = {
  namespace: "default",
  states: ["OPEN", "RESOLVED_PROVISIONAL", "IN_RECONCILIATION", "EXECUTING", "IN_DOUBT"],
  dueBy: now,
};

/** 20,000 cases that wait for a worker, as many that were put off, and three whose lease is over. */
async function backlog() {
  const schema = ground.freshSchema();
  const pool = ground.pool({ max: 1 });
  const asked: { readonly text: string; readonly values: unknown[] }[] = [];
  pool.on("connect", (client) => {
    const query = client.query.bind(client) as (...args: unknown[]) => unknown;
    Object.assign(client, {
      query(...args: [text: string, values: unknown[]]) {
        asked.push({ text: args[0], values: args[1] });
        return query(...args);
      },
    });
  });
  const store = postgresStore({ pool, schema });
  onTestFinished(() => store.close());
  await store.list({ namespace: "default" });
  const fill = async (from: number, count: number, state: string, action: string, due: number) => {
    await pool.query(
      `insert into ${schema}.cases (place, namespace, id, version, state, action, updated_at, head, record)
       select n, 'default', 'c-' || n, 1, $3, $4, 0, '', repeat('x', 1000) from generate_series($1::bigint, $2::bigint) as n`,
      [from, from + count - 1, state, action],
    );
    await pool.query(
      `insert into ${schema}.unfinished (place, namespace, action, state, due)
       select n, 'default', $4, $3, $5 from generate_series($1::bigint, $2::bigint) as n`,
      [from, from + count - 1, state, action, due],
    );
  };
  await fill(1, 20_000, "FINAL", "due", now - 1);
  await fill(20_001, 20_000, "FINAL", "put off", now + 1);
  await fill(40_001, 3, "EXECUTING", "lost", now - 1);
  await fill(40_004, 700, "FINAL", "little", now);
  /** How many rows a list answers, and how many pages the server looks at for it. */
  const costOf = async (query: ListQuery) => {
    asked.length = 0;
    await store.list({ ...query, refused: () => undefined });
    const statement = asked.find(({ text }) => text.includes(".due_1("));
    const { rows } = await pool.query(
      `explain (analyze, buffers, format json) ${statement?.text}`,
      statement?.values,
    );
    const { Plan: plan } = rows[0]["QUERY PLAN"][0];
    return {
      rows: plan["Actual Rows"],
      pages: plan["Shared Hit Blocks"] + plan["Shared Read Blocks"],
    };
  };
  /** The ids that a list answers, page by page. */
  const walk = async (query: ListQuery): Promise<string[]> => {
    const seen: string[] = [];
    let after: string | null = "0";
    while (after !== null) {
      const refused = (_: unknown, caseId: string) => void seen.push(caseId);
      const page: { readonly next: string | null } = await store.list({ ...query, after, refused });
      after = page.next;
    }
    return seen;
  };
  return { pool, schema, costOf, walk };
}

const ids = (from: number, count: number) =>
  Array.from({ length: count }, (_, index) => `c-${from + index}`);

test("page by page, much or little that is due comes whole and in the order of opening", async () => {
  const { walk } = await backlog();
  expect(await walk(look("little"))).toEqual(ids(40_004, 700));
  expect(await walk(look("due"))).toEqual(ids(1, 20_000));
  expect(await walk(look("put off"))).toEqual([]);
  expect(await walk({ ...sweep, limit: 2 })).toEqual(ids(40_001, 3));
});

describe.each(["before the server has counted the rows", "when it has"])("%s", (when) => {
  async function prepared() {
    const { pool, schema, costOf } = await backlog();
    await pool.query(`alter table ${schema}.unfinished set (autovacuum_enabled = off)`);
    if (when === "when it has") await pool.query(`analyze ${schema}.unfinished, ${schema}.cases`);
    return costOf;
  }

  test("a worker's look with nothing due, and a sweep, don't read the queue", async () => {
    const costOf = await prepared();
    expect(await costOf(look("put off"))).toMatchObject({ rows: 0 });
    for (const query of [look("put off"), look("unheard of")]) {
      expect((await costOf(query)).pages).toBeLessThan(20);
    }
    const swept = await costOf(sweep);
    expect(swept).toMatchObject({ rows: 3 });
    expect(swept.pages).toBeLessThan(60);
  });

  test("a worker's look with much due reads a page of it, not its cases", async () => {
    const costOf = await prepared();
    const cost = await costOf(look("due"));
    expect(cost.rows).toBe(257);
    expect(cost.pages).toBeLessThan(1_500);
  });
});
