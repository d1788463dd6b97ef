import { expect, onTestFinished, test } from "vitest";
import { createGuard, type Guard } from "../../src/index.ts";
import { postgresStore } from "../../src/stores/postgres.ts";
import { forgetful } from "./forgetful.ts";
import { type Audit, createLoad } from "./load.ts";
import { withServer } from "./servers/with-server.ts";

const ground = withServer();

function guardIn(schema: string): Guard {
  const store = postgresStore({ pool: ground.pool(), schema });
  const guard = createGuard({ store });
  onTestFinished(async () => {
    await guard.close();
    await store.close();
  });
  return guard;
}

async function crashed(schema: string, times: number): Promise<Audit> {
  const guards = [guardIn(schema), guardIn(schema)];
  const load = createLoad();
  const running = load.run(guards, 16);
  for (let crash = 1; crash <= times; crash += 1) {
    const before = load.receipts();
    while (load.receipts() < before + 100) await new Promise((resolve) => setTimeout(resolve, 2));
    await ground.server.restart("immediate");
  }
  await running.stop();
  return load.audit(guardIn(schema));
}

test("the server crashes twice under load: nothing acknowledged is lost, nothing is doubled", async () => {
  const audit = await crashed(ground.freshSchema(), 2);
  expect(audit).toMatchObject({ violations: [], doubts: [] });
  expect(audit.receipts).toBeGreaterThanOrEqual(200);
});

test("control: where commits are answered before they are on disk, receipts are lost", async () => {
  const schema = ground.freshSchema();
  await guardIn(schema).list();
  await forgetful(ground.pool(), schema);
  const audit = await crashed(schema, 2);
  expect(audit.violations.length).toBeGreaterThan(0);
});

test("a session that would not wait for the disk is made to wait, for the store's commits", async () => {
  const schema = ground.freshSchema();
  const pool = ground.pool({ options: "-c synchronous_commit=off" });
  const store = postgresStore({ pool, schema });
  const guard = createGuard({ store });
  onTestFinished(() => store.close());
  await guard.list();
  await pool.query(`create table ${schema}.seen (said text)`);
  await pool.query(
    `create function ${schema}.see() returns trigger language plpgsql as $$ begin
       insert into ${schema}.seen values (current_setting('synchronous_commit')); return null; end $$`,
  );
  // Deferred: it looks at the very end of the transaction, when the setting counts.
  await pool.query(
    `create constraint trigger see after insert on ${schema}.cases deferrable initially deferred
     for each row execute function ${schema}.see()`,
  );
  await guard.execute({ requestId: "a", action: "pay", payload: {}, run: () => 1 });
  expect((await pool.query(`select said from ${schema}.seen`)).rows).toEqual([{ said: "on" }]);
  expect((await pool.query("show synchronous_commit")).rows[0]).toEqual({
    synchronous_commit: "off",
  });
});
