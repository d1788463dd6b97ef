import type { Case, CaseSummary } from "../core/case.ts";
import type { Outcome } from "../core/outcome.ts";
import type { Receipt } from "../core/receipt.ts";
import type { Page } from "../core/store.ts";
import type {
  Call,
  GuardedFunction,
  QueuedCall,
  StandardSchema,
  TransactionalCall,
  TransactionalWrapRules,
  WrapRules,
} from "./call.ts";
import type { Approver, CaseHandle, CaseOptions } from "./decide.ts";
import type { CaseQuery, FeedEntry, SubscribeQuery } from "./feed.ts";
import type { Hooks } from "./hooks.ts";
import type { Platform } from "./platform.ts";
import type { Sweep } from "./reconcile.ts";
import type { Verification, VerifyOptions } from "./verify.ts";

/** How a guard is made. All times are milliseconds. */
export interface GuardOptions {
  /** Keeps its cases apart from every other namespace in the same store. Default: `"default"`. */
  readonly namespace?: string;
  /** How long a worker is presumed alive without a sign of life. Default 30,000. */
  readonly leaseMs?: number;
  /** How long a call waits for a twin, a lease or a probe. Default 30,000. */
  readonly waitMs?: number;
  /** Who acts where a call doesn't say. Default: this process. */
  readonly actor?: string;
  /** Reports of what happens; the guard itself logs nothing. */
  readonly hooks?: Hooks;
  /** For tests: milliseconds since 1970 instead of the store's clock. */
  readonly clock?: () => number;
  /** For tests: names that were never used before, instead of random ones. */
  readonly ids?: () => string;
  /** For simulations: timers, chance and a stopwatch of your own. What is left out is the system's. */
  readonly platform?: Partial<Platform>;
}

/** What a person found out about a case in doubt. */
export type Resolution =
  | { readonly happened: true; readonly value?: unknown }
  | { readonly happened: false };

/** Who says so, and on what proof. */
export interface Word {
  readonly by: string;
  readonly evidence: string;
  /** The claim whose doubt was looked into (`case.claim.fence`); a later doubt is then left alone. Default: the one that stands. */
  readonly fence?: number;
}

export interface WorkOptions {
  /** The wrapped functions whose cases to run and to look after. Default: all that this guard wrapped. */
  readonly actions?: readonly { readonly action: string }[];
  /** Queued cases to run at a time, at most. Default 8. */
  readonly concurrency?: number;
  /** Ends the work: nothing new is taken, and what runs is finished and written down first. */
  readonly signal?: AbortSignal;
  /** Milliseconds between sweeps. Default: a third of the lease. */
  readonly everyMs?: number;
}

/**
 * Stands between a decision and an irreversible action: lets it run only when the decision is final,
 * at most once, and answers every repeat with the original receipt.
 *
 * A clock can only cause doubt, never a second execution.
 */
export interface Guard extends AsyncDisposable {
  /**
   * Runs an effect at most once per case, or answers with what came of it.
   *
   * @throws GuardError for a wrong call or a broken store, never for an expected outcome
   * @example
   * const outcome = await guard.execute({
   *   requestId: "email:C123:invoice", action: "send_email", payload: { to: "c123@example.com" },
   *   run: (payload, ctx) => sendEmail(payload, { signal: ctx.signal }),
   * });
   */
  execute<P, T, Tx = unknown>(call: Call<P, T> | TransactionalCall<P, T, Tx>): Promise<Outcome<T>>;

  /**
   * Leaves an effect to a worker (`work`) that has wrapped its action: opens its case, and runs
   * nothing. The outcome is `pending` until a worker has run it; the receipt is then found by
   * `receipt(requestId)`.
   *
   * @param tx a transaction of the caller's on the guard's own database, or `ctx.tx` of a
   *   transactional effect: the effect is run if that commits, and never if it doesn't
   * @throws GuardError `payload_conflict` where the id holds something else; `held` where no worker
   *   will run the case, since somebody else asked for it first
   * @example
   * await guard.enqueue({ requestId: "mail:order-7", action: "send_email", payload: { to } });
   */
  enqueue<P>(call: QueuedCall<P>): Promise<Outcome>;
  enqueue<P>(tx: object, call: QueuedCall<P>): Promise<Outcome>;

  /**
   * Wraps a function once; call it like the function. Returns its value, throws `GuardError` with
   * code `held` where it did not run or nobody knows.
   *
   * @example
   * const refund = guard.wrap("stripe.refund", { key: (p) => `refund:${p.orderId}`, run: refundCard });
   * await refund({ orderId: "A1", cents: 500 }); // runs
   * await refund({ orderId: "A1", cents: 500 }); // same value, nothing runs
   */
  wrap<In, Out, T, Tx = unknown>(
    action: string,
    rules: (WrapRules<Out, T> | TransactionalWrapRules<Out, T, Tx>) & {
      readonly input: StandardSchema<In, Out>;
    },
  ): GuardedFunction<In, T>;
  wrap<P, T, Tx = unknown>(
    action: string,
    rules: WrapRules<P, T> | TransactionalWrapRules<P, T, Tx>,
  ): GuardedFunction<P, T>;

  /** A case by its id: a decision by several voices, then one effect. Opened by the first use where options are given. */
  case<const O extends string = string>(caseId: string, options?: CaseOptions<O>): CaseHandle<O>;

  /** Approves what a case holds. The proposer can't; one person counts once. */
  approve(caseId: string, approver: Approver): Promise<CaseSummary>;
  /** Denies it: the case is void. */
  deny(caseId: string, approver: Approver): Promise<CaseSummary>;

  /** Clears a doubt by a person's word, with evidence, both kept in the journal. */
  resolve(caseId: string, resolution: Resolution, word: Word): Promise<Outcome>;

  /** One sweep: ends leases that are over, probes doubts, runs again what may be. */
  reconcile(): Promise<Sweep>;
  /**
   * Runs queued cases, and sweeps, until the signal is aborted or the guard closes. Any number of
   * processes may: each case is claimed by one.
   */
  work(options?: WorkOptions): Promise<void>;

  /** The receipt that a request was or would be answered with; undefined while there is none. */
  receipt(requestId: string): Promise<Receipt | undefined>;
  /** Cases in the order they were opened, a page at a time. */
  list(query?: CaseQuery): Promise<Page<Case>>;
  /** One case's journal, from its first entry. */
  history(caseId: string): Promise<readonly FeedEntry[]>;
  /** Journal entries as they are written, by any process. Resumes from a position. */
  subscribe(query?: SubscribeQuery): AsyncIterable<FeedEntry>;

  /**
   * Checks what is stored: each journal replayed to the record that stands, each list and each request
   * against it. Reads only, while others work. What is damaged is told in the answer, not thrown.
   *
   * @throws GuardError `store_…` where the store can't be read at all
   * @example for (const { what } of (await guard.verify()).faults) console.error(what);
   */
  verify(options?: VerifyOptions): Promise<Verification>;

  /**
   * Turns cases that ended before an instant into tombstones: their payloads, values and journals
   * go, their ids are refused as retired for ever. Nothing expires without it.
   */
  prune(query: { readonly before: Date }): Promise<number>;

  /** Ends it: waits for what is under way to be written, then closes the store, if it opened it. */
  close(): Promise<void>;
}
