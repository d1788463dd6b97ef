import type { Pool, PoolClient } from "pg";
import type { PostgresPool } from "../../src/stores/postgres.ts";
import { separator } from "../../src/stores/postgres-functions.ts";

/** A pool that answers for the server what became of a commit, where the server's answer was lost. */
export function guessing(pool: Pool, guess: "landed" | "not landed"): PostgresPool {
  const letter = guess === "landed" ? "t" : "f";
  const query = async (client: PoolClient, text: string, values: unknown[] = []) => {
    try {
      return await client.query(text, values);
    } catch (error) {
      if (!text.includes("land_1")) throw error;
      // The first column of the batch: a namespace for each step.
      const steps = String(values[0]).split(separator).length;
      return { rows: [{ landed: letter.repeat(steps), at: String(Date.now()) }] };
    }
  };
  return {
    async connect() {
      const client = await pool.connect();
      return {
        query: (text, values) => query(client, text, values),
        release: (destroy) => client.release(destroy),
        on: (event, listener) => client.on(event as "notice", listener as never),
        removeListener: (event, listener) => client.removeListener(event, listener),
      };
    },
  };
}
