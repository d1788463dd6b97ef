import { setTimeout as sleep } from "node:timers/promises";
import { GuardError } from "../core/errors.ts";
import type { Step, Stored } from "../core/store.ts";
import { lanes } from "./lanes.ts";
import type { Connections } from "./postgres-client.ts";
import { isAmbiguous, isContended, isPassing, stateOf, storeError } from "./postgres-errors.ts";
import { entriesPerTransaction, raised } from "./postgres-functions.ts";
import { type Landing, land, landingOf, landWhole } from "./postgres-land.ts";
import type { Replication } from "./postgres-replication.ts";

export interface CommitQueue {
  commit(steps: readonly Step[]): Promise<boolean>;
}

export interface CommitQueueOptions {
  readonly connections: Connections;
  readonly schema: string;
  /** How long a commit goes on trying, in all. */
  readonly busyMs: number;
  readonly replication: Replication;
  /** The case of a step as it is now, and whether its journal holds the step's entry. */
  readonly look: (step: Step) => Promise<{ stored: Stored | null; holds: () => Promise<boolean> }>;
  /** Told the server's time. */
  readonly timed: (at: number) => void;
  /** A commit has landed. */
  readonly onLanded: () => void;
}

const batchesUnderWay = 2;
/** Characters of records and entries in one batch: what one statement may keep the next ones waiting for. */
const batchChars = 4_194_304;
/** Commits that may wait; one more is refused, so that memory has an end. */
const waitingCommits = 100_000;

const notAll = new Error("Not all of the steps landed.");

interface Waiting {
  readonly landings: readonly Landing[];
  readonly chars: number;
  /** Whether an earlier try may have landed, though nobody said so. */
  isUnsure: boolean;
  /** Until when it is tried again, by the process's stopwatch: counted from the first try. */
  until: number;
  resolve(landed: boolean): void;
  reject(error: GuardError): void;
}

/**
 * Commits that were queued while the last ones were written share a statement, each accepted or refused
 * by itself. A commit of several steps has a statement of its own.
 */
export function commitQueue(options: CommitQueueOptions): CommitQueue {
  const { connections, schema, busyMs, replication, look, timed, onLanded } = options;

  const queue = lanes<Waiting>({ atOnce: batchesUnderWay, take: takeBatch, run: write });

  /** What waits for somebody, or is what the database refuses, goes by itself, and keeps nobody waiting. */
  const aside = lanes<Waiting>({
    atOnce: batchesUnderWay,
    take: (waiting) => waiting.splice(0, 1),
    run: write,
  });

  async function write(batch: readonly Waiting[]): Promise<void> {
    const until = performance.now() + busyMs;
    for (const item of batch) item.until = Math.min(item.until, until);
    for (let tries = 0; ; tries += 1) {
      try {
        await answer(batch, await writeOnce(batch));
        return;
      } catch (error) {
        if (isAmbiguous(error)) for (const item of batch) item.isUnsure = true;
        const isAgain = isPassing(error) || stateOf(error) === raised.raced;
        if (!isAgain || isOver(batch)) {
          putAside(batch, error);
          return;
        }
      }
      await sleep(Math.random() * Math.min(500, 10 * 2 ** tries));
    }
  }

  function putAside(batch: readonly Waiting[], error: unknown): void {
    const isWorthIt = batch.length > 1 || (isContended(error) && !isOver(batch));
    if (!isWorthIt || isPassing(error)) refuse(batch, error);
    else for (const item of batch) aside.add(item);
  }

  function isOver(batch: readonly Waiting[]): boolean {
    const now = performance.now();
    return batch.some(({ until }) => now > until);
  }

  async function writeOnce(batch: readonly Waiting[]): Promise<readonly boolean[]> {
    const [only] = batch;
    const isWhole = only !== undefined && only.landings.length > 1;
    if (isWhole) return [await writeWhole(only.landings)];
    const landings = batch.flatMap((item) => item.landings);
    return connections.use(async (connection) => {
      const { results, at } = await land(connection, schema, landings);
      timed(at);
      if (connection.warned()) replication.warned();
      return results;
    });
  }

  async function writeWhole(landings: readonly Landing[]): Promise<boolean> {
    try {
      const { warned } = await connections.transaction(async (connection) => {
        if (!(await landWhole(connection, schema, landings))) throw notAll;
      });
      if (warned) replication.warned();
    } catch (error) {
      if (error === notAll) return false;
      throw error;
    }
    return true;
  }

  /** What did not land now may have landed before: then the case holds its very entry. */
  async function answer(batch: readonly Waiting[], results: readonly boolean[]): Promise<void> {
    const found = await Promise.all(
      batch.map((item, index) => results[index] || (item.isUnsure && landed(item))),
    );
    await replication.assure();
    for (const [index, item] of batch.entries()) item.resolve(found[index] === true);
    if (found.includes(true)) onLanded();
  }

  async function landed({ landings }: Waiting): Promise<boolean> {
    for (const { step } of landings) {
      const { stored, holds } = await look(step);
      const isLatest = stored?.head === step.head && stored.case.version === step.next.version;
      const isOlder = (stored?.case.version ?? 0) > step.next.version && step.entry !== null;
      if (!isLatest && !(isOlder && (await holds()))) return false;
    }
    return true;
  }

  function refuse(batch: readonly Waiting[], error: unknown): void {
    const failure = storeError(error);
    for (const item of batch) item.reject(failure);
  }

  return {
    commit(steps) {
      if (steps.length === 0) return Promise.resolve(true);
      if (steps.length > entriesPerTransaction) {
        const facts = `${steps.length} steps in one commit are more than ${entriesPerTransaction}.`;
        return Promise.reject(new GuardError("over_limit", facts));
      }
      if (queue.waiting() + aside.waiting() >= waitingCommits) {
        const facts = `${waitingCommits} commits wait already.`;
        return Promise.reject(new GuardError("store_contended", facts));
      }
      const landings = steps.map(landingOf);
      const chars = landings.reduce(
        (sum, { record, step }) => sum + record.length + (step.entry?.length ?? 0),
        0,
      );
      return new Promise((resolve, reject) => {
        queue.add({
          landings,
          chars,
          isUnsure: false,
          until: Number.POSITIVE_INFINITY,
          resolve,
          reject,
        });
      });
    },
  };
}

/** The first that waits, and what can go with it: no case and no request id twice. */
function takeBatch(waiting: Waiting[]): readonly Waiting[] {
  const batch: Waiting[] = [];
  const left: Waiting[] = [];
  const taken = new Set<string>();
  let chars = 0;
  while (waiting.length > 0 && batch.length < entriesPerTransaction && chars < batchChars) {
    const item = waiting.shift() as Waiting;
    const [only, ...more] = item.landings;
    if (more.length > 0 && batch.length === 0 && left.length === 0) return [item];
    const keys = item.landings.flatMap(({ caseKey, requestKey }) =>
      requestKey === null ? [`case ${caseKey}`] : [`case ${caseKey}`, `request ${requestKey}`],
    );
    const isFree = only !== undefined && more.length === 0 && !keys.some((key) => taken.has(key));
    for (const key of keys) taken.add(key);
    if (isFree) {
      batch.push(item);
      chars += item.chars;
    } else {
      left.push(item);
    }
  }
  waiting.unshift(...left);
  return batch;
}
