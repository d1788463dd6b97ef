import { Client, Pool } from "pg";
import { createGuard } from "../src/index.ts";
import { postgresStore } from "../src/stores/postgres.ts";
import { startServer } from "../test/postgres/servers/server.ts";
import { closedLoop, paceOf } from "./closed-loop.ts";
import { createDatabase, databaseAt } from "./database.ts";
import { action, newKey, payloadOf } from "./keys.ts";
import { type Table, tableText } from "./table.ts";

/**
 * What one execution costs on Postgres: `npx node bench/postgres-cost.ts [executions]`. Counted by the
 * server, but for the round trips, which are counted at the pool. The rates are no measurement.
 */
const executions = Number(process.argv[2] ?? 10_000);
const callerCounts = [1, 16, 256];
const tables = ["cases", "journal", "requests", "unfinished"] as const;

interface Cost {
  readonly callers: number;
  readonly perSecond: number;
  readonly roundTrips: number;
  readonly commits: number;
  readonly walBytes: number;
  readonly walRecords: number;
  readonly rows: readonly number[];
  readonly bytes: readonly number[];
  readonly hotShare: number;
  /** Of all tables, when each case has become a tombstone and what it left is given back. */
  readonly prunedBytes: number;
}

const server = await startServer({ settings: { shared_buffers: "1GB", max_wal_size: "8GB" } });
try {
  const costs: Cost[] = [];
  for (const callers of callerCounts) costs.push(await costOf(callers));
  process.stdout.write(`${tableText(tableOf(costs), "markdown")}\n`);
} finally {
  await server.stop();
}

async function costOf(callers: number): Promise<Cost> {
  const address = databaseAt(server.url, `cost_${callers}`);
  await createDatabase(address);
  const pool = new Pool({ connectionString: address, max: 10 });
  let roundTrips = 0;
  pool.on("connect", (client) => {
    const query = client.query.bind(client) as (...args: unknown[]) => unknown;
    Object.assign(client, {
      query(...args: unknown[]) {
        roundTrips += 1;
        return query(...args);
      },
    });
  });
  const guard = createGuard({ store: postgresStore({ pool }) });
  const count = callers === 1 ? executions / 10 : executions;
  const call = async (key: string): Promise<void> => {
    await guard.execute({
      requestId: key,
      action,
      payload: payloadOf(key),
      run: async () => ({ sent: true }),
    });
  };
  await call(newKey());
  const admin = new Client({ connectionString: address });
  await admin.connect();
  const before = await standing(admin);
  const tripsBefore = roundTrips;
  let left = count;
  const result = await closedLoop({
    callers,
    ms: 600_000,
    next: () => (left-- > 0 ? newKey() : undefined),
    call,
  });
  const trips = roundTrips - tripsBefore;
  // Connections tell what they counted when they end.
  await guard.close();
  await pool.end();
  const after = await standing(admin);
  await admin.query("VACUUM");
  const sizes = await sizesIn(admin);
  const pruning = createGuard({ store: address });
  while ((await pruning.prune({ before: new Date(Date.now() + 60_000) })) > 0);
  await pruning.close();
  await admin.query("VACUUM FULL");
  const pruned = await sizesIn(admin);
  await admin.end();
  const of = (name: string, column: "rows" | "bytes" | "updates" | "hot"): number =>
    sizes.get(name)?.[column] ?? 0;
  return {
    callers,
    perSecond: paceOf([result]).perSecond,
    roundTrips: trips / count,
    commits: (after.commits - before.commits) / count,
    walBytes: (after.walBytes - before.walBytes) / count,
    walRecords: (after.walRecords - before.walRecords) / count,
    rows: tables.map((name) => of(name, "rows") / count),
    bytes: tables.map((name) => of(name, "bytes") / count),
    hotShare: of("cases", "hot") / of("cases", "updates"),
    prunedBytes: tables.reduce((sum, name) => sum + (pruned.get(name)?.bytes ?? 0), 0) / count,
  };
}

interface Size {
  readonly rows: number;
  readonly bytes: number;
  readonly updates: number;
  readonly hot: number;
}

async function sizesIn(admin: Client): Promise<ReadonlyMap<string, Size>> {
  const { rows } = await admin.query(
    `SELECT relname AS name, n_live_tup::float8 AS rows, pg_total_relation_size(relid)::float8 AS bytes,
       n_tup_upd::float8 AS updates, n_tup_hot_upd::float8 AS hot
     FROM pg_stat_user_tables WHERE schemaname = 'safeagent'`,
  );
  return new Map(rows.map((row) => [row.name, row]));
}

interface Standing {
  readonly commits: number;
  readonly walBytes: number;
  readonly walRecords: number;
}

async function standing(admin: Client): Promise<Standing> {
  await new Promise((resolve) => setTimeout(resolve, 1_200));
  const { rows } = await admin.query(
    `SELECT d.xact_commit::float8 AS commits, w.wal_bytes::float8 AS bytes, w.wal_records::float8 AS records
     FROM pg_stat_wal AS w, pg_stat_database AS d WHERE d.datname = current_database()`,
  );
  const [row] = rows;
  return { commits: row.commits, walBytes: row.bytes, walRecords: row.records };
}

function tableOf(costs: readonly Cost[]): Table {
  const figure = (value: number): string => value.toFixed(value < 10 ? 2 : 0);
  const line = (name: string, value: (cost: Cost) => number): string[] => [
    name,
    ...costs.map((cost) => figure(value(cost))),
  ];
  return {
    title: "One execution, by callers",
    heads: ["", ...costs.map(({ callers }) => String(callers))],
    rows: [
      line("executions per second", ({ perSecond }) => perSecond),
      line("round trips", ({ roundTrips }) => roundTrips),
      line("transactions", ({ commits }) => commits),
      line("WAL bytes", ({ walBytes }) => walBytes),
      line("WAL records", ({ walRecords }) => walRecords),
      ...tables.map((name, index) => line(`rows in ${name}`, ({ rows }) => rows[index] ?? 0)),
      ...tables.map((name, index) => line(`bytes in ${name}`, ({ bytes }) => bytes[index] ?? 0)),
      line("share of HOT updates", ({ hotShare }) => hotShare),
      line("bytes when pruned, all tables", ({ prunedBytes }) => prunedBytes),
    ],
    figuresFrom: 1,
  };
}
