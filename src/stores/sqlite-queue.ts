import { GuardError } from "../core/errors.ts";
import type { Step } from "../core/store.ts";
import { isBusy, storeError } from "./sqlite-errors.ts";
import type { Session } from "./sqlite-open.ts";
import type { ThreadListener, WriterThread } from "./sqlite-thread.ts";
import { checkpointPages, pagesFilledBy, pagesOf } from "./sqlite-wal.ts";
import { type Batch, stepValues, type Value, type Writer } from "./sqlite-write.ts";

/** What the queue does with the main thread's connection. */
export interface Inline {
  readonly writer: Writer;
  checkpoint(): void;
  extendWal(): boolean;
}

export interface CommitQueue {
  commit(steps: readonly Step[]): Promise<boolean>;
  /** Resolves when all that was queued is answered. */
  drained(): Promise<void>;
  /** Ends the thread, if there is one. */
  close(): Promise<void>;
}

export interface QueueOptions {
  readonly session: Session<Inline>;
  readonly busyMs: number;
  makeThread(listener: ThreadListener): WriterThread;
  /** A commit has landed. */
  onLanded(): void;
}

/** At most so many commits are written on the main thread: two thread hops cost more than their writing. */
const inlineCommits = 16;
/** And only while that takes less than this on average, so that the event loop stays free. */
const inlineMs = 1;
/** A checkpoint or a neighbour now and then must not drive all commits to the thread for seconds. */
const inlineMsCounted = 3;
const batchCommits = 1_024;
/** 16 MiB of records: what one transaction may keep the next ones waiting for. */
const batchPages = 4_096;
/** Commits that may wait; one more is refused, so that memory has an end. */
const waitingCommits = 100_000;
/** A batch smaller than this is not split. */
const halfCommits = 32;
const batchesUnderWay = 2;
const nothing: readonly Value[] = [];
/** So many callers are told in one turn of the event loop. */
const answersAtOnce = 16;
/** Transactions between two extensions of the WAL; a short run never pays for one. */
const extendEvery = 64;

interface Waiting {
  readonly size: number;
  /** Let go once the thread has its copy: what waits for an answer should weigh little. */
  values: readonly Value[];
  readonly pages: number;
  resolve(landed: boolean): void;
  reject(error: GuardError): void;
}

/**
 * Group commit: what was queued while the last batch was written shares the next transaction, each
 * commit accepted or refused by itself. Small batches are written here and at once; large ones, and
 * whatever would wait for another process, by the thread.
 */
