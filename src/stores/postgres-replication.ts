import type { Connections } from "./postgres-client.ts";
import { unavailable } from "./postgres-errors.ts";

/**
 * Where a commit waits for a standby, the wait can be cancelled: the server then answers with success
 * and a warning, and a failover takes the commit away. Nothing that was written before is told until
 * a later commit has been replicated: the log is replicated in order.
 */
export interface Replication {
  /** From here on nothing counts, until it is assured. */
  warned(): void;
  /** Resolves when all that was committed so far counts. Throws where nobody knows. */
  assure(): Promise<void>;
}

export function createReplication(connections: Connections): Replication {
  // Nobody knows what was warned of before.
  let warnings = 1;
  let assured = 0;
  return {
    warned() {
      warnings += 1;
    },
    async assure() {
      if (assured === warnings) return;
      const before = warnings;
      await connections.use(async (connection) => {
        // A transaction that writes nothing but this: its commit waits like any other.
        await connection.query(
          `SELECT CASE WHEN current_setting('synchronous_commit') = 'off'
             THEN set_config('synchronous_commit', 'on', true) END,
             pg_logical_emit_message(true, 'safeagent', '')::text`,
        );
        if (connection.warned()) {
          throw unavailable("The server did not wait for its standby: it may not have the commit.");
        }
      });
      assured = Math.max(assured, before);
    },
  };
}
