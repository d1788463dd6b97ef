import type {
  Case,
  Claim,
  Common,
  Deliberation,
  Doubt,
  DoubtReason,
  Executing,
  Final,
  InDoubt,
  Intent,
  Past,
  Settled,
  Void,
} from "./case.ts";
import type { Event, Occasion, Returned } from "./event.ts";
import type { CaseId } from "./identity.ts";
import type { OnceReceipt, SettlementSource, VoidReason } from "./receipt.ts";

/** The part that every next case has in common: its names, and one more version and journal entry. */
export function grown(before: Common, occasion: Occasion): Common {
  return {
    namespace: before.namespace,
    caseId: before.caseId,
    version: before.version + 1,
    entries: before.entries + 1,
    createdAt: before.createdAt,
    // A clock may go back; what the case knows of time doesn't.
    updatedAt: occasion.at > before.updatedAt ? occasion.at : before.updatedAt,
  };
}

export function born(
  names: { readonly namespace: string; readonly caseId: CaseId },
  occasion: Occasion,
): Common {
  return {
    namespace: names.namespace,
    caseId: names.caseId,
    version: 1,
    entries: 1,
    createdAt: occasion.at,
    updatedAt: occasion.at,
  };
}

type Of<T extends Event["type"]> = Extract<Event, { readonly type: T }>;

/** The verdict can't change any more: the one way into FINAL. A queued case is due for its workers. */
export function final(
  stem: Common,
  deliberation: Deliberation | null,
  intent: Intent | null,
  past: Past | null,
  at: number,
  retryAt: number | null = null,
): Final {
  // An instant that is no number would be none, and a case that is never due is never run.
  const due = Number.isFinite(retryAt) ? Math.max(at, retryAt ?? at) : at;
  const runAt = intent === null || intent.queued === null ? null : due;
  return { ...stem, state: "FINAL", deliberation, intent, past, runAt };
}

/** What a new claim follows on. */
export interface Earlier {
  readonly claim: Claim;
  /** What is not known of it; null: it certainly did not happen. */
  readonly doubt: Doubt | null;
}

/** Gives the right to run the effect, under a fence above every earlier one. */
export function claimed(
  stem: Common,
  deliberation: Deliberation | null,
  intent: Intent,
  earlier: Earlier | null,
  event: Of<"claim">,
): Executing {
  return {
    ...stem,
    state: "EXECUTING",
    deliberation,
    intent,
    claim: {
      fence: (earlier?.claim.fence ?? 0) + 1,
      holder: event.nonce,
      by: event.by,
      requestId: event.requestId,
      // While an earlier run is in doubt, its terms hold: they are what makes a repeat harmless.
      // So they are never transactional then: nothing transactional is ever repeated in doubt.
      terms: earlier === null || earlier.doubt === null ? event.terms : earlier.claim.terms,
      startedAt: event.at,
      firstStartedAt: earlier?.claim.firstStartedAt ?? event.at,
      earlierDoubt: earlier?.doubt ?? null,
    },
    leaseUntil: event.leaseUntil,
  };
}

/** A renewal is not journaled: it adds a version, and no entry. A lease never gets shorter. */
export function renewed(before: Executing, event: Of<"renew">): Executing {
  return {
    ...before,
    version: before.version + 1,
    updatedAt: event.at > before.updatedAt ? event.at : before.updatedAt,
    // An end that is no number would be none.
    leaseUntil: event.leaseUntil > before.leaseUntil ? event.leaseUntil : before.leaseUntil,
  };
}

/**
 * Nothing is known of how a claim ended. What a transaction wrote without its receipt was not
 * committed, and once this step is it can't be: its own compares a version that has passed. No such
 * claim hides an earlier doubt: the terms would be that one's. Unless the effect has ended it itself:
 * then nobody knows what was committed.
 */
export function lost(
  before: Executing,
  reason: DoubtReason,
  error: string | null,
  occasion: Occasion,
): InDoubt | Final {
  return before.claim.terms.class === "transactional" && reason !== "ended_itself"
    ? released(before, error ?? uncommitted[reason], occasion)
    : doubted(before, reason, error, occasion);
}

const uncommitted: {
  readonly [Reason in Exclude<DoubtReason, "ended_itself">]: string;
} = {
  lease_ended: "its lease ended; what it wrote was not committed",
  threw: "it threw; what it wrote was not committed",
  timed_out: "it did not end in its time; what it wrote was not committed",
};

