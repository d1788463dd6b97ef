import { GuardError } from "../core/errors.ts";
import type { StoreTransaction } from "../core/store.ts";
import {
  type Committed,
  type Connections,
  connectionOver,
  type PostgresQueries,
} from "./postgres-client.ts";
import { storeError } from "./postgres-errors.ts";
import { landingOf, landWhole } from "./postgres-land.ts";
import { findOne } from "./postgres-read.ts";

/** Runs work in a transaction of its own. An error of the work comes out as it is. */
export async function inTransaction<T>(
  connections: Connections,
  schema: string,
  work: (tx: StoreTransaction) => Promise<T>,
): Promise<Committed<T>> {
  let failed: { readonly error: unknown } | undefined;
  try {
    return await connections.transaction(async ({ client }) => {
      try {
        return await work(transactionOver(client, schema));
      } catch (error) {
        failed = { error };
        throw error;
      }
    });
  } catch (error) {
    throw failed === undefined ? storeError(error) : failed.error;
  }
}

/** Steps land in a transaction that somebody else began and will end. */
export function transactionOver(client: PostgresQueries, schema: string): StoreTransaction {
  const connection = connectionOver(client);
  return {
    handle: client,
    isSync: false,
    read: (ids) => findOne(connection, schema, ids),
    async commit(steps) {
      // A savepoint: what is refused leaves no trace, and the transaction goes on.
      await connection.query("SAVEPOINT safeagent_steps");
      const landed = await landWhole(connection, schema, steps.map(landingOf)).catch(
        async (error: unknown) => {
          await connection.query("ROLLBACK TO SAVEPOINT safeagent_steps");
          throw error;
        },
      );
      if (!landed) await connection.query("ROLLBACK TO SAVEPOINT safeagent_steps");
      await connection.query("RELEASE SAVEPOINT safeagent_steps");
      return landed;
    },
  };
}

export function queriesOf(handle: unknown): PostgresQueries {
  const isClient =
    typeof handle === "object" &&
    handle !== null &&
    "query" in handle &&
    typeof handle.query === "function";
  // What a pool runs goes to any of its connections: that would be outside of the transaction.
  const isPool = isClient && "totalCount" in handle;
  if (isClient && !isPool) return handle as PostgresQueries;
  throw new GuardError(
    "invalid_request",
    "The transaction must be the client of `pg` that began it.",
    { next: "Give the client that BEGIN was sent with, not the pool." },
  );
}
