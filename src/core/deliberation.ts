import { born, final, grown, voided } from "./advance.ts";
import type {
  Absent,
  Case,
  Common,
  Deliberating,
  Deliberation,
  Final,
  Intent,
  Void,
} from "./case.ts";
import type { Event, Occasion } from "./event.ts";
import { canonicalJson } from "./json.ts";
import { limits } from "./limits.ts";
import { approvalRules, listensTo, type Policy } from "./policy.ts";
import { type Refusal, refuse, type Transition, to } from "./refusal.ts";
import { liveVotes, sameSignal } from "./signal.ts";
import { type Approval, expiresAt, inTime, judge, mayApprove } from "./verdict.ts";

type Of<T extends Event["type"]> = Extract<Event, { readonly type: T }>;
type Open = Exclude<Case, { readonly state: "RETIRED" }>;

/** A case is born with its policy. One that asks nobody is FINAL at once. */
export function opened(before: Absent, event: Of<"open">): Transition {
  const stem = born(before, event);
  const { policy, outcomes, allow, intent } = event;
  if (policy.kind === "immediate") {
    return to(final(stem, null, intent, null, event.at));
  }
  const deliberation = rejudged(
    { policy, outcomes, allow, signals: [], approvals: [], decision: null, late: [] },
    intent,
    stem.createdAt,
  );
  return to(deliberated(stem, deliberation, intent, event));
}

/** Opening again is a repeat, or a conflict; it may only bring an action that is not there yet. */
export function reopened(before: Open, event: Of<"open">): Transition {
  if (event.intent !== null && differs(before, event.intent)) return refuse("payload_conflict");
  if (!sameTerms(before.deliberation, event)) return refuse("policy_conflict");
  if (event.intent === null) return refuse("unchanged");
  switch (before.state) {
    case "OPEN":
    case "RESOLVED_PROVISIONAL":
    case "IN_RECONCILIATION":
      if (before.intent !== null) return refuse("unchanged");
      return to({ ...before, ...grown(before, event), intent: event.intent });
    case "FINAL": {
      if (before.intent !== null) return refuse("unchanged");
      const { deliberation, past } = before;
      return to(final(grown(before, event), deliberation, event.intent, past, event.at));
    }
    case "VOID":
      return refuse(before.intent === null ? "void" : "unchanged");
    case "EXECUTING":
    case "IN_DOUBT":
    case "SETTLED":
      // They always hold their action.
      return refuse("unchanged");
  }
}

export function differs(before: Open, intent: Intent): boolean {
  return before.intent !== null && before.intent.fingerprint !== intent.fingerprint;
}

/** What a claim must not pass over: another action or payload, or a policy that was never asked. */
export function conflictWith(before: Open, event: Of<"claim">): Refusal | undefined {
  if (differs(before, event.intent)) return "payload_conflict";
  if (event.policy === undefined) return undefined;
  return samePolicy(before.deliberation, event.policy) ? undefined : "policy_conflict";
}

/** What is left open when a case is opened again is as it was. */
function sameTerms(standing: Deliberation | null, event: Of<"open">): boolean {
  if (!samePolicy(standing, event.policy)) return false;
  const { outcomes, allow } = event;
  return (
    (outcomes === null || textOf(outcomes) === textOf(standing?.outcomes ?? null)) &&
    (allow === null || textOf(allow) === textOf(standing?.allow ?? null))
  );
}

function samePolicy(standing: Deliberation | null, policy: Policy): boolean {
  if (standing === null) return policy.kind === "immediate";
  return textOf(standing.policy) === textOf(policy);
}

function textOf(value: unknown): string | undefined {
  const canonical = canonicalJson(value);
  return canonical.ok ? canonical.text : undefined;
}

/** Whether a word given after the decision is one that was given before it: a repeat, not a mistake. */
export function saidBefore(
  before: Open,
  event: Of<"approve"> | Of<"deny"> | Of<"decide">,
): boolean {
  const { deliberation } = before;
  if (deliberation === null) return false;
  if (event.type === "decide") {
    const { decision } = deliberation;
    return decision?.outcome === event.outcome && decision.by === event.by;
  }
  return deliberation.approvals.some(
    (word) =>
      word.actor === event.by &&
      word.approved === (event.type === "approve") &&
      word.fingerprint === event.fingerprint,
  );
}

/** Takes a vote, an approval or a decision in, and asks the policy again. */
export function heard(
  before: Deliberating,
  event: Of<"signal"> | Of<"approve"> | Of<"deny"> | Of<"decide">,
): Transition {
  const { deliberation, intent } = before;
  const refusal = objection(before, event);
  if (refusal !== undefined) return refuse(refusal);
  const evidence = rejudged(withEvidence(deliberation, event), intent, before.createdAt);
  return to(deliberated(grown(before, event), evidence, intent, event));
}

function objection(
  before: Deliberating,
  event: Of<"signal"> | Of<"approve"> | Of<"deny"> | Of<"decide">,
): Refusal | undefined {
  const { deliberation } = before;
  const isFull = before.entries >= limits.entriesPerCase;
  const full: Refusal | undefined = isFull ? "too_many" : undefined;
  switch (event.type) {
    case "signal":
      return signalObjection(deliberation, event) ?? full;
    case "approve":
    case "deny":
      return approvalObjection(before, event) ?? full;
    case "decide":
      if (!mayDecide(deliberation.policy)) return "no_votes";
      if (deliberation.decision?.outcome === event.outcome) return "unchanged";
      return mayEnd(deliberation, event.outcome) ? full : "unknown_outcome";
  }
}