export function commitQueue({ session, busyMs, makeThread, onLanded }: QueueOptions): CommitQueue {
  const waiting: Waiting[] = [];
  const idlers: (() => void)[] = [];
  /** The batches that the thread has not answered yet, in their order. */
  const inHand: (readonly Waiting[])[] = [];
  /** The batches that it has not done with: after an answer it may still write the WAL back. */
  let underWay = 0;
  let scheduled = false;
  let contendedSince: number | undefined;
  let averageMs = 0;
  let pages = 0;
  let transactions = 0;
  let extended = false;

  const thread = makeThread({
    written(results, ms) {
      wrote(inHand.shift() ?? [], results, ms);
    },
    failed(error) {
      refuse(inHand.shift() ?? [], error);
    },
    idle() {
      underWay -= 1;
      schedule();
    },
  });

  function schedule(delayMs?: number): void {
    if (waiting.length === 0 && underWay === 0) for (const idler of idlers.splice(0)) idler();
    if (scheduled || underWay >= batchesUnderWay || waiting.length === 0) return;
    scheduled = true;
    // A turn of the loop, so that all that one turn asks for shares a transaction.
    if (delayMs === undefined) setImmediate(flush);
    else setTimeout(flush, delayMs);
  }

  function flush(): void {
    scheduled = false;
    const isQuick = waiting.length <= inlineCommits && averageMs < inlineMs;
    const isPlain = isQuick && pages < checkpointPages && contendedSince === undefined;
    if (!isPlain) thread.start();
    if (thread.state() === "ready" && (!isPlain || underWay > 0)) handOver();
    else writeHere(take(batchCommits));
  }

  function take(most: number): Waiting[] {
    let count = 0;
    let sum = 0;
    while (count < waiting.length && count < most && sum < batchPages) {
      sum += waiting[count]?.pages ?? 0;
      count += 1;
    }
    return waiting.splice(0, count);
  }

  /**
   * Half of what is open, at most: while the thread writes it, the answers of the other half are
   * taken up here. With one batch for all, the two threads would only ever wait for each other.
   */
  function handOver(): void {
    const open = inHand.reduce((sum, items) => sum + items.length, waiting.length);
    // A lone small batch beside one under way would only split what the next one can carry whole.
    if (underWay > 0 && waiting.length < halfCommits) return;
    const items = take(Math.min(batchCommits, Math.max(halfCommits, Math.ceil(open / 2))));
    inHand.push(items);
    underWay += 1;
    const isDue = pages >= checkpointPages;
    if (isDue) pages = 0;
    thread.write(batchOf(items), isDue);
    for (const item of items) item.values = nothing;
    schedule();
  }

  function writeHere(items: readonly Waiting[]): void {
    const started = performance.now();
    try {
      const results = session.use(({ writer }) => writer.write(batchOf(items)));
      wrote(items, results, performance.now() - started);
      tendWal();
    } catch (error) {
      if (isBusy(error)) waitForTurn(items, error);
      else refuse(items, error);
    }
    schedule();
  }

  function wrote(items: readonly Waiting[], results: readonly boolean[], ms: number): void {
    contendedSince = undefined;
    transactions += 1;
    if (items.length <= inlineCommits) {
      averageMs += (Math.min(ms, inlineMsCounted) - averageMs) / 10;
    }
    pages += pagesOf(
      items.length,
      items.reduce((sum, item) => sum + item.pages, 0),
    );
    answer(items, results, 0);
    if (results.includes(true)) onLanded();
  }

  /** A few at a time: what the callers do next would else hold the event loop for all of them at once. */
  function answer(items: readonly Waiting[], results: readonly boolean[], from: number): void {
    const end = Math.min(items.length, from + answersAtOnce);
    for (let index = from; index < end; index += 1) items[index]?.resolve(results[index] === true);
    if (end < items.length) setImmediate(answer, items, results, end);
  }

  function refuse(items: readonly Waiting[], error: unknown): void {
    const failure = storeError(error);
    for (const item of items) item.reject(failure);
  }

  /** Another process writes. The thread can wait for it without stopping the event loop; until it runs, a timer does. */
  function waitForTurn(items: readonly Waiting[], error: unknown): void {
    const now = performance.now();
    contendedSince ??= now;
    if (thread.state() === "gone" && now - contendedSince > busyMs) {
      contendedSince = undefined;
      refuse(items, error);
      return;
    }
    thread.start();
    waiting.unshift(...items);
    schedule(thread.state() === "ready" ? undefined : 1 + Math.random() * 10);
  }

  /** After the answer: nothing is lost where it fails, and the next commit meets the same disk. */
  function tendWal(): void {
    const isOverdue = pages >= checkpointPages && thread.state() === "gone";
    const isShort = !extended && transactions % extendEvery === 0;
    if (!isOverdue && !isShort) return;
    try {
      if (isOverdue) session.use((inline) => inline.checkpoint());
      else extended = session.use((inline) => inline.extendWal());
    } catch {
      extended = true;
    }
    if (isOverdue) pages = 0;
  }

  return {
    commit(steps) {
      if (steps.length === 0) return Promise.resolve(true);
      if (waiting.length >= waitingCommits) {
        const facts = `${waitingCommits} commits wait already.`;
        return Promise.reject(new GuardError("store_contended", facts));
      }
      const values = stepValues(steps);
      const weight = pagesFilledBy(values);
      return new Promise((resolve, reject) => {
        waiting.push({ size: steps.length, values, pages: weight, resolve, reject });
        schedule();
      });
    },
    drained() {
      return new Promise((resolve) => {
        idlers.push(resolve);
        schedule();
      });
    },
    close() {
      return thread.close();
    },
  };
}

function batchOf(items: readonly Waiting[]): Batch {
  const values: Value[] = [];
  for (const item of items) for (const value of item.values) values.push(value);
  return { sizes: items.map((item) => item.size), values };
}
