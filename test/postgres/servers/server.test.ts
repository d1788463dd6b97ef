import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, cpSync, existsSync, lstatSync } from "node:fs";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { Client } from "pg";
import { expect, onTestFinished, test } from "vitest";
import { testFolder } from "../../crash/folder.ts";
import { embedded } from "./binaries.ts";
import { type Server, type ServerOptions, startServer } from "./server.ts";
import { withServer } from "./with-server.ts";

const file = withServer();

test("a server is as durable as PostgreSQL is shipped", async () => {
  const pool = file.pool();
  const names = ["fsync", "full_page_writes", "synchronous_commit", "max_connections"];
  const { rows } = await pool.query("select setting from pg_settings where name = any ($1)", [
    names,
  ]);
  expect(rows.map(({ setting }) => setting).sort()).toEqual(["200", "on", "on", "on"]);
});

test("it answers on a socket in its folder, too", async () => {
  const { folder, port } = file.server;
  const client = new Client({ host: folder, port, user: "postgres", database: "postgres" });
  await client.connect();
  const { rows } = await client.query("select inet_server_addr() as address");
  await client.end();
  expect(rows).toEqual([{ address: null }]);
});

test("text sorts as in a natural language, not by its bytes", async () => {
  const { rows } = await file.pool().query("select 'a' < 'B' as natural");
  expect(rows).toEqual([{ natural: true }]);
});

test("each test gets a schema name of its own", () => {
  expect(file.freshSchema()).not.toBe(file.freshSchema());
});

test("what was acknowledged is there after a crash and after a kill", async () => {
  const server = await ownServer();
  const acknowledged: number[] = [];
  await create(server);
  for (const crash of [() => server.restart("immediate"), () => killed(server)]) {
    const writers = Array.from({ length: 8 }, () => writeUntilLost(server, acknowledged));
    const enough = acknowledged.length + 100;
    while (acknowledged.length < enough) await delay(5);
    await crash();
    await Promise.all(writers);
  }
  expect(await lost(server, acknowledged)).toEqual([]);
});

test.each([
  ["restart", (server: Server) => server.restart("immediate")],
  ["kill", killed],
] as const)("control: a commit that waits for no disk is lost in a %s", async (_, crash) => {
  // Nobody else writes the log meanwhile.
  const settings = { synchronous_commit: "off", wal_writer_delay: "10s" };
  const server = await ownServer({ settings });
  await create(server);
  await checkpoint(server);
  const client = await connected(server);
  await client.query("insert into kept values (1)");
  await crash(server);
  expect(await lost(server, [1])).toEqual([1]);
});

test("an orderly restart loses nothing and keeps the port", async () => {
  const settings = { synchronous_commit: "off", wal_writer_delay: "10s" };
  const server = await ownServer({ settings });
  await create(server);
  const client = await connected(server);
  await client.query("insert into kept values (1)");
  const before = server.pid();
  await server.restart("fast");
  expect(server.pid()).not.toBe(before);
  expect(await lost(server, [1])).toEqual([]);
});

test("a stopped server leaves no process and no folder", async () => {
  const server = await startServer();
  const pid = server.pid();
  await server.stop();
  expect([isRunning(pid), server.pid()]).toEqual([false, 0]);
  while (existsSync(server.folder)) await delay(20);
});

test("nothing outlives a test process that is killed", async () => {
  const program = `
    import { startServer } from ${JSON.stringify(new URL("./server.ts", import.meta.url).href)};
    const { folder, pid } = await startServer();
    console.log(JSON.stringify({ folder, pid: pid() }));
    setInterval(() => undefined, 1000);
  `;
  const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const { folder, pid } = JSON.parse(await firstLine(child));
  expect([isRunning(pid), existsSync(folder)]).toEqual([true, true]);
  child.kill("SIGKILL");
  while (isRunning(pid) || existsSync(folder)) await delay(20);
});

test("the programs run from a closed folder and without their links", async () => {
  const native = dirname(embedded().folder);
  const closed = join(testFolder(), "native");
  cpSync(native, closed, { recursive: true, filter: (path) => !lstatSync(path).isSymbolicLink() });
  chmodSync(dirname(closed), 0o700);
  const binaries = embedded(closed);
  expect(binaries.folder.startsWith(closed)).toBe(false);
  const server = await ownServer({ binaries });
  expect(await (await connected(server)).query("select 1 as one")).toMatchObject({
    rows: [{ one: 1 }],
  });
});

async function ownServer(options?: ServerOptions): Promise<Server> {
  const server = await startServer(options);
  onTestFinished(() => server.stop());
  return server;
}

async function killed(server: Server): Promise<void> {
  await server.kill();
  await server.start();
}

/** A client that takes its connection's end as it comes. */
async function connected({ url }: Server): Promise<Client> {
  const client = new Client(url);
  client.on("error", () => undefined);
  await client.connect();
  onTestFinished(() => client.end().catch(() => undefined));
  return client;
}

async function create(server: Server): Promise<void> {
  await (await connected(server)).query("create table kept (id int)");
}

async function checkpoint(server: Server): Promise<void> {
  await (await connected(server)).query("checkpoint");
}

async function writeUntilLost(server: Server, acknowledged: number[]): Promise<void> {
  const client = await connected(server);
  try {
    for (;;) {
      const id = nextId();
      await client.query("insert into kept values ($1)", [id]);
      acknowledged.push(id);
    }
  } catch {
    // The server is gone.
  }
}

async function lost(server: Server, acknowledged: readonly number[]): Promise<number[]> {
  const { rows } = await (await connected(server)).query("select id from kept");
  const kept = new Set(rows.map(({ id }) => id));
  return acknowledged.filter((id) => !kept.has(id));
}

let ids = 0;
const nextId = (): number => {
  ids += 1;
  return ids;
};

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

async function firstLine({ stdout }: ChildProcess): Promise<string> {
  const [line] = await once(createInterface(stdout!), "line");
  return line;
}
