import { setTimeout as sleep } from "node:timers/promises";
import { GuardError } from "../core/errors.ts";
import type { Step, Stored } from "../core/store.ts";
import { type Lanes, lanes } from "./lanes.ts";
import type { Connections } from "./postgres-client.ts";
import { isAmbiguous, isContended, isPassing, stateOf, storeError } from "./postgres-errors.ts";
import { entriesPerTransaction, raised } from "./postgres-functions.ts";
import { briefMs, type HeldCases, heldCases, type InLine, patientMs } from "./postgres-held.ts";
import { type Landing, land, landingOf, landWhole } from "./postgres-land.ts";
import type { Replication } from "./postgres-replication.ts";

export interface CommitQueue {
  commit(steps: readonly Step[]): Promise<boolean>;
}

export interface CommitQueueOptions {
  readonly connections: Connections;
  readonly schema: string;
  /** How long a commit goes on trying, in all, from its call. */
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
/** A batch that somebody's transaction holds up is cut in so many parts: one of them waits on, the others land. */
const partsOfBatch = 16;
/** Characters of records and entries in one batch: what one statement may keep the next ones waiting for. */
const batchChars = 4_194_304;
/** Commits that may wait; one more is refused, so that memory has an end. */
const waitingCommits = 100_000;

interface Waiting extends InLine {
  readonly landings: readonly Landing[];
  readonly chars: number;
  /** Whether an earlier try may have landed, though nobody said so. */
  isUnsure: boolean;
  resolve(landed: boolean): void;
}

/**
 * Commits that were queued while the last ones were written share a statement, each accepted or refused
 * by itself. A commit of several steps has a statement of its own.
 */
export function commitQueue(options: CommitQueueOptions): CommitQueue {
  const { connections, schema, busyMs, replication, look, timed, onLanded } = options;

  const queue: Lanes<Waiting> = lanes({
    atOnce: batchesUnderWay,
    take: (waiting) => takeBatch(waiting, held.takes),
    run: async (batch) => part(batch, await write(batch, patientMs)),
  });

  /** Finds the commit that waits for somebody, or is what the database refuses, and lands the rest of its batch. */
  const sieve = lanes<readonly Waiting[]>({
    atOnce: 1,
    take: (waiting) => waiting.splice(0, 1),
    async run([suspects = []]) {
      const batch = suspects.filter((item) => !held.takes(item));
      part(batch, await write(batch, briefMs));
    },
  });

  const held: HeldCases<Waiting> = heldCases({
    async attempt(item, lockMs) {
      const error = await write([item], lockMs);
      if (error === undefined || isContended(error)) return error;
      refuse([item], error);
      return undefined;
    },
    freed: (item) => queue.add(item),
  });
  let unanswered = 0;

  /** Answers what stands in a batch's way; undefined: nothing, and all of it is answered. */
  async function write(batch: readonly Waiting[], lockMs: number): Promise<unknown> {
    let left = batch;
    for (let tries = 0; left.length > 0; tries += 1) {
      try {
        await answer(left, await writeOnce(left, lockMs));
        return undefined;
      } catch (error) {
        if (isAmbiguous(error)) for (const item of left) item.isUnsure = true;
        const isAgain = isPassing(error) || stateOf(error) === raised.raced;
        if (!isAgain) return error;
        const now = performance.now();
        refuse(
          left.filter(({ until }) => until < now),
          error,
        );
        left = left.filter(({ until }) => until >= now);
      }
      await sleep(Math.random() * Math.min(500, 10 * 2 ** tries));
    }
    return undefined;
  }

  /** What is left when something stands in a batch's way. */
  function part(batch: readonly Waiting[], error: unknown): void {
    if (error === undefined) return;
    const [first] = batch;
    if (first !== undefined && batch.length === 1) {
      if (isContended(error)) held.add(first, error);
      else refuse(batch, error);
      return;
    }
    const size = Math.ceil(batch.length / partsOfBatch);
    for (let from = 0; from < batch.length; from += size) sieve.add(batch.slice(from, from + size));
  }

  async function writeOnce(batch: readonly Waiting[], lockMs: number): Promise<readonly boolean[]> {
    const [only] = batch;
    const isWhole = only !== undefined && only.landings.length > 1;
    if (isWhole) return [await writeWhole(only.landings)];
    const landings = batch.flatMap((item) => item.landings);
    return connections.use(async (connection) => {
      const { results, at } = await land(connection, schema, landings, lockMs);
      timed(at);
      if (connection.warned()) replication.warned();
      return results;
    });
  }

  function writeWhole(landings: readonly Landing[]): Promise<boolean> {
    return connections.use(async (connection) => {
      const { landed, at } = await landWhole(connection, schema, landings);
      if (at !== undefined) timed(at);
      if (connection.warned()) replication.warned();
      return landed;
    });
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
      if (unanswered >= waitingCommits) {
        const facts = `${waitingCommits} commits wait already.`;
        return Promise.reject(new GuardError("store_contended", facts));
      }
      const landings = steps.map(landingOf);
      const chars = landings.reduce(
        (sum, { record, step }) => sum + record.length + (step.entry?.length ?? 0),
        0,
      );
      unanswered += 1;
      return new Promise<boolean>((resolve, reject) => {
        queue.add({
          landings,
          caseKeys: landings.map(({ caseKey }) => caseKey),
          chars,
          isUnsure: false,
          until: performance.now() + busyMs,
          resolve,
          reject,
        });
      }).finally(() => {
        unanswered -= 1;
      });
    },
  };
}

/** The first that waits, and what can go with it: no case and no request id twice, and none that stands in a line. */
function takeBatch(
  waiting: Waiting[],
  standsInLine: (item: Waiting) => boolean,
): readonly Waiting[] {
  const batch: Waiting[] = [];
  const left: Waiting[] = [];
  const taken = new Set<string>();
  let chars = 0;
  while (waiting.length > 0 && batch.length < entriesPerTransaction && chars < batchChars) {
    const item = waiting.shift() as Waiting;
    if (standsInLine(item)) continue;
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
