import { setTimeout as delay } from "node:timers/promises";
import { Client } from "pg";
import { expect, onTestFinished, test } from "vitest";
import { startPooler } from "../postgres/servers/pooler.ts";
import { startServer } from "../postgres/servers/server.ts";
import { type Pair, startPair } from "../postgres/servers/standby.ts";

const writers = 4;

test("a synchronous standby has every acknowledged row after a failover", async () => {
  const { pair, acknowledged, ends } = await pairUnderLoad(true);
  await pair.holdReplication();
  await writersWait(pair);
  const before = [...acknowledged];
  const url = await pair.failover();
  await ends;
  expect(acknowledged).toEqual(before);
  expect(await lost(url, acknowledged)).toEqual([]);
});

test("control: an asynchronous standby lacks acknowledged rows after a failover", async () => {
  const { pair, acknowledged, ends } = await pairUnderLoad(false);
  await pair.holdReplication();
  const behind = acknowledged.length + 100;
  while (acknowledged.length < behind) await delay(5);
  const url = await pair.failover();
  await ends;
  expect((await lost(url, acknowledged)).length).toBeGreaterThanOrEqual(100 - writers);
});

test("the promoted standby takes writes", async () => {
  const pair = await ownPair(true);
  const client = await connected(await pair.failover());
  await client.query("create table kept (id int)");
  await client.query("insert into kept values (1)");
  expect(pair.primary.pid()).toBe(0);
});

test("behind PgBouncer two clients take turns on one connection", async () => {
  const server = await startServer();
  onTestFinished(() => server.stop());
  const pooler = await startPooler({ to: server, size: 1 });
  onTestFinished(() => pooler.stop());
  const clients = [await connected(pooler.url), await connected(pooler.url)];
  const backends = new Set<number>();
  for (const client of [...clients, ...clients]) {
    const { rows } = await client.query("select pg_backend_pid() as pid");
    backends.add(rows[0].pid);
  }
  expect(backends.size).toBe(1);
});

async function ownPair(synchronous: boolean): Promise<Pair> {
  const pair = await startPair({ synchronous });
  onTestFinished(() => pair.stop());
  return pair;
}

async function pairUnderLoad(synchronous: boolean) {
  const pair = await ownPair(synchronous);
  const client = await connected(pair.primary.url);
  await client.query("create table kept (id int)");
  const acknowledged: number[] = [];
  let last = 0;
  const write = async (): Promise<void> => {
    const writer = await connected(pair.primary.url);
    try {
      for (;;) {
        last += 1;
        const id = last;
        await writer.query("insert into kept values ($1)", [id]);
        acknowledged.push(id);
      }
    } catch {
      // The primary is gone.
    }
  };
  const ends = Promise.all(Array.from({ length: writers }, write));
  while (acknowledged.length < 100) await delay(5);
  return { pair, acknowledged, ends };
}

/** Until all of them wait for the standby. */
async function writersWait({ primary }: Pair): Promise<void> {
  const client = await connected(primary.url);
  const waiting = "select from pg_stat_activity where wait_event = 'SyncRep'";
  while ((await client.query(waiting)).rowCount !== writers) await delay(5);
}

async function lost(url: string, acknowledged: readonly number[]): Promise<number[]> {
  const { rows } = await (await connected(url)).query("select id from kept");
  const kept = new Set(rows.map(({ id }) => id));
  return acknowledged.filter((id) => !kept.has(id));
}

async function connected(url: string): Promise<Client> {
  const client = new Client(url);
  client.on("error", () => undefined);
  await client.connect();
  onTestFinished(() => client.end().catch(() => undefined));
  return client;
}
