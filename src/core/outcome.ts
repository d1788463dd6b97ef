import type { CaseSummary } from "./case.ts";
import type { Json } from "./json.ts";
import type { NoneReceipt, OnceReceipt } from "./receipt.ts";

/**
 * What came of a call: everything that a correct program can meet, as a value. Only wrong calls and
 * a broken world throw.
 *
 * @example
 * switch (outcome.status) {
 *   case "settled": return outcome.receipt.value;
 *   default: return outcome.forModel;
 * }
 */
export type Outcome<T = Json> = SettledOutcome<T> | HeldOutcome;

/** It happened, once. */
export interface SettledOutcome<T = Json> {
  readonly status: "settled";
  readonly effect: "once";
  readonly receipt: OnceReceipt<T>;
  /** The effect had run before this call, or ran for another one. */
  readonly replayed: boolean;
  /**
   * False: it happened, but the receipt could not be written yet. The guard keeps it and goes on
   * trying; a repeat in this process gets the same receipt.
   */
  readonly recorded: boolean;
}

/** It did not happen, or nobody knows. */
export type HeldOutcome = Held &
  (
    | { readonly status: "not_performed"; readonly effect: "none" }
    /** Waiting for a decision. */
    | { readonly status: "pending"; readonly effect: "none" }
    /** Another caller runs it, and this call's time to wait is over. */
    | { readonly status: "in_progress"; readonly effect: "unknown" }
    | { readonly status: "in_doubt"; readonly effect: "unknown" }
    | { readonly status: "void"; readonly effect: "none"; readonly receipt: NoneReceipt }
  );

interface Held {
  readonly case: CaseSummary;
  /** What happened and what to do next, for a person. */
  readonly next: string;
  /** The same for a model, so that it doesn't try again. */
  readonly forModel: string;
}
