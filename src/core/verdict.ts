import { byCodeUnit } from "./json.ts";
import type { ApprovalRule, Policy, Threshold } from "./policy.ts";
import { liveVotes, ppm, type Signal } from "./signal.ts";

/** A person's word on a case that waits for approval; it binds to the fingerprint of what will run. */
export interface Approval {
  readonly actor: string;
  readonly approved: boolean;
  readonly fingerprint: string;
  readonly note: string | null;
  readonly at: number;
}

/** A person's end to a reconciliation. It stands for the votes, never for an approval. */
export interface Decision {
  readonly outcome: string;
  readonly by: string;
  readonly reason: string;
  readonly at: number;
}

/** All that a verdict is made of. */
export interface Evidence {
  readonly signals: readonly Signal[];
  readonly approvals: readonly Approval[];
  readonly decision: Decision | null;
  /** The fingerprint of what will run; null while the case holds no action. */
  readonly fingerprint: string | null;
  readonly proposer: string | null;
  /** When the case was opened: an approval's time is counted from here. */
  readonly openedAt: number;
}

export interface Tally {
  readonly outcome: string;
  readonly sources: readonly string[];
}

/** What a policy makes of the evidence. */
export interface Verdict {
  readonly status: "undecided" | "final" | "denied";
  readonly outcome: string | null;
  /** The live votes by outcome, in canonical order. */
  readonly tally: readonly Tally[];
  /** Why, for a person. */
  readonly why: string;
}

/**
 * The verdict: a pure function of the policy and the *set* of the evidence. Order, duplicates and
 * replays can't change it; all arithmetic is on whole numbers.
 */
export function judge(policy: Policy, evidence: Evidence): Verdict {
  const votes = liveVotes(evidence.signals);
  const answer = weigh(policy, evidence, votes);
  return {
    status: answer.status,
    outcome: answer.outcome,
    tally: tallyOf(votes),
    why: answer.why,
  };
}

function tallyOf(votes: readonly Signal[]): readonly Tally[] {
  const outcomes = [...new Set(votes.map((vote) => vote.outcome))].sort(byCodeUnit);
  return outcomes.map((outcome) => ({
    outcome,
    sources: votes.filter((vote) => vote.outcome === outcome).map((vote) => vote.source),
  }));
}

interface Answer {
  readonly status: Verdict["status"];
  readonly outcome: string | null;
  readonly why: string;
}

function weigh(policy: Policy, evidence: Evidence, votes: readonly Signal[]): Answer {
  switch (policy.kind) {
    case "immediate":
      return { status: "final", outcome: null, why: "nobody has to be asked" };
    case "manual":
      return decided(evidence) ?? undecided("a person decides");
    case "threshold":
      return decided(evidence) ?? byShare(policy, votes);
    case "majority":
      return decided(evidence) ?? byMajority(policy.quorum, votes);
    case "unanimous":
      return decided(evidence) ?? byUnanimity(policy.quorum, votes);
    case "approval":
      return byApproval(policy, evidence);
    case "all":
      return byAll(policy.of.map((part) => weigh(part, evidence, votes)));
    case "any":
      return byAny(policy.of.map((part) => weigh(part, evidence, votes)));
  }
}

function undecided(why: string): Answer {
  return { status: "undecided", outcome: null, why };
}

function decided(evidence: Evidence): Answer | undefined {
  if (evidence.decision === null) return undefined;
  return { status: "final", outcome: evidence.decision.outcome, why: "decided by a person" };
}

function byShare(policy: Threshold, votes: readonly Signal[]): Answer {
  const weightOf = (vote: Signal): number =>
    (policy.weights === null ? 1 : (policy.weights[vote.source] ?? 0)) *
    (policy.byConfidence ? vote.confidencePpm : 1);
  const counted =
    policy.weights === null
      ? votes
      : votes.filter((vote) => Object.hasOwn(policy.weights ?? {}, vote.source));
  const scores = score(counted, weightOf);
  const wanted = `needs ${percent(policy.sharePpm)} of at least ${policy.quorum}`;
  if (counted.length < policy.quorum) return undecided(`${counted.length} voted; ${wanted}`);
  const total = scores.reduce((sum, [, weight]) => sum + weight, 0n);
  const leader = leaderOf(scores);
  if (leader === undefined) return undecided(`no single leader; ${wanted}`);
  const [outcome, weight] = leader;
  const share = `${outcome} holds ${percent(Number((weight * BigInt(ppm)) / total))}; ${wanted}`;
  // weight / total >= sharePpm / ppm, without a division that could round
  return weight * BigInt(ppm) >= BigInt(policy.sharePpm) * total
    ? { status: "final", outcome, why: share }
    : undecided(share);
}

