import type { Case, CaseState } from "../core/case.ts";
import { type Entry, readEntry } from "../core/entry.ts";
import type { CaseId } from "../core/identity.ts";
import { limits } from "../core/limits.ts";
import type { Page, Store } from "../core/store.ts";
import { invalid, name, span } from "./ask.ts";
import type { Waiting } from "./waiting.ts";

export interface CaseQuery {
  readonly states?: readonly CaseState[];
  readonly action?: string;
  /** Last changed at least so many milliseconds ago. */
  readonly olderThanMs?: number;
  /** Where the last page ended (`page.next`). */
  readonly after?: string;
  /** At most 1,000; default 100. */
  readonly limit?: number;
}

/** A journal entry at its place in the feed. */
export interface FeedEntry {
  /** Give it as `after` to go on from here. */
  readonly position: number;
  readonly entry: Entry;
  /** Its exact text, as it was hashed. */
  readonly text: string;
}

export interface SubscribeQuery {
  /** The position to go on after; 0 from the beginning. Default: from now. */
  readonly after?: number;
  /** Only this case. */
  readonly caseId?: string;
  /** Ends the subscription. */
  readonly signal?: AbortSignal;
}

export interface Feed {
  list(query?: CaseQuery): Promise<Page<Case>>;
  history(caseId: string): Promise<readonly FeedEntry[]>;
  subscribe(query?: SubscribeQuery): AsyncIterable<FeedEntry>;
}

const caseStates: readonly CaseState[] = [
  "OPEN",
  "RESOLVED_PROVISIONAL",
  "IN_RECONCILIATION",
  "FINAL",
  "EXECUTING",
  "IN_DOUBT",
  "SETTLED",
  "VOID",
  "RETIRED",
];

/** Milliseconds between looks at the feed where the store gives no hint. */
const lookMs = 250;
const pageRows = 100;

export function createFeed(
  store: Store,
  namespace: string,
  now: () => number | Promise<number>,
  waiting: Waiting,
): Feed {
  return {
    async list(query = {}) {
      const { olderThanMs, ...rest } = query;
      const unknown = query.states?.find((state) => !caseStates.includes(state));
      if (unknown !== undefined) throw invalid(`There is no state "${String(unknown)}".`);
      const limit = query.limit ?? pageRows;
      if (!Number.isInteger(limit) || limit < 1 || limit > limits.pageRows) {
        throw invalid(`\`limit\` must be a whole number from 1 to ${limits.pageRows}.`);
      }
      if (olderThanMs !== undefined) span("olderThanMs", olderThanMs, 0);
      const age = olderThanMs === undefined ? {} : { updatedBefore: (await now()) - olderThanMs };
      return store.list({ ...rest, ...age, limit, namespace });
    },
    async history(caseId) {
      const entries = await store.history(namespace, name("caseId", caseId) as CaseId);
      return entries.map(({ position, text }) => ({ position, entry: readEntry(text), text }));
    },
    subscribe(query = {}) {
      if (query.after !== undefined) span("after", query.after, 0);
      // From the instant of the call, whenever the reading begins.
      const start = query.after ?? store.end(namespace);
      if (typeof start === "object") start.catch(() => {});
      return entriesAfter(start, query);
    },
  };

  async function* entriesAfter(
    start: number | Promise<number>,
    { signal, caseId }: SubscribeQuery,
  ): AsyncGenerator<FeedEntry, void, void> {
    let after = await start;
    while (!isAborted(signal) && !waiting.isClosed()) {
      const entries = await store.journal({ namespace, after, limit: pageRows });
      for (const { position, text } of entries) {
        if (isAborted(signal)) return;
        after = position;
        const entry = readEntry(text);
        if (caseId === undefined || entry.caseId === caseId) yield { position, entry, text };
      }
      if (entries.length === 0) await waiting.change(lookMs, signal);
    }
  }
}

/** Asked anew each time: it changes while the caller holds the iterator. */
function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true;
}
