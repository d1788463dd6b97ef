import { setTimeout as delay } from "node:timers/promises";
import { Pool } from "pg";
import { expect, onTestFinished, test } from "vitest";
import { createGuard, type Guard } from "../../src/index.ts";
import { postgresStore } from "../../src/stores/postgres.ts";
import { createLoad } from "../postgres/load.ts";
import { type Pair, startPair } from "../postgres/servers/standby.ts";
import { type Switch, startSwitch } from "../postgres/switch.ts";

async function ground(synchronous: boolean): Promise<{ pair: Pair; wire: Switch }> {
  const pair = await startPair({ synchronous });
  onTestFinished(() => pair.stop());
  const wire = await startSwitch(pair.primary.port);
  onTestFinished(() => wire.stop());
  return { pair, wire };
}

function poolAt(url: string): Pool {
  const pool = new Pool({ connectionString: url });
  pool.on("error", () => undefined);
  onTestFinished(() => pool.end());
  return pool;
}

function guardAt(url: string, pool = poolAt(url)): Guard {
  const store = postgresStore({ pool });
  const guard = createGuard({ store });
  onTestFinished(async () => {
    await guard.close();
    await store.close();
  });
  return guard;
}

/** The primary dies under load, its standby takes over, and the guards go on with it. */
async function failedOver(synchronous: boolean) {
  const { pair, wire } = await ground(synchronous);
  const guards = [guardAt(wire.url), guardAt(wire.url)];
  const load = createLoad();
  const running = load.run(guards, 16);
  while (load.receipts() < 100) await delay(5);
  if (!synchronous) {
    // It is behind, as one far away is.
    await pair.holdReplication();
    while (load.receipts() < 200) await delay(5);
  }
  const url = await pair.failover();
  wire.to(Number(new URL(url).port));
  const before = load.receipts();
  while (load.receipts() < before + 50) await delay(5);
  await running.stop();
  return load.audit(guardAt(url));
}

test("a failover to a synchronous standby: nothing acknowledged is lost, nothing is doubled, and it goes on", async () => {
  expect(await failedOver(true)).toMatchObject({ violations: [], doubts: [] });
});

test("control: an asynchronous standby lacks what was acknowledged", async () => {
  expect((await failedOver(false)).violations.length).toBeGreaterThan(0);
});

test("a wait for the standby that was cancelled: nobody is told a receipt that a failover takes away", async () => {
  const { pair, wire } = await ground(true);
  const pool = poolAt(wire.url);
  const guard = guardAt(wire.url, pool);
  const call = (id: string) => ({ requestId: id, action: "pay", payload: {}, run: () => id });
  expect(await guard.execute(call("before"))).toMatchObject({ status: "settled", recorded: true });
  const direct = poolAt(pair.primary.url);
  await pair.holdReplication();
  const told: unknown[] = [];
  const asked = guard.execute(call("cut")).then(
    (outcome) => told.push(outcome.status === "settled" && outcome.recorded),
    (error: { readonly code: string }) => told.push(error.code),
  );
  let cancelled = 0;
  while (told.length === 0) {
    const { rowCount } = await direct.query(
      "select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'",
    );
    cancelled += rowCount ?? 0;
    await delay(20);
  }
  await asked;
  expect(cancelled).toBeGreaterThan(0);
  // The claim is on the primary alone: its effect was never started, and nobody was told otherwise.
  expect(told).not.toContain(true);
  const url = await pair.failover();
  wire.to(Number(new URL(url).port));
  const fresh = guardAt(url);
  expect(await fresh.receipt("cut")).toBeUndefined();
  expect(await fresh.receipt("before")).toBeDefined();
  expect(await fresh.execute(call("cut"))).toMatchObject({ status: "settled", recorded: true });
}, 120_000);

test("a standby is refused, at the start and in the midst of it", async () => {
  const { pair, wire } = await ground(true);
  const started = postgresStore({ pool: poolAt(pair.standby.url), busyMs: 100 });
  const ids = { namespace: "default", caseId: null, requestId: "a" as never };
  await expect(started.read(ids)).rejects.toMatchObject({ code: "store_unavailable" });
  const store = postgresStore({ pool: poolAt(wire.url), busyMs: 100 });
  expect(await store.read(ids)).toEqual({ stored: null, bound: null });
  wire.to(pair.standby.port);
  await expect(store.read(ids)).rejects.toMatchObject({
    code: "store_unavailable",
    message: expect.stringContaining("standby"),
  });
  await expect(store.list({ namespace: "default" })).rejects.toMatchObject({
    message: expect.stringContaining("standby"),
  });
  wire.to(pair.primary.port);
  expect(await store.read(ids)).toEqual({ stored: null, bound: null });
  await started.close();
  await store.close();
});
