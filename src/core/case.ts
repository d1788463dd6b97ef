import type { CaseId, Fingerprint, RequestId } from "./identity.ts";
import type { Json } from "./json.ts";
import type { Policy } from "./policy.ts";
import type { EffectTerms, NoneReceipt, OnceReceipt } from "./receipt.ts";
import type { Signal } from "./signal.ts";
import type { Evidence, Verdict } from "./verdict.ts";

/**
 * The stored record of one intended effect: its decision, its execution, its receipt.
 * Times are milliseconds since 1970 by the store's clock.
 */
export type Case = Deliberating | Final | Executing | InDoubt | Settled | Void | Retired;

export type CaseState = Case["state"];

/** A case that was never opened. */
export interface Absent {
  readonly state: "ABSENT";
  readonly namespace: string;
  readonly caseId: CaseId;
}

/** What every case has, whatever its state. */
export interface Common {
  readonly namespace: string;
  readonly caseId: CaseId;
  /** Grows by one with each commit; what compare-and-swap compares. */
  readonly version: number;
  /** Entries in the case's journal. Renewals of a lease are not journaled. */
  readonly entries: number;
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** What is to run. Bound once, never changed. */
export interface Intent {
  readonly action: string;
  readonly payload: Json;
  readonly fingerprint: Fingerprint;
  /** Who asked for it; may not approve it. */
  readonly proposer: string;
  /** The request that asked for a worker to run it; null: who asks runs it himself. */
  readonly queued: RequestId | null;
}

/** How the case is decided. */
export interface Deliberation extends Omit<Evidence, "fingerprint" | "proposer" | "openedAt"> {
  readonly policy: Policy;
  /** The outcomes that may be voted for and decided; null: any. */
  readonly outcomes: readonly string[] | null;
  /** The outcomes that permit the action; null: any. */
  readonly allow: readonly string[] | null;
  /** Signals that came after the decision: kept as evidence, changing nothing. */
  readonly late: readonly Signal[];
  readonly verdict: Verdict;
  /** When the case can be void because an approval it needs did not come in time; null: never. */
  readonly expiresAt: number | null;
}

/** Waiting for the decision: no votes yet; the votes agree; the votes disagree. */
export interface Deliberating extends Common {
  readonly state: "OPEN" | "RESOLVED_PROVISIONAL" | "IN_RECONCILIATION";
  readonly deliberation: Deliberation;
  readonly intent: Intent | null;
}

/** The verdict can't change any more; the effect may start. */
export interface Final extends Common {
  readonly state: "FINAL";
  /** Null: nobody had to be asked. */
  readonly deliberation: Deliberation | null;
  readonly intent: Intent | null;
  /** The claim that was given back, where there was one. */
  readonly past: Past | null;
  /** When a worker may run it; null: none was asked to. */
  readonly runAt: number | null;
}

/** A claim that ended without effect, and why. */
export interface Past {
  readonly claim: Claim;
  readonly reason: string;
}

/** The exclusive right to run the effect. */
export interface Claim {
  /** Grows with each claim of the case. */
  readonly fence: number;
  /** Names this very claim. */
  readonly holder: string;
  readonly by: string;
  readonly requestId: RequestId;
  readonly terms: EffectTerms;
  readonly startedAt: number;
  /** When the first claim started: a key's life is counted from here. */
  readonly firstStartedAt: number;
  /**
   * The doubt about an earlier claim in which this one was given, because a repeat does no harm.
   * Only a probe or a person clears it: that this claim did not happen says nothing of that one.
   */
  readonly earlierDoubt: Doubt | null;
}

/** Somebody runs the effect, or was lost running it. */
export interface Executing extends Common {
  readonly state: "EXECUTING";
  readonly deliberation: Deliberation | null;
  readonly intent: Intent;
  readonly claim: Claim;
  /** Until when the holder is presumed alive. */
  readonly leaseUntil: number;
}

/** Started, not settled, and nobody knows whether it happened. Time never clears it. */
export interface InDoubt extends Common {
  readonly state: "IN_DOUBT";
  readonly deliberation: Deliberation | null;
  readonly intent: Intent;
  readonly claim: Claim;
  readonly doubt: Doubt;
}

export interface Doubt {
  /** The claim that is in doubt; a later one has said that it did not happen. */
  readonly fence: number;
  readonly since: number;
  readonly reason: DoubtReason;
  /** The error the effect ended with, where it ended with one. */
  readonly error: string | null;
  /** Probes that found nothing out. */
  readonly probes: number;
  /** When the world may be asked; null: it can't be. */
  readonly probeAt: number | null;
}

export type DoubtReason =
  /** The holder was not heard of for a whole lease: it crashed, hangs, or is cut off. */
  | "lease_ended"
  /** The effect threw something that doesn't say whether it happened. */
  | "threw"
  /** The effect did not end in its time. */
  | "timed_out"
  /** A transactional effect ended its transaction itself: its receipt is not in it. */
  | "ended_itself";

export interface Settled extends Common {
  readonly state: "SETTLED";
  readonly deliberation: Deliberation | null;
  readonly intent: Intent;
  readonly receipt: OnceReceipt;
}

export interface Void extends Common {
  readonly state: "VOID";
  /** The latest claim; 0 where there was none. */
  readonly fence: number;
  readonly deliberation: Deliberation | null;
  readonly intent: Intent | null;
  readonly receipt: NoneReceipt;
}

/** What pruning leaves of a finished case: enough to refuse its id for ever. */
export interface Retired extends Common {
  readonly state: "RETIRED";
  readonly fingerprint: Fingerprint | null;
  readonly effect: "once" | "none";
  readonly outcome: string | null;
  readonly settlementId: string;
  /** SHA-256 of the receipt's JSON, as it was stored. */
  readonly receiptHash: string;
  /** SHA-256 of the last entry of its journal, which is gone. */
  readonly journalHash: string;
  /** The request ids that are bound to it, as far as its journal told. */
  readonly requests: readonly RequestId[];
}

/** What a case says of itself to everybody: no payload, no value. */
export interface CaseSummary {
  readonly caseId: string;
  readonly state: CaseState | "ABSENT";
  readonly action: string | null;
  readonly verdict: Verdict | null;
  /** Milliseconds since 1970; null for a case that was never opened. */
  readonly updatedAt: number | null;
}

export function summaryOf(kase: Case | Absent): CaseSummary {
  if (kase.state === "ABSENT") {
    return { caseId: kase.caseId, state: "ABSENT", action: null, verdict: null, updatedAt: null };
  }
  return {
    caseId: kase.caseId,
    state: kase.state,
    action: kase.state === "RETIRED" ? null : (kase.intent?.action ?? null),
    verdict: kase.state === "RETIRED" ? null : (kase.deliberation?.verdict ?? null),
    updatedAt: kase.updatedAt,
  };
}

/** What a tombstone keeps of what pruning drops. */
export type Remains = Pick<Retired, "receiptHash" | "journalHash" | "requests">;

/** The tombstone of a finished case. Its head in the store is the SHA-256 of its own JSON. */
export function retired(kase: Settled | Void, remains: Remains): Retired {
  const { receiptHash, journalHash, requests } = remains;
  return {
    namespace: kase.namespace,
    caseId: kase.caseId,
    version: kase.version + 1,
    entries: kase.entries,
    createdAt: kase.createdAt,
    updatedAt: kase.updatedAt,
    state: "RETIRED",
    fingerprint: kase.intent?.fingerprint ?? null,
    effect: kase.receipt.effect,
    outcome: kase.receipt.outcome,
    settlementId: kase.receipt.settlementId,
    receiptHash,
    journalHash,
    requests,
  };
}
