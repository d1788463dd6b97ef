import type { Policy } from "../../core/policy.ts";
import type { Signal } from "../../core/signal.ts";
import type { Evidence } from "../../core/verdict.ts";

/**
 * The reference for verdicts, written from `docs/policies.md` alone: it shares no code with `src/core`, and
 * counts with sets and with fractions of whole numbers.
 */
export interface NaiveVerdict {
  readonly status: "undecided" | "final" | "denied";
  readonly outcome: string | null;
}

const undecided: NaiveVerdict = { status: "undecided", outcome: null };

export function naiveVerdict(policy: Policy, evidence: Evidence): NaiveVerdict {
  switch (policy.kind) {
    case "immediate":
      return { status: "final", outcome: null };
    case "manual":
      return decision(evidence) ?? undecided;
    case "threshold": {
      const listed = policy.weights === null ? null : new Map(Object.entries(policy.weights));
      const votes = standing(evidence.signals).filter(
        (s) => listed === null || listed.has(s.source),
      );
      const worth = (s: Signal) =>
        BigInt(listed?.get(s.source) ?? 1) * (policy.byConfidence ? BigInt(s.confidencePpm) : 1n);
      return decision(evidence) ?? enough(votes, policy.quorum, worth, BigInt(policy.sharePpm));
    }
    case "majority": {
      if (evidence.decision !== null) return decision(evidence) ?? undecided;
      const votes = standing(evidence.signals);
      if (votes.length < policy.quorum) return undecided;
      for (const { outcome } of votes) {
        const here = votes.filter((s) => s.outcome === outcome).length;
        if (here > votes.length - here) return { status: "final", outcome };
      }
      return undecided;
    }
    case "unanimous": {
      if (evidence.decision !== null) return decision(evidence) ?? undecided;
      const votes = standing(evidence.signals);
      const sides = new Set(votes.map((s) => s.outcome));
      if (votes.length < policy.quorum || sides.size !== 1) return undecided;
      return { status: "final", outcome: votes[0]?.outcome ?? null };
    }
    case "approval": {
      const said = evidence.approvals.filter(
        (a) =>
          a.fingerprint === evidence.fingerprint &&
          a.actor !== evidence.proposer &&
          // Given in time, it counts for good; given later, it never does.
          (policy.expiresInMs === null || a.at - evidence.openedAt < policy.expiresInMs) &&
          (policy.from === null || new Set(policy.from).has(a.actor)),
      );
      if (said.some((a) => !a.approved)) return { status: "denied", outcome: null };
      const people = new Set(said.map((a) => a.actor));
      return people.size < policy.need ? undecided : { status: "final", outcome: null };
    }
    case "all": {
      const parts = policy.of.map((part) => naiveVerdict(part, evidence));
      if (parts.find((p) => p.status === "denied")) return { status: "denied", outcome: null };
      if (parts.find((p) => p.status === "undecided")) return undecided;
      const names = new Set(parts.flatMap((p) => (p.outcome === null ? [] : [p.outcome])));
      if (names.size > 1) return undecided;
      for (const outcome of names) return { status: "final", outcome };
      return { status: "final", outcome: null };
    }
    case "any": {
      const parts = policy.of.map((part) => naiveVerdict(part, evidence));
      for (const part of parts) if (part.status === "final") return part;
      for (const part of parts) if (part.status !== "denied") return undecided;
      return { status: "denied", outcome: null };
    }
  }
}

/** Whether it can't be satisfied any more, since an approval it needs did not come in time. */
export function naiveTooLate(policy: Policy, evidence: Evidence, now: number): boolean {
  switch (policy.kind) {
    case "approval":
      return (
        policy.expiresInMs !== null &&
        now - evidence.openedAt >= policy.expiresInMs &&
        naiveVerdict(policy, evidence).status !== "final"
      );
    case "all":
      return policy.of.some((part) => naiveTooLate(part, evidence, now));
    case "any":
      return policy.of.every((part) => naiveTooLate(part, evidence, now));
    case "immediate":
    case "manual":
    case "threshold":
    case "majority":
    case "unanimous":
      return false;
  }
}

function decision({ decision }: Evidence): NaiveVerdict | undefined {
  return decision === null ? undefined : { status: "final", outcome: decision.outcome };
}

/** The live vote of each source: sorts all its signals by time, then id, and takes the last. */
function standing(signals: readonly Signal[]): readonly Signal[] {
  const sources = [...new Set(signals.map((s) => s.source))];
  return sources.map((source) => {
    const own = signals.filter((s) => s.source === source);
    own.sort((a, b) => a.at - b.at || (a.signalId < b.signalId ? -1 : 1));
    return own.at(-1) as Signal;
  });
}

/** Tries each outcome: is it ahead of every other one, and is its fraction of the whole large enough? */
function enough(
  votes: readonly Signal[],
  quorum: number,
  worth: (signal: Signal) => bigint,
  sharePpm: bigint,
): NaiveVerdict {
  if (votes.length < quorum) return undecided;
  const outcomes = [...new Set(votes.map((s) => s.outcome))];
  const sum = (some: readonly Signal[]) => some.map(worth).reduce((a, b) => a + b, 0n);
  const held = (outcome: string) => sum(votes.filter((s) => s.outcome === outcome));
  const whole = sum(votes);
  for (const outcome of outcomes) {
    const here = held(outcome);
    const ahead = outcomes.every((other) => other === outcome || held(other) < here);
    // here / whole >= share / 1,000,000
    if (here > 0n && ahead && here * 1_000_000n >= sharePpm * whole) {
      return { status: "final", outcome };
    }
  }
  return undecided;
}
