import type { Case, CaseState } from "./case.ts";
import type { GuardError } from "./errors.ts";
import type { CaseId, RequestId } from "./identity.ts";

/**
 * Where cases live. The core decides; a store only compares and swaps.
 *
 * Its laws are the headings of the conformance suite in `safeagent/testing`:
 * it reads what it committed; creates only what is absent; advances only from `expected`; of N
 * racing commits exactly one is true; several steps land together or not at all; a request id binds
 * once; each case's journal is gapless and in order; the feed over all cases misses nothing and never
 * reorders what it has shown; a list is complete and stable under writes; every state and every JSON
 * value survives the trip; an unknown row is refused, not guessed; a killed process loses nothing it
 * was told true about; closed means closed.
 *
 * A store throws `GuardError` with a code `store_…` where the world is broken, and for nothing else.
 */
export interface Store {
  /** Milliseconds since 1970 by the one clock that all users of this store share. */
  now(): number | Promise<number>;

  /** The case of a case id, and the case that a request id is bound to. */
  read(ids: ReadIds): Promise<Reading>;

  /**
   * All the steps or none. False: somebody was faster (a version moved on, a case exists, a request
   * id is bound elsewhere); nothing was written. Never throws for that. After a throw the commit may
   * have landed: `head` tells.
   */
  commit(steps: readonly Step[]): Promise<boolean>;

  /**
   * Cases in the order they were opened. A case opened later never comes before the cursor. A cursor
   * is a place in that order: it is good for any list of its namespace.
   */
  list(query: ListQuery): Promise<Page<Case>>;

  /** One case's journal, from its first entry. Empty for an unknown or retired case. */
  history(namespace: string, caseId: CaseId): Promise<readonly JournalEntry[]>;

  /** The feed: entries of all cases of a namespace, in order, after a position. 0: from the beginning. */
  journal(query: JournalQuery): Promise<readonly JournalEntry[]>;

  /** The feed's latest position; 0 where there is none. */
  end(namespace: string): Promise<number>;

  /** Calls back after commits that may have changed something, made by anyone it can hear. A hint, never a promise. */
  subscribe?(listener: () => void): () => void;

  /**
   * Turns finished cases last changed before an instant into tombstones (`retired` in `case.ts`) and
   * drops their journals. Answers how many; 0 when there is nothing left to do.
   */
  prune(query: PruneQuery): Promise<number>;

  /**
   * What the store finds wrong with its own file or database, beyond what reading tells, a sentence
   * each; nothing: it is sound. Left out by a store that has no means of its own.
   */
  check?(): Promise<readonly string[]>;

  /**
   * Runs work in a transaction of this store's own database. What is written through its handle and
   * the steps that it commits land together at the end, or not at all where the work throws. Left out
   * by a store that has no transactions to share.
   *
   * Where the end of the transaction failed, it may have landed: throws `store_unavailable`. Where it
   * throws before the work was called, nothing was begun.
   *
   * @param wait its signal gives up the wait for a turn, with `store_contended`; from the begin of the
   *   work on it does nothing
   */
  transaction?<T>(
    work: (tx: StoreTransaction) => Promise<T>,
    wait?: { readonly signal?: AbortSignal },
  ): Promise<T>;

  /**
   * The same over a transaction that the caller has begun, and ends himself.
   *
   * @param handle a client or database as the store's own transactions hand it out
   */
  within?(handle: unknown): StoreTransaction;

  /** Ends it: what is queued is written first; every later call throws `store_unavailable`. */
  close(): Promise<void>;
}

