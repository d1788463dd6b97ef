import { Pool } from "pg";
import { payloadOf } from "./keys.ts";
import type { System } from "./system.ts";

/** What a careful developer writes in an afternoon: a row before the effect, its result after it, each its own commit. */
export async function byHandOnPostgres(address: string): Promise<System> {
  const pool = new Pool({ connectionString: address, max: 10 });
  await pool.query(
    "CREATE TABLE effects (id text PRIMARY KEY, payload text NOT NULL, state text NOT NULL, result text)",
  );
  let effects = 0;

  const claim = async (key: string): Promise<boolean> => {
    const { rowCount } = await pool.query(
      "INSERT INTO effects (id, payload, state) VALUES ($1, $2, 'started') ON CONFLICT DO NOTHING",
      [key, JSON.stringify(payloadOf(key))],
    );
    return rowCount === 1;
  };
  const effect = async (): Promise<{ sent: boolean }> => {
    effects += 1;
    return { sent: true };
  };

  const system: System = {
    async fresh(key) {
      if (!(await claim(key))) throw new Error(`${key} was used before`);
      const result = JSON.stringify(await effect());
      await pool.query("UPDATE effects SET state = 'done', result = $2 WHERE id = $1", [
        key,
        result,
      ]);
    },
    async replay(key) {
      if (await claim(key)) throw new Error(`${key} was not used before`);
      const { rows } = await pool.query("SELECT state, result FROM effects WHERE id = $1", [key]);
      if (rows[0]?.state !== "done") throw new Error(`${key} is not done`);
    },
    // It remembers nothing.
    another: () => ({ ...system, close: async () => {} }),
    effects: () => effects,
    close: () => pool.end(),
  };
  return system;
}