function signalObjection(
  deliberation: Deliberation,
  { signal }: Of<"signal">,
): Refusal | undefined {
  const { policy, outcomes, signals, late } = deliberation;
  if (!mayDecide(policy)) return "no_votes";
  const known = [...signals, ...late].find((earlier) => earlier.signalId === signal.signalId);
  if (known !== undefined) return sameSignal(known, signal) ? "unchanged" : "signal_conflict";
  if (!listensTo(policy, signal.source)) return "unknown_source";
  if (outcomes !== null && !outcomes.includes(signal.outcome)) return "unknown_outcome";
  return signals.length + late.length >= limits.signalsPerCase ? "too_many" : undefined;
}

/** Votes and decisions are for policies that ask for an outcome; an approval rule asks for a person's yes. */
function mayDecide(policy: Policy): boolean {
  switch (policy.kind) {
    case "manual":
    case "threshold":
    case "majority":
    case "unanimous":
      return true;
    case "all":
    case "any":
      return policy.of.some(mayDecide);
    case "immediate":
    case "approval":
      return false;
  }
}

/** A decision is for a declared outcome, or where none was declared, for one that somebody voted for. */
function mayEnd(deliberation: Deliberation, outcome: string): boolean {
  const { outcomes, signals } = deliberation;
  if (outcomes !== null) return outcomes.includes(outcome);
  return signals.some((signal) => signal.outcome === outcome);
}

function approvalObjection(
  { deliberation, intent, createdAt }: Deliberating,
  event: Of<"approve"> | Of<"deny">,
): Refusal | undefined {
  const rules = approvalRules(deliberation.policy);
  if (rules.length === 0) return "no_approvals";
  if (intent === null) return "no_intent";
  if (event.fingerprint !== intent.fingerprint) return "payload_conflict";
  const own = rules.filter((rule) => mayApprove(rule, event.by, intent.proposer));
  if (own.length === 0) return "not_eligible";
  if (!own.some((rule) => inTime(rule, createdAt, event.at))) return "expired";
  const standing = deliberation.approvals.find((approval) => approval.actor === event.by);
  if (standing !== undefined) {
    return standing.approved === (event.type === "approve") ? "unchanged" : undefined;
  }
  return deliberation.approvals.length >= limits.approvalsPerCase ? "too_many" : undefined;
}

function withEvidence(
  deliberation: Deliberation,
  event: Of<"signal"> | Of<"approve"> | Of<"deny"> | Of<"decide">,
): Deliberation {
  const { signals, approvals } = deliberation;
  switch (event.type) {
    case "signal":
      return { ...deliberation, signals: [...signals, event.signal] };
    case "approve":
    case "deny": {
      const { by: actor, fingerprint, note, at } = event;
      const word: Approval = { actor, approved: event.type === "approve", fingerprint, note, at };
      const others = approvals.filter((approval) => approval.actor !== actor);
      return { ...deliberation, approvals: [...others, word] };
    }
    case "decide": {
      const { outcome, by, reason, at } = event;
      return { ...deliberation, decision: { outcome, by, reason, at } };
    }
  }
}

function rejudged(
  deliberation: Omit<Deliberation, "verdict" | "expiresAt">,
  intent: Intent | null,
  openedAt: number,
): Deliberation {
  const { fingerprint, proposer } = intent ?? { fingerprint: null, proposer: null };
  const evidence = { ...deliberation, fingerprint, proposer, openedAt };
  const { policy } = deliberation;
  return {
    ...deliberation,
    verdict: judge(policy, evidence),
    expiresAt: expiresAt(policy, evidence),
  };
}

/** Where a verdict puts the case: undecided, by whether the live votes agree; else at its end or FINAL. */
function deliberated(
  stem: Common,
  deliberation: Deliberation,
  intent: Intent | null,
  occasion: Occasion,
): Deliberating | Final | Void {
  const { verdict, allow, signals } = deliberation;
  switch (verdict.status) {
    case "undecided": {
      const sides = new Set(liveVotes(signals).map((vote) => vote.outcome)).size;
      const state =
        sides === 0 ? "OPEN" : sides === 1 ? "RESOLVED_PROVISIONAL" : "IN_RECONCILIATION";
      return { ...stem, state, deliberation, intent };
    }
    case "denied":
      return ended(stem, deliberation, intent, "denied", occasion);
    case "final":
      return allow !== null && verdict.outcome !== null && !allow.includes(verdict.outcome)
        ? ended(stem, deliberation, intent, "rejected", occasion)
        : final(stem, deliberation, intent, null, occasion.at);
  }
}

function ended(
  stem: Common,
  deliberation: Deliberation,
  intent: Intent | null,
  reason: "denied" | "rejected",
  occasion: Occasion,
): Void {
  const decided = final(stem, deliberation, intent, null, occasion.at);
  // The verdict and the end are one step: one version, one entry.
  return { ...voided(decided, reason, deliberation.verdict.why, occasion), ...stem };
}

/** A signal after the decision is kept as evidence and changes nothing. */
export function keptLate(before: Open, event: Of<"signal">): Transition {
  const { deliberation } = before;
  if (deliberation === null) return refuse("no_votes");
  const refusal = signalObjection(deliberation, event);
  if (refusal !== undefined) return refuse(refusal);
  const late = [...deliberation.late, event.signal];
  return to({
    ...before,
    ...grown(before, event),
    deliberation: { ...deliberation, late },
  } as Case);
}
