import { setTimeout as sleep } from "node:timers/promises";
import type { Store, StoreTransaction } from "../core/store.ts";
import { connectionsOf } from "./postgres-client.ts";
import { serverClock } from "./postgres-clock.ts";
import { closedError, isContended, isPassing, storeError } from "./postgres-errors.ts";
import { checkedOptions, type PostgresStoreOptions } from "./postgres-options.ts";
import { commitQueue } from "./postgres-queue.ts";
import { createReader } from "./postgres-read.ts";
import { createReplication } from "./postgres-replication.ts";
import { inspect, migrate } from "./postgres-schema.ts";
import { inTransaction, queriesOf, type Shared, transactionOver } from "./postgres-transaction.ts";
import { watchChanges } from "./postgres-watch.ts";
import { pruner } from "./prune.ts";
import { createTurns, ensureWanted } from "./turns.ts";

export type { Pglite, PostgresClient, PostgresPool, PostgresQueries } from "./postgres-client.ts";
export type { PostgresStoreOptions } from "./postgres-options.ts";

/** Those that transactions leave alone: one to listen on, and two for renewals, reads and commits. */
const connectionsForTheRest = 3;

/**
 * A store in PostgreSQL (13 or newer), for many machines. What it acknowledges survives kill -9, an OS
 * crash and power loss, and a failover where the standby is a synchronous one. Time is the server's.
 *
 * @throws GuardError `store_…` from its first use, where the server can't be used
 * @example createGuard({ store: postgresStore({ pool: new Pool({ connectionString }) }) })
 */
export function postgresStore(options: PostgresStoreOptions): Store {
  const { pool, schema, channel, timeoutMs, busyMs } = checkedOptions(options);
  const connections = connectionsOf({
    pool,
    timeoutMs,
    storeId: () => storeId,
    async inspect(connection) {
      replication.warned();
      if (storeId !== undefined) await inspect(connection, schema, storeId);
    },
  });
  const clock = serverClock();
  const replication = createReplication(connections);
  const watch = watchChanges({ connections, channel });
  let prepared: Promise<string> | undefined;
  /** Names what this store has worked with: it never goes on with another one. */
  let storeId: string | undefined;
  let closing: Promise<void> | undefined;
  const underWay = new Set<Promise<unknown>>();

  function open(): void {
    if (closing !== undefined) throw closedError();
  }

  /** The schema is looked at, and made, by the first call that reaches the server. */
  async function ready(): Promise<void> {
    prepared ??= migrate(connections, schema);
    try {
      storeId = await prepared;
    } catch (error) {
      prepared = undefined;
      throw error;
    }
  }

  async function again<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const deadline = performance.now() + busyMs;
    for (let tries = 0; ; tries += 1) {
      try {
        ensureWanted(signal);
        return await work();
      } catch (error) {
        const isWorthIt = isPassing(error) || isContended(error);
        if (!isWorthIt || performance.now() > deadline) throw storeError(error);
      }
      await sleep(Math.random() * Math.min(500, 10 * 2 ** tries));
    }
  }

  const reader = createReader({
    connections,
    schema,
    timed: clock.heard,
    reading: (work) =>
      again(async () => {
        const found = await work();
        await replication.assure();
        return found;
      }),
  });
  const queue = commitQueue({
    connections,
    schema,
    busyMs,
    replication,
    timed: clock.heard,
    onLanded: watch.landed,
    async look({ next: { namespace, caseId }, entry }) {
      const { stored } = await reader.read({ namespace, caseId, requestId: null });
      const holds = async () => {
        const entries = await reader.history(namespace, caseId);
        return entries.some(({ text }) => text === entry);
      };
      return { stored, holds };
    },
  });

  /** Every call but the closing: refused once that has begun, and only made where the schema is ours. */
  function using<T>(work: () => Promise<T>): Promise<T> {
    if (closing !== undefined) return Promise.reject(closedError());
    const done = whenReady(work);
    underWay.add(done);
    const over = () => underWay.delete(done);
    done.then(over, over);
    return done;
  }

  async function whenReady<T>(work: () => Promise<T>): Promise<T> {
    if (storeId === undefined) await again(ready);
    return await work();
  }

  const turns = createTurns(Math.max(1, connections.size - connectionsForTheRest));
  const shared: Shared = {
    connections,
    schema,
    clock,
    busyMs,
    // The first call makes the tables, which can't be done in the caller's transaction.
    storeId: () =>
      storeId === undefined ? using(async () => storeId as string) : Promise.resolve(storeId),
  };

  /** Begun again where that failed: nothing of the work was called then. */
  async function transaction<T>(
    work: (tx: StoreTransaction) => Promise<T>,
    signal: AbortSignal | undefined,
  ): Promise<T> {
    const begin = () =>
      inTransaction(shared, (tx) => {
        ensureWanted(signal);
        return work(tx);
      });
    const done = await turns.take(() => again(begin, signal), signal);
    if ("error" in done) throw done.error;
    if (done.warned) replication.warned();
    await replication.assure();
    watch.landed();
    return done.result;
  }

  const prune = pruner({
    finished: reader.finished,
    commit: queue.commit,
  });

  return {
    now() {
      open();
      const now = clock.now();
      if (now !== undefined) return now;
      return using(async () => {
        const at = await reader.time();
        clock.heard(at);
        return at;
      });
    },
    read: (ids) => using(() => reader.read(ids)),
    commit: (steps) => using(() => queue.commit(steps)),
    list: (query) => using(() => reader.list(query)),
    history: (namespace, caseId) => using(() => reader.history(namespace, caseId)),
    journal: (query) => using(() => reader.journal(query)),
    end: (namespace) => using(() => reader.end(namespace)),
    transaction: (work, { signal } = {}) => using(() => transaction(work, signal)),
    within(handle) {
      open();
      return transactionOver(queriesOf(handle), shared);
    },
    subscribe(listener) {
      open();
      return watch.subscribe(listener);
    },
    prune: (query) => using(() => prune(query)),
    close() {
      closing ??= (async () => {
        await Promise.allSettled(underWay);
        watch.close();
      })();
      return closing;
    },
  };
}
