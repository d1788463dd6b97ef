import type { Case, Claim, Deliberation, Doubt, DoubtReason, Executing, Final, InDoubt, Intent, Settled, Void } from "./case.ts";
import type { Event, Occasion, Returned } from "./event.ts";
import type { CaseId } from "./identity.ts";
import type { OnceReceipt, SettlementSource, VoidReason } from "./receipt.ts";

/** What every next case has in common: its names, and one more version and journal entry. */
export interface Grown {
  readonly namespace: string;
  readonly caseId: CaseId;
  readonly version: number;
  readonly entries: number;
  readonly createdAt: number;
  readonly updatedAt: number;
}

export function grown(before: Grown, occasion: Occasion): Grown {
  return {
    namespace: before.namespace,
    caseId: before.caseId,
    version: before.version + 1,
    entries: before.entries + 1,
    createdAt: before.createdAt,
    updatedAt: occasion.at,
  };
}

export function born(
  names: { readonly namespace: string; readonly caseId: CaseId },
  occasion: Occasion,
): Grown {
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

/** Gives the right to run the effect, under a fence above every earlier one. */
export function claimed(
  stem: Grown,
  deliberation: Deliberation | null,
  intent: Intent,
  earlier: Claim | undefined,
  event: Of<"claim">,
): Executing {
  return {
    ...stem,
    state: "EXECUTING",
    deliberation,
    intent,
    claim: {
      fence: (earlier?.fence ?? 0) + 1,
      holder: event.nonce,
      by: event.by,
      requestId: event.requestId,
      terms: event.terms,
      startedAt: event.at,
      firstStartedAt: earlier?.firstStartedAt ?? event.at,
    },
    leaseUntil: event.leaseUntil,
  };
}

/** A renewal is not journaled: it adds a version, and no entry. A lease never gets shorter. */
export function renewed(before: Executing, event: Of<"renew">): Executing {
  return {
    ...before,
    version: before.version + 1,
    updatedAt: event.at,
    leaseUntil: Math.max(before.leaseUntil, event.leaseUntil),
  };
}

export function doubted(
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
  const doubt: Doubt = {
    since: occasion.at,
    reason,
    error,
    probes: 0,
    probeAt: settlingMs === null ? null : occasion.at + settlingMs,
  };
  return { ...grown(before, occasion), state: "IN_DOUBT", deliberation, intent, claim, doubt };
}

/** Whether an effect in doubt may be started again by its class: with a live key, or harmlessly. */
export function mayRunAgain(claim: Claim, at: number): boolean {
  switch (claim.terms.class) {
    case "opaque":
    case "probeable":
      return false;
    case "keyed":
      return at - claim.firstStartedAt < claim.terms.ttlMs;
    case "idempotent":
      return true;
  }
}

/** The effect certainly did not happen: the case is FINAL again, and may be claimed anew. */
export function released(
  before: Executing | InDoubt,
  reason: string,
  occasion: Occasion,
): Final {
  const { deliberation, intent, claim } = before;
  const past = { claim, reason };
  return { ...grown(before, occasion), state: "FINAL", deliberation, intent, past };
}

export function settled(
  before: Grown & Pick<Executing, "deliberation" | "intent" | "claim">,
  source: SettlementSource,
  returned: Returned,
  occasion: Occasion,
  evidence: string | null = null,
): Settled {
  const { deliberation, intent, claim } = before;
  const receipt: OnceReceipt = {
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
  };
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
    deliberation,
    intent,
    receipt: {
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
    },
  };
}
