/** A process that asks for all keys, several callers for each, and tells what it ran and was answered. */
import { createHash } from "node:crypto";
import { Pool } from "pg";
import { createGuard } from "../../../src/index.ts";
import { postgresStore } from "../../../src/stores/postgres.ts";
import type { StormAnswer, StormOrder } from "../storm.ts";

const { url, schema, keys, callers, atOnce, me } = JSON.parse(
  process.argv[2] ?? "{}",
) as StormOrder;
const pool = new Pool({ connectionString: url });
pool.on("error", () => undefined);
const store = postgresStore({ pool, schema });
const guard = createGuard({ store, waitMs: 300_000 });

const ran: number[] = [];
const errors: string[] = [];
const receipts: [number, string][] = [];
const most = { rss: 0 };
const watch = setInterval(() => {
  most.rss = Math.max(most.rss, process.memoryUsage.rss());
}, 100);

async function ask(key: number, caller: number): Promise<void> {
  const caseId = `key ${key}`;
  const run = async () => {
    ran.push(key);
    return { by: me };
  };
  // Every third case is asked for under a name of each caller's own.
  const requestId = key % 3 === 0 && callers <= 3 ? `${caseId} ${me} ${caller}` : caseId;
  try {
    const outcome = await guard.execute({
      caseId,
      requestId,
      action: "pay",
      payload: { key },
      run,
    });
    if (outcome.status !== "settled") throw new Error(outcome.status);
    const text = JSON.stringify(outcome.receipt);
    receipts.push([key, createHash("sha256").update(text).digest("hex").slice(0, 16)]);
  } catch (error) {
    errors.push(`${caseId}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

// All processes begin together: each as soon as it is told that all are there.
await store.list({ namespace: "default" });
process.send?.("ready");
await new Promise((resolve) => process.once("message", resolve));
let next = 0;
const lane = async (): Promise<void> => {
  while (next < keys) {
    const key = (next + me * Math.floor(keys / 8)) % keys;
    next += 1;
    await Promise.all(Array.from({ length: callers }, (_, caller) => ask(key, caller)));
  }
};
await Promise.all(Array.from({ length: atOnce }, lane));
await guard.close();
await store.close();
await pool.end();
clearInterval(watch);
const answer: StormAnswer = { ran, errors, receipts, mostBytes: most.rss };
process.send?.(answer, () => process.disconnect());
