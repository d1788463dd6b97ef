import type { Json } from "./json.ts";

/**
 * What a crash or an unknown error means for an effect, as its author declares it.
 *
 * - `opaque`: nobody can tell whether it happened, and a repeat would do harm;
 * - `keyed`: the callee honours the idempotency key it is given, for `ttlMs` after the first call;
 * - `probeable`: the world can be asked, `settlingMs` after the effect was lost;
 * - `idempotent`: a repeat is harmless;
 * - `transactional`: it writes through a transaction of the guard's own database, and its receipt is
 *   written in that same transaction, by compare-and-swap on the case's version: both or neither.
 */
export type EffectTerms =
  | { readonly class: "opaque" }
  | { readonly class: "keyed"; readonly ttlMs: number; readonly settlingMs: number | null }
  | { readonly class: "probeable"; readonly settlingMs: number }
  | { readonly class: "idempotent" }
  | { readonly class: "transactional" };

export type EffectClass = EffectTerms["class"];

/** How the guard learned that the effect happened. */
export type SettlementSource =
  /** The effect returned, under its claim. */
  | "effect"
  /** It returned after its claim was lost, and nobody had run again. */
  | "late"
  /** The probe found it. */
  | "probe"
  /** A person said so, with evidence. */
  | "resolved";

/**
 * The immutable proof of how a case ended. Every caller of a case gets the same receipt, byte for byte.
 *
 * It says what this guard saw. It is not the provider's confirmation.
 */
export type Receipt<T = Json> = OnceReceipt<T> | NoneReceipt;

interface Proof {
  /** Names the one settlement of the case. */
  readonly settlementId: string;
  readonly namespace: string;
  readonly caseId: string;
  readonly action: string | null;
  readonly fingerprint: string | null;
  /** The outcome that was decided; null where nobody had to be asked. */
  readonly outcome: string | null;
  /** Milliseconds since 1970, by the store's clock. */
  readonly settledAt: number;
  /** Who or what settled it. */
  readonly by: string;
}

/** The effect happened, once. */
export interface OnceReceipt<T = Json> extends Proof {
  readonly effect: "once";
  readonly action: string;
  readonly fingerprint: string;
  /** The request under which the effect ran. */
  readonly requestId: string;
  /** What the effect returned, as JSON; left out where it returned nothing. */
  readonly value?: T;
  /** `converted`: JSON lost something of it (a Date became text); `omitted`: JSON couldn't say it. */
  readonly valueForm: "exact" | "converted" | "omitted";
  readonly source: SettlementSource;
  readonly effectClass: EffectClass;
  /** The claim under which it ran: 1 for the first. */
  readonly fence: number;
  readonly startedAt: number;
  /** What a person gave as proof, where a person settled it. */
  readonly evidence: string | null;
}

/** The case ended without effect, for good. */
export interface NoneReceipt extends Proof {
  readonly effect: "none";
  readonly reason: VoidReason;
  readonly note: string | null;
}

export type VoidReason =
  /** Final on an outcome that doesn't permit the action. */
  | "rejected"
  /** An approver said no. */
  | "denied"
  /** Nobody approved in time. */
  | "expired"
  /** The effect said that it did not and will not happen. */
  | "not_performed"
  /** Taken back by its owner before it ran. */
  | "withdrawn";