function byMajority(quorum: number, votes: readonly Signal[]): Answer {
  const wanted = `needs more than half of at least ${quorum}`;
  if (votes.length < quorum) return undecided(`${votes.length} voted; ${wanted}`);
  const leader = leaderOf(score(votes, () => 1));
  if (leader === undefined) return undecided(`no single leader; ${wanted}`);
  const [outcome, count] = leader;
  const why = `${outcome} holds ${count} of ${votes.length}; ${wanted}`;
  return count * 2n > BigInt(votes.length) ? { status: "final", outcome, why } : undecided(why);
}

function byUnanimity(quorum: number, votes: readonly Signal[]): Answer {
  const wanted = `needs all of at least ${quorum}`;
  if (votes.length < quorum) return undecided(`${votes.length} voted; ${wanted}`);
  const first = votes[0];
  if (first === undefined || votes.some((vote) => vote.outcome !== first.outcome)) {
    return undecided(`the votes disagree; ${wanted}`);
  }
  return { status: "final", outcome: first.outcome, why: `all ${votes.length} agree` };
}

function byApproval(rule: ApprovalRule, evidence: Evidence): Answer {
  const eligible = evidence.approvals.filter(
    (approval) =>
      mayApprove(rule, approval.actor, evidence.proposer) &&
      inTime(rule, evidence.openedAt, approval.at) &&
      approval.fingerprint === evidence.fingerprint,
  );
  if (eligible.some((approval) => !approval.approved)) {
    return { status: "denied", outcome: null, why: "denied by an approver" };
  }
  const have = new Set(eligible.map((approval) => approval.actor)).size;
  const why = `${have} of ${rule.need} approvals`;
  return have >= rule.need ? { status: "final", outcome: null, why } : undecided(why);
}

/** Whether a word given at an instant still counts for a rule. An instant that is no number never does. */
export function inTime(rule: ApprovalRule, openedAt: number, at: number): boolean {
  return rule.expiresInMs === null || at < openedAt + rule.expiresInMs;
}

/**
 * When a policy that isn't satisfied yet can't be satisfied any more, because the time for an
 * approval it needs is over; null: never.
 */
export function expiresAt(policy: Policy, evidence: Evidence): number | null {
  switch (policy.kind) {
    case "approval":
      return policy.expiresInMs === null || byApproval(policy, evidence).status === "final"
        ? null
        : evidence.openedAt + policy.expiresInMs;
    case "all":
      return policy.of.map((part) => expiresAt(part, evidence)).reduce(sooner, null);
    case "any": {
      const ends = policy.of.map((part) => expiresAt(part, evidence));
      return ends.includes(null) ? null : Math.max(...(ends as number[]));
    }
    case "immediate":
    case "manual":
    case "threshold":
    case "majority":
    case "unanimous":
      return null;
  }
}

function sooner(left: number | null, right: number | null): number | null {
  if (left === null || right === null) return left ?? right;
  return Math.min(left, right);
}

/** The proposer can't approve (P7), named in the rule or not. */
export function mayApprove(rule: ApprovalRule, actor: string, proposer: string | null): boolean {
  return actor !== proposer && (rule.from === null || rule.from.includes(actor));
}

function byAll(answers: readonly Answer[]): Answer {
  const why = answers.map((answer) => answer.why).join("; ");
  if (answers.some((answer) => answer.status === "denied")) {
    return { status: "denied", outcome: null, why };
  }
  const named = new Set(answers.map((answer) => answer.outcome).filter((name) => name !== null));
  if (answers.some((answer) => answer.status !== "final") || named.size > 1) return undecided(why);
  return { status: "final", outcome: [...named][0] ?? null, why };
}

function byAny(answers: readonly Answer[]): Answer {
  const why = answers.map((answer) => answer.why).join(", or ");
  const first = answers.find((answer) => answer.status === "final");
  if (first !== undefined) return first;
  return answers.every((answer) => answer.status === "denied")
    ? { status: "denied", outcome: null, why }
    : undecided(why);
}

type Score = readonly [outcome: string, weight: bigint];

function score(votes: readonly Signal[], weightOf: (vote: Signal) => number): readonly Score[] {
  const sums = new Map<string, bigint>();
  for (const vote of votes) {
    sums.set(vote.outcome, (sums.get(vote.outcome) ?? 0n) + BigInt(weightOf(vote)));
  }
  return [...sums];
}

/** The outcome with the most weight; none where two share the top, or where nothing weighs anything. */
function leaderOf(scores: readonly Score[]): Score | undefined {
  const top = scores.reduce((most, [, weight]) => (weight > most ? weight : most), 0n);
  const leaders = scores.filter(([, weight]) => weight === top);
  return top > 0n && leaders.length === 1 ? leaders[0] : undefined;
}

function percent(share: number): string {
  return `${Math.floor(share / 10_000)} %`;
}