/** A transaction of the store's database. */
export interface StoreTransaction {
  /** What effects write through: a client of `pg`, or a `DatabaseSync` of `node:sqlite`. */
  readonly handle: unknown;
  /**
   * Whether everything in it is done at once: nothing may be waited for between its beginning and its
   * end, since the whole database waits meanwhile.
   */
  readonly isSync: boolean;
  /** The store's time, told without leaving the transaction: who holds a connection must not wait for another. */
  now(): number | Promise<number>;
  read(ids: ReadIds): Promise<Reading>;
  /**
   * As the store's; nothing is acknowledged before the transaction has ended. What was refused, or
   * failed in the store, leaves no trace, and the transaction goes on. Several may be in flight.
   *
   * Throws `invalid_request`, and writes nothing, where the transaction can't be written in any more:
   * a statement in it has failed, or somebody has ended it, and may have begun another one. `ended`
   * tells what became of it.
   */
  commit(steps: readonly Step[]): Promise<boolean>;
  /**
   * What became of a transaction that the store has begun, whoever ended it. `open`: nobody has, and
   * the store will. Undefined: nobody knows. To be asked before the work is over, and when nothing
   * else is done in it any more; a transaction in which a statement has failed is rolled back by it.
   * Left out where the caller has begun it.
   */
  ended?(): Promise<"open" | "committed" | "rolled_back" | undefined>;
}

export interface ReadIds {
  readonly namespace: string;
  /** Null: the case that the request id is bound to. */
  readonly caseId: CaseId | null;
  readonly requestId: RequestId | null;
}

export interface Reading {
  readonly stored: Stored | null;
  /** The case that the request id is bound to; null: it is bound to none. */
  readonly bound: CaseId | null;
}

export interface Stored {
  readonly case: Case;
  /** SHA-256, in hex, of the case's latest journal entry; of a tombstone, of its own JSON. */
  readonly head: string;
}

/** One case's step: its next record, its journal entry and a request id to bind, together. */
export interface Step {
  /** The version the case must have; 0: it must not exist. `next.version` is one more. */
  readonly expected: number;
  readonly next: Case;
  /** The hash of the case's latest entry after this step. */
  readonly head: string;
  /** The journal entry's exact text; null for a renewal, which is not journaled. */
  readonly entry: string | null;
  /** A request id to bind to this case. Bound to it already: fine; to another one: the commit is false. */
  readonly bind: RequestId | null;
}

export interface JournalEntry {
  /** Its place in the feed. Grows; has gaps. */
  readonly position: number;
  /** Its exact text, as it was hashed. */
  readonly text: string;
}

export interface ListQuery {
  readonly namespace: string;
  /** Undefined: all states. */
  readonly states?: readonly CaseState[];
  readonly action?: string;
  /** Last changed before this instant, in milliseconds since 1970. */
  readonly updatedBefore?: number;
  /**
   * In need of attention by this instant: the lease of an EXECUTING case is over, an IN_DOUBT case
   * may be probed or run again, a case that waits for approval expires, a worker may run a queued
   * FINAL case. Others are left out.
   */
  readonly dueBy?: number;
  /** Where the last page ended; undefined: from the beginning. */
  readonly after?: string;
  /** At most `limits.pageRows`. */
  readonly limit?: number;
  /** Told of each row that is not understood, which is then left out. Without it, the list throws. */
  readonly refused?: (error: GuardError, caseId: string) => void;
}

export interface Page<T> {
  readonly items: readonly T[];
  /** Give it as `after` for the next page; null: this was the last. */
  readonly next: string | null;
}

export interface JournalQuery {
  readonly namespace: string;
  readonly after: number;
  readonly limit?: number;
}

export interface PruneQuery {
  readonly namespace: string;
  readonly before: number;
  readonly limit?: number;
}

/** When a case next needs attention, in milliseconds since 1970; null: never by itself. */
export function dueAt(kase: Case): number | null {
  switch (kase.state) {
    case "OPEN":
    case "RESOLVED_PROVISIONAL":
    case "IN_RECONCILIATION":
      return kase.deliberation.expiresAt;
    case "EXECUTING":
      return kase.leaseUntil;
    case "IN_DOUBT":
      // These wait for a person, and no sweep can help them.
      return kase.claim.terms.class === "opaque" || kase.claim.terms.class === "transactional"
        ? null
        : (kase.doubt.probeAt ?? kase.doubt.since);
    case "FINAL":
      return kase.runAt;
    case "SETTLED":
    case "VOID":
    case "RETIRED":
      return null;
  }
}
