import { DatabaseSync } from "node:sqlite";
import { payloadOf } from "./keys.ts";
import type { System } from "./system.ts";

/**
 * What a careful developer writes in an afternoon: a row before the effect, its result after it, each
 * its own commit. `node:sqlite` as it opens: a rollback journal and synchronous FULL.
 */
export function byHand(path: string, journalMode: "delete" | "wal"): System {
  const db = new DatabaseSync(path);
  if (journalMode === "wal") db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
  db.exec(
    "CREATE TABLE effects (id TEXT PRIMARY KEY, payload TEXT NOT NULL, state TEXT NOT NULL, result TEXT)",
  );
  const claim = db.prepare(
    "INSERT INTO effects (id, payload, state) VALUES (?, ?, 'started') ON CONFLICT DO NOTHING",
  );
  const settle = db.prepare("UPDATE effects SET state = 'done', result = ? WHERE id = ?");
  let effects = 0;

  const effect = async (): Promise<{ sent: boolean }> => {
    effects += 1;
    return { sent: true };
  };

  return {
    async fresh(key) {
      const { changes } = claim.run(key, JSON.stringify(payloadOf(key)));
      if (changes === 0) throw new Error(`${key} was used before`);
      settle.run(JSON.stringify(await effect()), key);
    },
    effects: () => effects,
    async close() {
      db.close();
    },
  };
}
