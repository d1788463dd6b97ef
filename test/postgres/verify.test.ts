import type { Pool } from "pg";
import { expect, onTestFinished, test } from "vitest";
import { createGuard, type Guard, threshold } from "../../src/index.ts";
import { postgresStore } from "../../src/stores/postgres.ts";
import { withServer } from "./servers/with-server.ts";

const ground = withServer();

function guardOver(pool: Pool, schema: string): Guard {
  const store = postgresStore({ pool, schema });
  const guard = createGuard({ store });
  onTestFinished(async () => {
    await guard.close();
    await store.close();
  });
  return guard;
}

const call = (requestId: string, caseId = requestId) => ({
  requestId,
  caseId,
  action: "pay",
  payload: { cents: 500 },
  run: (): unknown => ({ paid: requestId }),
});

async function livedIn() {
  const schema = ground.freshSchema();
  const pool = ground.pool();
  const guard = guardOver(pool, schema);
  await guard.execute(call("old"));
  await guard.prune({ before: new Date(Date.now() + 60_000) });
  for (const id of ["a", "b", "c"]) await guard.execute(call(id));
  await guardOver(pool, schema).execute(call("r-b", "b"));
  await guard.execute({ ...call("doubt"), run: () => Promise.reject(new Error("hang up")) });
  const vote = guard.case("vote", { policy: threshold({ share: 0.8, quorum: 2 }) });
  await vote.signal({ source: "x", outcome: "YES" });
  return { schema, pool, guard: guardOver(ground.pool(), schema) };
}

test("a sound database has no fault", async () => {
  const { guard } = await livedIn();
  expect(await guard.verify()).toMatchObject({ ok: true, cases: 6, faults: [] });
});

const swap = (column: string, table: string, one: string, other: string) => `
  update {s}.${table} as t set ${column} = o.${column} from {s}.${table} as o
  where (t.id = '${one}' and o.id = '${other}') or (t.id = '${other}' and o.id = '${one}')`;
const last = (id: string) => `(select last_entry from {s}.cases where id = '${id}')`;

test.each([
  [
    "a value in a record",
    `update {s}.cases set record = replace(record, '500', '501') where id = 'a'`,
  ],
  [
    "a receipt",
    `update {s}.cases set record = replace(record, '"paid":"a"', '"paid":"z"') where id = 'a'`,
  ],
  ["two records, swapped", swap("record", "cases", "a", "c")],
  ["two heads, swapped", swap("head", "cases", "a", "c")],
  ["two links to the journal, swapped", swap("last_entry", "cases", "a", "c")],
  ["a state column", "update {s}.cases set state = 'VOID' where id = 'a'"],
  ["a version, set back", "update {s}.cases set version = version - 1 where id = 'a'"],
  ["a case, deleted", "delete from {s}.cases where id = 'a'"],
  [
    "an entry, changed",
    `update {s}.journal set text = replace(text, '500', '501') where position = ${last("a")} or position = (select previous from {s}.journal where position = ${last("a")})`,
  ],
  ["an entry, deleted", `delete from {s}.journal where position = ${last("a")}`],
  [
    "a first entry, deleted",
    `delete from {s}.journal where position = (select previous from {s}.journal where position = ${last("a")})`,
  ],
  [
    "an entry with a broken link",
    `update {s}.journal set previous = null where position = ${last("a")}`,
  ],
  [
    "an entry in another namespace",
    `update {s}.journal set namespace = 'other' where position = ${last("a")}`,
  ],
  ["a case in another namespace", "update {s}.cases set namespace = 'other' where id = 'a'"],
  ["a request, deleted", "delete from {s}.requests where id = 'r-b'"],
  ["a request, bound elsewhere", "update {s}.requests set case_id = 'a' where id = 'r-b'"],
  [
    "a doubt that is listed no more",
    "delete from {s}.unfinished where place = (select place from {s}.cases where id = 'doubt')",
  ],
  [
    "a due time, changed",
    "update {s}.unfinished set due = 5 where place = (select place from {s}.cases where id = 'doubt')",
  ],
  [
    "a finished case that is listed",
    "insert into {s}.unfinished select place, namespace, action, state, 5 from {s}.cases where id = 'a'",
  ],
  ...["namespace", "action", "state"].map((column) => [
    `${column} of a doubt, changed in the list`,
    `update {s}.unfinished set ${column} = 'OPEN' where place = (select place from {s}.cases where id = 'doubt')`,
  ]),
  ["a case in the list that is nowhere else", "delete from {s}.cases where id = 'doubt'"],
  ["a record that is no JSON", "update {s}.cases set record = 'x' where id = 'a'"],
  [
    "a tombstone, changed",
    `update {s}.cases set record = replace(record, '"old"', '"new"') where id = 'old'`,
  ],
])("%s: found", async (_, change) => {
  const { schema, pool, guard } = await livedIn();
  const { rowCount } = await pool.query(change.replaceAll("{s}", schema));
  expect(rowCount).toBeGreaterThan(0);
  const found = await guard.verify();
  expect(found.ok).toBe(false);
  expect(found.faults).not.toEqual([]);
});
