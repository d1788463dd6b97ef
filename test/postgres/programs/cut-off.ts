/** A process behind a network that a test cuts: each line it is told is a request, each line it says an answer. */
import { createInterface } from "node:readline";
import { Pool } from "pg";
import { createGuard, isGuardError } from "../../../src/index.ts";
import { postgresStore } from "../../../src/stores/postgres.ts";

const [url = ""] = process.argv.slice(2);
const pool = new Pool({ connectionString: url, connectionTimeoutMillis: 1_000, max: 4 });
pool.on("error", () => undefined);
const store = postgresStore({ pool, timeoutMs: 1_000, busyMs: 1_000 });
const guard = createGuard({ store, leaseMs: 60_000 });
const say = (text: string) => void process.stdout.write(`${text}\n`);

async function ask(requestId: string): Promise<void> {
  const call = { requestId, action: "pay", payload: {} };
  try {
    const run = () => {
      say(`ran ${requestId}`);
      return requestId;
    };
    const outcome = await guard.execute({ ...call, run });
    const isKept = outcome.status === "settled" && outcome.recorded;
    say(`told ${requestId} ${outcome.status} ${isKept ? "kept" : "not kept"}`);
  } catch (error) {
    say(
      `told ${requestId} ${isGuardError(error) ? `${error.code} ${error.effect}` : String(error)}`,
    );
  }
}

createInterface({ input: process.stdin })
  .on("line", (line) => void ask(line))
  .on("close", () => process.exit());
say("ready");
