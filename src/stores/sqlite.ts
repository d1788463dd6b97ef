import { GuardError } from "../core/errors.ts";
import type { Store } from "../core/store.ts";
import { pruner } from "./prune.ts";
import { checkInThread, isLargeFile } from "./sqlite-check-thread.ts";
import { closedError, isBusy, storeError } from "./sqlite-errors.ts";
import { plainPath } from "./sqlite-file.ts";
import { openSession } from "./sqlite-open.ts";
import { commitQueue, type Inline } from "./sqlite-queue.ts";
import { prepareReader, type Reader } from "./sqlite-read.ts";
import { writerThread } from "./sqlite-thread.ts";
import { createTransactions } from "./sqlite-transaction.ts";
import { checkpoint, extendWal, writeBackLeftovers } from "./sqlite-wal.ts";
import { watchChanges } from "./sqlite-watch.ts";
import { prepareWriter } from "./sqlite-write.ts";

export interface SqliteStoreOptions {
  /** A plain file on a local disk; made where there is none, readable to its owner alone. */
  readonly path: string;
  /** Milliseconds since 1970. All processes that share the file must agree on it; default `Date.now`. */
  readonly clock?: () => number;
  /** How long a call waits, in all, for other processes that use the file; default 30 seconds. */
  readonly busyMs?: number;
}

/**
 * A store in one file, for one machine and any number of processes. What it acknowledges survives
 * kill -9, an OS crash and power loss.
 *
 * @example createGuard({ store: sqliteStore({ path: "safeagent.db" }) })
 */
export function sqliteStore(options: SqliteStoreOptions): Store {
  const { clock = Date.now, busyMs = 30_000 } = options;
  const path = plainPath(options.path);
  const session = openSession({ path, busyMs }, (connection): Inline & { reader: Reader } => {
    writeBackLeftovers(connection);
    return {
      reader: prepareReader(connection),
      writer: prepareWriter(connection),
      checkpoint: () => checkpoint(connection),
      extendWal: () => extendWal(connection),
    };
  });
  const watch = watchChanges(() => session.use(({ reader }) => reader.dataVersion()));
  const queue = commitQueue({
    session,
    busyMs,
    makeThread: (listener) => writerThread({ path, busyMs, file: session.file }, listener),
    onLanded: watch.landed,
  });
  const transactions = createTransactions({
    path,
    busyMs,
    file: session.file,
    now,
    onLanded: watch.landed,
  });
  let closing: Promise<void> | undefined;

  function open(): void {
    if (closing !== undefined) throw closedError();
  }

  function now(): number {
    const at = clock();
    if (Number.isFinite(at)) return at;
    throw new GuardError("store_unavailable", "The store's clock gives no time.");
  }

  /** Readers wait for nobody in WAL mode, except while another process recovers the file or leaves it last. */
  async function reading<T>(work: (reader: Reader) => T): Promise<T> {
    open();
    const deadline = performance.now() + busyMs;
    for (;;) {
      try {
        return session.use(({ reader }) => work(reader));
      } catch (error) {
        if (!isBusy(error) || performance.now() > deadline) throw storeError(error);
      }
      await new Promise((resolve) => setTimeout(resolve, 1 + Math.random() * 20));
      open();
    }
  }

  const prune = pruner({
    finished: (query) => reading((reader) => reader.finished(query)),
    commit: async (steps) => {
      open();
      return queue.commit(steps);
    },
  });

  async function shutDown(): Promise<void> {
    watch.close();
    await transactions.close();
    await queue.drained();
    await queue.close();
    session.close();
  }

  return {
    now() {
      open();
      return now();
    },
    read: (ids) => reading((reader) => reader.read(ids)),
    commit(steps) {
      return closing === undefined ? queue.commit(steps) : Promise.reject(closedError());
    },
    list: (query) => reading((reader) => reader.list(query)),
    history: (namespace, caseId) => reading((reader) => reader.history(namespace, caseId)),
    journal: (query) => reading((reader) => reader.journal(query)),
    end: (namespace) => reading((reader) => reader.end(namespace)),
    async transaction(work, { signal } = {}) {
      open();
      return transactions.run(work, signal);
    },
    within(handle) {
      open();
      return transactions.within(handle);
    },
    subscribe(listener) {
      open();
      return watch.subscribe(listener);
    },
    async prune(query) {
      open();
      return prune(query);
    },
    async check() {
      open();
      const options = { path, busyMs, file: session.file };
      const found = isLargeFile(path) ? await checkInThread(options) : undefined;
      return found ?? reading((reader) => reader.check());
    },
    close() {
      closing ??= shutDown();
      return closing;
    },
  };
}
