/** A process with a guard of its own: it asks for deeds or works through the queue, and may be killed. */
import { writeSync } from "node:fs";
import { Pool } from "pg";
import { createGuard, type EffectContext, type Step, type Store } from "../../../src/index.ts";
import { loadSqlite } from "../../../src/stores/sqlite-module.ts";
import { type Address, insert, storeAt } from "./deeds.ts";

export interface ClerkConfig {
  readonly address: Address;
  readonly do: "ask" | "work";
  /** What the effect is; one that is not transactional writes by a connection of its own. */
  readonly effect: "transactional" | "opaque";
  /** The cases to ask for. */
  readonly ids?: readonly string[];
  readonly leaseMs?: number;
  readonly dieAt?: "before the effect" | "in the effect" | "after the effect, before its receipt";
}

const config = JSON.parse(process.argv[2] ?? "{}") as ClerkConfig;
const { address, effect, dieAt } = config;
const { DatabaseSync } = loadSqlite();

function die(): never {
  process.kill(process.pid, "SIGKILL");
  // The signal comes at the end of this very turn.
  for (;;);
}

const isReceipt = (steps: readonly Step[]) => steps.some(({ next }) => next.state === "SETTLED");

function deadly(store: Store): Store {
  if (dieAt !== "after the effect, before its receipt") return store;
  return {
    ...store,
    commit: (steps) => (isReceipt(steps) ? die() : store.commit(steps)),
    transaction: async (work) =>
      store.transaction?.((tx) =>
        work({ ...tx, commit: (steps) => (isReceipt(steps) ? die() : tx.commit(steps)) }),
      ) as never,
  };
}

/** A connection of the effect's own. */
function connection(): object {
  if (address.kind === "postgres") return new Pool({ connectionString: address.url });
  const db = new DatabaseSync(address.path);
  db.exec("PRAGMA busy_timeout = 10000");
  return db;
}

const own = effect === "opaque" ? connection() : undefined;

function run(text: string, ctx: EffectContext & { readonly tx?: unknown }): unknown {
  if (dieAt === "before the effect") die();
  const written = insert(own ?? ctx.tx, address.table, text);
  const after = () => {
    if (dieAt === "in the effect") die();
    return process.pid;
  };
  return written instanceof Promise ? written.then(after) : after();
}

const guard = createGuard({
  store: deadly(storeAt(address)),
  leaseMs: config.leaseMs ?? 30_000,
  waitMs: 60_000,
});
const key = (id: string) => id;
const rules = effect === "transactional" ? { effect, key, run } : { key, run };
const deed = guard.wrap("deed", rules as { key: typeof key; run: (id: string) => unknown });

switch (config.do) {
  case "ask": {
    const ids = [...(config.ids ?? [])];
    const lane = async () => {
      for (let id = ids.shift(); id !== undefined; id = ids.shift()) {
        // On a machine under load a claim can take longer than its lease: then it is asked again.
        while ((await deed.outcome(id)).status !== "settled");
        writeSync(1, `${id}\n`);
      }
    };
    await Promise.all(Array.from({ length: 4 }, lane));
    break;
  }
  case "work": {
    const end = new AbortController();
    process.once("SIGTERM", () => end.abort());
    writeSync(1, "works\n");
    await guard.work({ signal: end.signal, everyMs: 50 });
    break;
  }
}
await guard.close();
process.exit(0);
