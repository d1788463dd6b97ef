// A process of its own for the tests of the Postgres store: it can be killed. Commits without end, and
// writes down what was acknowledged: at once, so that a kill loses none of it.
import { openSync, writeSync } from "node:fs";
import { Pool } from "pg";
import { postgresStore } from "../../src/stores/postgres.ts";
import { claim, settle, story } from "../../src/testing/store-cases.ts";

const [url = "", schema = "", acks = "", chains = "1"] = process.argv.slice(2);
const store = postgresStore({ pool: new Pool({ connectionString: url }), schema });
const file = openSync(acks, "a");

async function load(chain: number): Promise<void> {
  for (let count = 0; ; count += 1) {
    const { caseId, steps } = story(`k-${chain}-${count}`, [claim(), settle(count)]);
    for (const step of steps) {
      if (await store.commit([step])) writeSync(file, `${caseId} ${step.next.version}\n`);
    }
    if (chain + count === 0) writeSync(1, "loaded\n");
  }
}

await Promise.all(Array.from({ length: Number(chains) }, (_, chain) => load(chain)));
