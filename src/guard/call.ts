import type { Outcome } from "../core/outcome.ts";
import type { Policy } from "../core/policy.ts";

/** What an effect is handed beside its payload. */
export interface EffectContext {
  readonly caseId: string;
  readonly requestId: string;
  readonly action: string;
  /** 1 for the first claim of this case; grows with each. Hand it to a callee that refuses older ones. */
  readonly fence: number;
  /** The same for every attempt of this case, and for no other: hand it to the callee. 64 hex characters. */
  readonly idempotencyKey: string;
  /** Aborted when the effect's time is over or its claim is lost. What it did by then is not undone. */
  readonly signal: AbortSignal;
}

/** The caller's function that does the irreversible thing. Its payload is a frozen copy. */
export type Run<P, T> = (payload: P, ctx: EffectContext) => T | Promise<T>;

/** The caller's read-only question to the world: did it happen? */
export type Probe<P, T> = (payload: P, ctx: ProbeContext) => Finding<T> | Promise<Finding<T>>;

export interface ProbeContext {
  readonly caseId: string;
  readonly idempotencyKey: string;
  readonly signal: AbortSignal;
}

/** `absent` is a proof that it did not and will not happen; where there is a doubt, say `unknown`. */
export type Finding<T> = { readonly happened: true; readonly value?: T } | "absent" | "unknown";

/** What an effect of class `transactional` is handed. */
export interface TransactionContext<Tx = unknown> extends EffectContext {
  /**
   * The transaction: a client of `pg`, or a `DatabaseSync` of `node:sqlite`. What is written through
   * it commits together with the receipt, or not at all. Usable until the effect has ended.
   */
  readonly tx: Tx;
}

/** An effect that writes through `ctx.tx` and nowhere else. On SQLite it returns no promise. */
export type TransactionalRun<P, T, Tx = unknown> = (
  payload: P,
  ctx: TransactionContext<Tx>,
) => T | Promise<T>;

/** What can be said of every action, whatever its class. */
interface CommonRules {
  /** When the case is final. Default: at once. */
  readonly policy?: Policy;
  /** JSON pointers (RFC 6901) of payload fields that don't count for the fingerprint: free text that a model rewords. */
  readonly ignore?: readonly string[];
  /** Milliseconds the effect may run. Default 300,000. Over it: by its class. */
  readonly timeoutMs?: number;
}

/** How an action is guarded. */
export interface ActionRules<P, T> extends CommonRules {
  /** Does the irreversible thing. */
  readonly run: Run<P, T>;
  /**
   * What a crash or an unknown error means. Default: `probeable` with a `probe`, else `opaque`.
   * `keyed`: the callee honours `ctx.idempotencyKey` for `keyTtlMs`.
   */
  readonly effect?: "opaque" | "keyed" | "idempotent" | "probeable";
  /** Asks the world whether the effect happened. */
  readonly probe?: Probe<P, T>;
  /** Milliseconds for which the callee honours the key, from its first use. Default 23 hours. */
  readonly keyTtlMs?: number;
  /** Milliseconds for which a lost effect may still be under way; no probe before that. Default 5,000. */
  readonly settlingMs?: number;
  /** Tells what an error means; undefined leaves it to the guard, which takes it for unknown. */
  readonly onError?: (error: unknown) => "not_performed" | "unknown" | undefined;
}

/**
 * How an action is guarded that writes through the transaction it is handed: its writes and its
 * receipt commit together. Whatever it throws, and where its time or its claim ends, nothing is left.
 */
export interface TransactionalRules<P, T, Tx = unknown> extends CommonRules {
  readonly effect: "transactional";
  readonly run: TransactionalRun<P, T, Tx>;
}

/** How one call is made. */
export interface CallOptions {
  /** Milliseconds to wait for a twin that is under way, a probe or a lease. Default 30,000. */
  readonly waitMs?: number;
  /** Before the start: the effect doesn't run. After it: handed on as `ctx.signal`, and only the wait ends. */
  readonly signal?: AbortSignal;
  /** Who asks. Default: the guard's actor. Can't approve what it asks for. */
  readonly actor?: string;
}

/** What one call asks for. */
interface Asked<P> {
  /** The caller's name for this ask; the same on a retry. 1 to 255 printable characters. */
  readonly requestId: string;
  /** Which effect: a business fact. Default: the request id. */
  readonly caseId?: string;
  readonly action: string;
  /** Plain JSON; frozen at entry. */
  readonly payload: P;
}

/** One call of `execute`. */
export interface Call<P, T> extends Asked<P>, ActionRules<P, T>, CallOptions {}

/** One call of `execute` whose effect commits together with its receipt. */
export interface TransactionalCall<P, T, Tx = unknown>
  extends Asked<P>,
    TransactionalRules<P, T, Tx>,
    CallOptions {}

/** One call of `enqueue`: a worker that has wrapped the action runs it. */
export interface QueuedCall<P> extends Asked<P> {
  /** When the case is final. Default: at once, or as the case was opened. */
  readonly policy?: Policy;
  /** As in `execute`. */
  readonly ignore?: readonly string[];
  /** Who asks. Default: the guard's actor. Can't approve what it asks for. */
  readonly actor?: string;
}

interface Keyed<P> {
  /** What makes two calls the same effect: the business fact, never a tool-call id. */
  readonly key: (payload: P) => string;
  /**
   * How often a worker tries a queued case of this action that is not performed, crashes included;
   * then it is void. Default 10.
   */
  readonly maxAttempts?: number;
}

/** How a function is wrapped. */
export interface WrapRules<P, T> extends ActionRules<P, T>, Keyed<P> {}

/** How a function is wrapped whose effect commits together with its receipt. */
export interface TransactionalWrapRules<P, T, Tx = unknown>
  extends TransactionalRules<P, T, Tx>,
    Keyed<P> {}

export interface GuardedCallOptions extends CallOptions {
  /** The caller's name for this ask. Default: the key. */
  readonly requestId?: string;
}

/** A function that is called like the one it wraps, and runs it once per key. */
export interface GuardedFunction<In, T> {
  /** The effect's value; throws `GuardError` with code `held` where it did not run or nobody knows. */
  (payload: In, options?: GuardedCallOptions): Promise<T>;
  /** The same as a value, never thrown. */
  outcome(payload: In, options?: GuardedCallOptions): Promise<Outcome<T>>;
  readonly action: string;
}

/** What a schema library offers to be asked without knowing it: Standard Schema 1 (standardschema.dev). */
export interface StandardSchema<In, Out> {
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => SchemaResult<Out> | Promise<SchemaResult<Out>>;
    readonly types?: { readonly input: In; readonly output: Out } | undefined;
  };
}

export type SchemaResult<Out> =
  | { readonly value: Out; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] };

export interface SchemaIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}
