import { setTimeout as delay } from "node:timers/promises";
import { Client, type Pool } from "pg";
import { beforeAll, beforeEach, expect, onTestFinished, test } from "vitest";
import { type Counts, type Fate, startProxy, type WireProxy } from "./proxy.ts";
import { withServer } from "./with-server.ts";

const file = withServer();
let direct: Pool;
let proxy: WireProxy;

beforeAll(async () => {
  const client = new Client(file.server.url);
  await client.connect();
  await client.query("create table written (id int)");
  await client.end();
});

beforeEach(async () => {
  direct = file.pool();
  await direct.query("truncate written");
  const matches = ({ sql }: { sql: string }) => /^(insert|commit)/.test(sql);
  proxy = await startProxy({ to: file.server, matches });
  onTestFinished(() => proxy.stop());
});

const none: Counts = {
  forward: 0,
  "drop request": 0,
  "drop reply": 0,
  "delay request": 0,
  "delay reply": 0,
  reset: 0,
  swallow: 0,
  failed: 0,
};

/** What the client is told, and whether the row is there. */
const cuts: [fate: Fate, told: RegExp, rows: number][] = [
  [{ do: "drop request" }, /terminated unexpectedly/, 0],
  [{ do: "reset" }, /ECONNRESET/, 0],
  [{ do: "drop reply", cut: "answered" }, /terminated unexpectedly/, 1],
];

test.each(cuts)("$do: the second run of a prepared statement", async (fate, told, rows) => {
  proxy.plan((nth) => (nth === 2 ? fate : { do: "forward" }));
  const client = await connected();
  const insert = (id: number) =>
    client.query({ name: "write", text: "insert into written values ($1)", values: [id] });
  await insert(1);
  await client.query("select 1");
  await expect(insert(2)).rejects.toThrow(told);
  expect(await written()).toEqual([1, 2].slice(0, 1 + rows));
  expect(proxy.counts()).toEqual({ ...none, forward: 1, [fate.do]: 1 });
});

test.each(cuts)("$do: the commit of a transaction", async (fate, told, rows) => {
  const client = await connected();
  await client.query("begin");
  await client.query("insert into written values (1)");
  proxy.plan(() => fate);
  await expect(client.query("commit")).rejects.toThrow(told);
  expect(await written()).toEqual([1].slice(0, rows));
  expect(proxy.counts()).toEqual({ ...none, forward: 1, [fate.do]: 1 });
});

test("a lost reply may have been an error", async () => {
  proxy.plan(() => ({ do: "drop reply", cut: "answered" }));
  const client = await connected();
  await expect(client.query("insert into nowhere values (1)")).rejects.toThrow(/terminated/);
  expect(proxy.counts()).toEqual({ ...none, "drop reply": 1, failed: 1 });
});

test("cut at once: the server goes on with what it has", async () => {
  proxy.plan(() => ({ do: "drop reply", cut: "at once" }));
  const holder = await direct.connect();
  await holder.query("begin; lock table written");
  const client = await connected();
  await expect(client.query("insert into written values (1)")).rejects.toThrow(/terminated/);
  // It waits for the lock, and its client is gone.
  await backendsWaiting(1);
  await holder.query("commit");
  holder.release();
  await rowsWritten([1]);
  expect(proxy.counts()).toEqual({ ...none, "drop reply": 1 });
});

test("a delayed request arrives although its client gave up", async () => {
  const gate = Promise.withResolvers<void>();
  proxy.plan(() => ({ do: "delay request", until: gate.promise }));
  const client = await connected({ query_timeout: 100 });
  await expect(client.query("insert into written values (1)")).rejects.toThrow(/timeout/);
  await client.end();
  expect(await written()).toEqual([]);
  gate.resolve();
  await rowsWritten([1]);
  expect(proxy.counts()).toEqual({ ...none, "delay request": 1 });
});

test("a delayed reply is that of a request that was served", async () => {
  const gate = Promise.withResolvers<void>();
  proxy.plan(() => ({ do: "delay reply", until: gate.promise }));
  const client = await connected();
  let answered = false;
  const insert = client.query("insert into written values (1)").then(() => {
    answered = true;
  });
  await rowsWritten([1]);
  expect(answered).toBe(false);
  gate.resolve();
  await insert;
  expect((await client.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
  expect(proxy.counts()).toEqual({ ...none, "delay reply": 1 });
});

test("a swallowed request is never answered, nor is any after it", async () => {
  proxy.plan(() => ({ do: "swallow" }));
  const client = await connected({ query_timeout: 100 });
  await expect(client.query("insert into written values (1)")).rejects.toThrow(/timeout/);
  await expect(client.query("select 1")).rejects.toThrow(/timeout/);
  expect(await written()).toEqual([]);
  expect(proxy.counts()).toEqual({ ...none, swallow: 1 });
});

test("control: with nothing planned, large requests and answers pass as they are", async () => {
  const client = await connected();
  const text = "é".repeat(3_000_000);
  const { rows } = await client.query("select $1::text as text", [text]);
  expect(rows[0].text === text).toBe(true);
  await client.query("insert into written values (1)");
  expect(await written()).toEqual([1]);
  expect(proxy.counts()).toEqual({ ...none, forward: 1 });
});

test("a question for encryption gets the server's answer", async () => {
  const client = new Client({ connectionString: proxy.url, ssl: true });
  await expect(client.connect()).rejects.toThrow("The server does not support SSL connections");
});

test("all connections are cut on request, idle ones too", async () => {
  const client = await connected();
  const ended = new Promise((resolve) => client.once("end", () => resolve("ended")));
  proxy.cut();
  expect(await ended).toBe("ended");
});

async function connected(config?: { query_timeout: number }): Promise<Client> {
  const client = new Client({ connectionString: proxy.url, ...config });
  client.on("error", () => undefined);
  await client.connect();
  return client;
}

async function written(): Promise<number[]> {
  const { rows } = await direct.query("select id from written order by id");
  return rows.map(({ id }) => id);
}

async function rowsWritten(wanted: readonly number[]): Promise<void> {
  while ((await written()).join() !== wanted.join()) await delay(5);
}

async function backendsWaiting(wanted: number): Promise<void> {
  const waiting = "select from pg_stat_activity where wait_event_type = 'Lock'";
  while ((await direct.query(waiting)).rowCount !== wanted) await delay(5);
}