function doubted(
  before: Executing,
  reason: DoubtReason,
  error: string | null,
  occasion: Occasion,
): InDoubt {
  const { deliberation, intent, claim } = before;
  const settlingMs =
    claim.terms.class === "keyed" || claim.terms.class === "probeable"
      ? claim.terms.settlingMs
      : null;
  // An earlier run in doubt may be under way as long as it was thought to be.
  const earliest = claim.earlierDoubt?.probeAt ?? Number.NEGATIVE_INFINITY;
  const doubt: Doubt = {
    fence: claim.fence,
    since: occasion.at,
    reason,
    error,
    probes: 0,
    probeAt: settlingMs === null ? null : Math.max(earliest, occasion.at + settlingMs),
  };
  return { ...grown(before, occasion), state: "IN_DOUBT", deliberation, intent, claim, doubt };
}

/**
 * Whether an effect in doubt may be started again by its class: with a live key, or harmlessly.
 * A clock that went back can't revive a key that the case knows to be dead.
 */
export function mayRunAgain(before: InDoubt, at: number): boolean {
  const { terms, firstStartedAt } = before.claim;
  switch (terms.class) {
    case "opaque":
    case "probeable":
      return false;
    case "keyed":
      return Math.max(at, before.updatedAt) - firstStartedAt < terms.ttlMs;
    case "idempotent":
      return true;
    case "transactional":
      // In doubt only where it was done outside of its transaction.
      return false;
  }
}

/** The effect certainly did not happen, by any claim: the case is FINAL again, and may be claimed anew. */
export function released(
  before: Executing | InDoubt,
  reason: string,
  occasion: Occasion,
  retryAt: number | null = null,
): Final {
  const { deliberation, intent, claim } = before;
  const past = { claim: { ...claim, earlierDoubt: null }, reason };
  return final(grown(before, occasion), deliberation, intent, past, occasion.at, retryAt);
}

/** A claim says that it did not happen. An earlier one in doubt stays in doubt. */
export function notPerformed(
  before: Executing | InDoubt,
  event: Of<"release">,
): Final | Void | InDoubt {
  const { deliberation, intent, claim } = before;
  if (claim.earlierDoubt !== null) {
    const doubt = claim.earlierDoubt;
    return { ...grown(before, event), state: "IN_DOUBT", deliberation, intent, claim, doubt };
  }
  return event.final
    ? voided(before, "not_performed", event.reason, event)
    : released(before, event.reason, event, event.retryAt);
}

export function settled(
  before: Common & Pick<Executing, "deliberation" | "intent" | "claim">,
  source: SettlementSource,
  returned: Returned,
  occasion: Occasion,
  evidence: string | null = null,
): Settled {
  const { deliberation, intent, claim } = before;
  const receipt: OnceReceipt = Object.freeze({
    settlementId: `st_${occasion.nonce}`,
    effect: "once",
    namespace: before.namespace,
    caseId: before.caseId,
    requestId: claim.requestId,
    action: intent.action,
    fingerprint: intent.fingerprint,
    outcome: deliberation?.verdict.outcome ?? null,
    ...(returned.value === undefined ? {} : { value: returned.value }),
    valueForm: returned.valueForm,
    source,
    effectClass: claim.terms.class,
    fence: claim.fence,
    startedAt: claim.startedAt,
    settledAt: occasion.at,
    by: occasion.by,
    evidence,
  });
  return { ...grown(before, occasion), state: "SETTLED", deliberation, intent, receipt };
}

export function voided(
  before: Exclude<Case, { readonly state: "RETIRED" }>,
  reason: VoidReason,
  note: string | null,
  occasion: Occasion,
): Void {
  const { deliberation, intent } = before;
  return {
    ...grown(before, occasion),
    state: "VOID",
    fence: fenceOf(before),
    deliberation,
    intent,
    receipt: Object.freeze({
      settlementId: `st_${occasion.nonce}`,
      effect: "none",
      namespace: before.namespace,
      caseId: before.caseId,
      action: intent?.action ?? null,
      fingerprint: intent?.fingerprint ?? null,
      outcome: deliberation?.verdict.outcome ?? null,
      reason,
      note,
      settledAt: occasion.at,
      by: occasion.by,
    }),
  };
}

/** The latest claim of a case; 0 where there was none. */
export function fenceOf(kase: Exclude<Case, { readonly state: "RETIRED" }>): number {
  switch (kase.state) {
    case "OPEN":
    case "RESOLVED_PROVISIONAL":
    case "IN_RECONCILIATION":
      return 0;
    case "FINAL":
      return kase.past?.claim.fence ?? 0;
    case "EXECUTING":
    case "IN_DOUBT":
      return kase.claim.fence;
    case "SETTLED":
      return kase.receipt.fence;
    case "VOID":
      return kase.fence;
  }
}
