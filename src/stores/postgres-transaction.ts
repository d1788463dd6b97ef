import { setTimeout as sleep } from "node:timers/promises";
import { GuardError } from "../core/errors.ts";
import type { StoreTransaction } from "../core/store.ts";
import {
  type Begun,
  type Committed,
  type Connection,
  type Connections,
  connectionOver,
  numberIn,
  type PostgresQueries,
} from "./postgres-client.ts";
import type { ServerClock } from "./postgres-clock.ts";
import { isAmbiguous, stateOf, storeError } from "./postgres-errors.ts";
import { serverTime } from "./postgres-functions.ts";
import { landingOf, landWhole } from "./postgres-land.ts";
import { wordsInTransaction } from "./postgres-raised.ts";
import { findOne } from "./postgres-read.ts";

/** The store that transactions are shared of. */
export interface Shared {
  readonly connections: Connections;
  readonly schema: string;
  readonly clock: ServerClock;
  /** How long to look for what became of a transaction. */
  readonly busyMs: number;
  /** The store's id, once its tables are known to be there. */
  readonly storeId: () => Promise<string>;
}

/** What came of it: an error of the work, as it is, or of the transaction's end. */
export type Done<T> = Committed<T> | { readonly error: unknown };

/** Runs work in a transaction of its own. Throws where none could be begun: that may be tried again. */
export async function inTransaction<T>(
  shared: Shared,
  work: (tx: StoreTransaction) => Promise<T>,
): Promise<Done<T>> {
  let hasBegun = false;
  let failed: { readonly error: unknown } | undefined;
  try {
    return await shared.connections.transaction(async (connection, begun) => {
      hasBegun = true;
      try {
        return await work(ownTransaction(connection, begun, shared));
      } catch (error) {
        failed = { error };
        throw error;
      }
    });
  } catch (error) {
    if (!hasBegun) throw error;
    return failed ?? { error: isOfTheWork(error) ? error : storeError(error) };
  }
}

/** A constraint that was deferred to the end refuses what the work has written: the store is well. */
function isOfTheWork(error: unknown): boolean {
  return /^(23|P0)/.test(stateOf(error) ?? "");
}

function ownTransaction(connection: Connection, begun: Begun, shared: Shared): StoreTransaction {
  shared.clock.heard(begun.at);
  const seat = { connection: () => connection, number: begun.number, isCallers: false };
  return {
    ...transactionIn(connection.client, seat, shared),
    ended: () => endOf(connection, begun, shared).catch(() => undefined),
  };
}

/** Steps land in a transaction that somebody else began and will end. */
export function transactionOver(client: PostgresQueries, shared: Shared): StoreTransaction {
  const connection = async () => connectionOver(client, await shared.storeId());
  return transactionIn(client, { connection, number: undefined, isCallers: true }, shared);
}

interface Seat {
  readonly connection: () => Connection | Promise<Connection>;
  /** What the server calls the transaction; undefined: it has to be asked. */
  readonly number: string | undefined;
  readonly isCallers: boolean;
}

const nobody = { namespace: "", caseId: null, requestId: null };

function transactionIn(
  client: PostgresQueries,
  seat: Seat,
  { schema, clock }: Shared,
): StoreTransaction {
  let { number } = seat;

  const find: StoreTransaction["read"] = async (ids) => {
    const { reading, transaction, at } = await findOne(await seat.connection(), schema, ids);
    clock.heard(at);
    number ??= transaction;
    return reading;
  };

  const asked = <T>(work: () => Promise<T>): Promise<T> =>
    inLine(client, work).catch((error: unknown) => {
      throw wordsInTransaction(error, seat.isCallers);
    });

  return {
    handle: client,
    isSync: false,
    now: () =>
      clock.now() ??
      asked(async () => {
        const { query } = await seat.connection();
        const [row] = await query(`SELECT ${serverTime} AS at`);
        const at = numberIn(row, "at");
        clock.heard(at);
        return at;
      }),
    read: (ids) => asked(() => find(ids)),
    commit: (steps) => {
      const landings = steps.map(landingOf);
      return asked(async () => {
        if (landings.length === 0) return true;
        // A transaction that was never begun is told by this: each statement is another one then.
        if (number === undefined) await find(nobody);
        const { landed, at } = await landWhole(await seat.connection(), schema, landings, number);
        if (at !== undefined) clock.heard(at);
        return landed;
      });
    },
  };
}

const lines = new WeakMap<object, Promise<unknown>>();

/** One after the other: a later `pg` takes no statement while another one is under way. */
function inLine<T>(client: object, work: () => Promise<T>): Promise<T> {
  const done = (lines.get(client) ?? Promise.resolve()).then(work);
  lines.set(
    client,
    done.catch(() => undefined),
  );
  return done;
}

type End = Awaited<ReturnType<NonNullable<StoreTransaction["ended"]>>>;

/** What became of a transaction: on its own connection, or on another where that one has failed. */
async function endOf(connection: Connection, begun: Begun, shared: Shared): Promise<End> {
  const { connections, schema, busyMs } = shared;
  try {
    const found = await statusOf(connection, begun, schema).catch(async (error: unknown) => {
      if (stateOf(error) !== "25P02") throw error;
      // A statement has failed in it, or in one after it: nothing is lost, and then it can be asked.
      await connection.query("ROLLBACK");
      return statusOf(connection, begun, schema);
    });
    // One that is prepared is in progress, too, but not here.
    if (found.status === "in progress") return found.isHere ? "open" : undefined;
    if (found.status === "aborted") return "rolled_back";
    return found.status === "committed" ? "committed" : undefined;
  } catch (error) {
    if (!isAmbiguous(error) || connections.isEmbedded) return undefined;
  }
  connection.discard();
  const deadline = performance.now() + busyMs;
  for (let tries = 0; performance.now() < deadline; tries += 1) {
    const status = await connections.use((other) => statusAfter(other, begun, schema));
    if (status === "aborted") return "rolled_back";
    // A server that crashed may have given the number anew: what it says of a commit is no proof.
    if (status !== "in progress") return undefined;
    await connections.use((other) => abandon(other, begun));
    await sleep(Math.random() * Math.min(500, 10 * 2 ** tries));
  }
  return undefined;
}

/** Its server process may still be at a statement, and would not see until its end that nobody waits. */
async function abandon({ query }: Connection, { number }: Begun): Promise<void> {
  await query(
    `SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity
     WHERE backend_xid = $1::text::xid8::xid AND usename = current_user AND pid <> pg_backend_pid()`,
    [number],
  );
}

async function statusAfter(connection: Connection, begun: Begun, schema: string): Promise<unknown> {
  try {
    return (await statusOf(connection, begun, schema)).status;
  } catch (error) {
    // invalid_parameter_value: a number that this server has not given yet. What had it is lost.
    if (stateOf(error) === "22023") return "aborted";
    throw error;
  }
}

async function statusOf({ query, storeId }: Connection, { number }: Begun, schema: string) {
  const [row] = await query(
    `SELECT pg_xact_status($1::text::xid8) AS status,
       (pg_current_xact_id_if_assigned()::text = $1::text)::text AS here
     FROM ${schema}.store WHERE id = $2`,
    [number, storeId],
  );
  return { status: row?.status, isHere: row?.here === "true" };
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
