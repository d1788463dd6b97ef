import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Pool } from "pg";
import { createGuard, type Store } from "../../src/index.ts";
import { loadSqlite } from "../../src/stores/sqlite-module.ts";
import type { ClerkConfig } from "../../test/guard/programs/clerk.ts";
import { type Address, storeAt } from "../../test/guard/programs/deeds.ts";
import { startServer } from "../../test/postgres/servers/server.ts";
import { type Part, type Played, pause } from "./play.ts";

const program = fileURLToPath(new URL("../../test/guard/programs/clerk.ts", import.meta.url));
const defended = { quick: 6, full: 60, release: 500 } as const;

/** A process is killed while its effects write to the guard's own database: row and receipt must agree. */
export const cutTransactions: readonly Part[] = [
  {
    name: "killed in transactional effects",
    role: "defence",
    unit: "kills",
    runs: defended,
    play: (runs, tick) => onPostgres((ground) => play(ground, runs, tick, "transactional")),
  },
  {
    name: "killed in transactional effects, on SQLite",
    role: "defence",
    unit: "kills",
    runs: defended,
    play: (runs, tick) => onSqlite((ground) => play(ground, runs, tick, "transactional")),
  },
  {
    name: "the effect writes by a connection of its own, killed",
    role: "control",
    unit: "kills",
    runs: { quick: 2, full: 10, release: 50 },
    play: (runs, tick) => onPostgres((ground) => play(ground, runs, tick, "opaque")),
  },
];

/** A database with the guard's cases and a table of deeds. */
interface Ground {
  readonly address: Address;
  readonly store: Store;
  /** How often each deed of a round is there. */
  deeds(round: string): Promise<ReadonlyMap<string, number>>;
}

const atMostTold = 25;

async function play(
  { address, store, deeds }: Ground,
  runs: number,
  tick: () => void,
  effect: ClerkConfig["effect"],
): Promise<Played> {
  const guard = createGuard({ store });
  const disagree: string[] = [];
  const lost: string[] = [];
  let rows = 0;
  let receipts = 0;
  let told = 0;
  for (let kill = 0; kill < runs; kill += 1) {
    const round = `r${kill}-`;
    const ids = Array.from({ length: 400 }, (_, index) => `${round}${index}`);
    const words = await killed({ address, do: "ask", effect, ids }, kill % atMostTold, effect);
    // Each asks for one after the other, in four lanes: none but the first of these can have begun.
    const begun = ids.slice(0, words.length + 12);
    const at = async () => {
      const there = await deeds(round);
      const held = new Set<string>();
      for (const id of begun) if ((await guard.receipt(id)) !== undefined) held.add(id);
      return { there, held };
    };
    const seen = await settledDown(at);
    rows += [...seen.there.values()].reduce((sum, count) => sum + count, 0);
    receipts += seen.held.size;
    told += words.length;
    disagree.push(...disagreements(seen));
    lost.push(...words.filter((id) => !seen.held.has(id)));
    tick();
  }
  const doubts = (await guard.list({ states: ["IN_DOUBT"], limit: 1_000 })).items;
  await guard.close();
  return {
    runs,
    counts: {
      "rows written": rows,
      "cases with a receipt": receipts,
      "acknowledged receipts": told,
      "acknowledged receipts lost": lost.length,
      "rows and receipts that disagree": disagree.length,
      "needless doubts": doubts.length,
    },
    wrong: [
      ...disagree,
      ...lost.map((id) => `an acknowledged receipt is lost, ${id}`),
      ...doubts.map(({ caseId }) => `needless doubt, ${caseId}`),
    ],
  };
}

interface Seen {
  readonly there: ReadonlyMap<string, number>;
  readonly held: ReadonlySet<string>;
}

function disagreements({ there, held }: Seen): string[] {
  return [...new Set([...there.keys(), ...held])]
    .filter((id) => (there.get(id) ?? 0) !== (held.has(id) ? 1 : 0))
    .map((id) => `${there.get(id) ?? 0} rows, ${held.has(id) ? 1 : 0} receipts, ${id}`);
}

/** Two reads are not of one moment: a killed client's last commit may still land between them. */
async function settledDown(look: () => Promise<Seen>): Promise<Seen> {
  for (let tries = 0; ; tries += 1) {
    const seen = await look();
    if (tries >= 20 || disagreements(seen).length === 0) return seen;
    await pause(10);
  }
}

/** Starts a clerk, kills it when it has told of so many deeds, and returns what it told. */
async function killed(
  config: ClerkConfig,
  after: number,
  effect: ClerkConfig["effect"],
): Promise<readonly string[]> {
  // The control dies by itself, where its row is written and its receipt is not.
  const how = effect === "opaque" ? { dieAt: "after the effect, before its receipt" } : {};
  const child = spawn(process.execPath, [program, JSON.stringify({ ...config, ...how })], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let said = "";
  const lines = () => said.split("\n").slice(0, -1);
  child.stdout.on("data", (data) => {
    said += data;
    if (lines().length > after) setTimeout(() => child.kill("SIGKILL"), Math.random() * 3);
  });
  const [code, signal] = await once(child, "close");
  if (signal !== "SIGKILL") throw new Error(`The clerk ended by itself: ${code ?? signal}.`);
  return lines();
}

async function onPostgres<T>(work: (ground: Ground) => Promise<T>): Promise<T> {
  const server = await startServer();
  const pool = new Pool({ connectionString: server.url });
  pool.on("error", () => undefined);
  const address = { kind: "postgres", url: server.url, schema: "cut", table: "deeds" } as const;
  const store = storeAt(address);
  try {
    await pool.query("CREATE TABLE deeds (text text)");
    return await work({
      address,
      store,
      async deeds(round) {
        const sql = "SELECT text FROM deeds WHERE starts_with(text, $1)";
        return counted((await pool.query(sql, [round])).rows.map(({ text }) => String(text)));
      },
    });
  } finally {
    await store.close();
    await pool.end();
    await server.stop();
  }
}

async function onSqlite<T>(work: (ground: Ground) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "safeagent-cut-"));
  const address = { kind: "sqlite", path: join(folder, "cut.db"), table: "deeds" } as const;
  const store = storeAt(address);
  const { DatabaseSync } = loadSqlite();
  try {
    await store.now();
    const db = new DatabaseSync(address.path);
    db.exec("PRAGMA busy_timeout = 10000; CREATE TABLE deeds (text TEXT)");
    try {
      const read = db.prepare("SELECT text FROM deeds WHERE text LIKE ?");
      return await work({
        address,
        store,
        deeds: async (round) => counted(read.all(`${round}%`).map(({ text }) => String(text))),
      });
    } finally {
      db.close();
    }
  } finally {
    await store.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

function counted(texts: readonly string[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1);
  return counts;
}
