import {
  type Absent,
  type Case,
  type CaseSummary,
  type InDoubt,
  summaryOf,
  type Void,
} from "../core/case.ts";
import type { HeldOutcome, SettledOutcome } from "../core/outcome.ts";
import type { NoneReceipt, OnceReceipt } from "../core/receipt.ts";

/** Outcomes, each with its two texts: what a person needs to act, and what a model needs to stop. */

export function happened(receipt: OnceReceipt, replayed: boolean, recorded = true): SettledOutcome {
  return { status: "settled", effect: "once", receipt, replayed, recorded };
}

export function notPerformed(kase: Case | Absent, why: string): HeldOutcome {
  const base = { status: "not_performed", effect: "none", case: summaryOf(kase) } as const;
  if (isQueued(kase)) {
    return {
      ...base,
      next: `Nothing was executed: ${why}. It is queued: a worker tries it again.`,
      forModel:
        "Not executed yet. It will be tried again by itself. Do not call it again; continue with other work.",
    };
  }
  return {
    ...base,
    next: `Nothing was executed: ${why}. It may be asked again.`,
    forModel:
      "Not executed. It is safe to call it again with the same arguments, if it is still wanted.",
  };
}

export function pending(kase: Case): HeldOutcome {
  const waits = kase.state !== "RETIRED" ? kase.deliberation?.verdict.why : undefined;
  const runs = isQueued(kase)
    ? "A worker runs it when it is final."
    : "It runs when it is final and asked again.";
  return {
    status: "pending",
    effect: "none",
    case: summaryOf(kase),
    next: `Nothing was executed. Case ${kase.caseId} is ${kase.state}: ${waits ?? "not final"}. ${runs}`,
    forModel:
      "Not executed yet. It waits for a decision by others. Do not call it again now; say that it is pending and continue with other work.",
  };
}

/** It was asked for, and a worker is to run it. `tied`: only if the transaction that it was asked in commits. */
export function enqueued(kase: Case, tied: boolean): HeldOutcome {
  const when = kase.state === "FINAL" ? "" : " when it is final";
  const once = tied ? `${when}, once and only if this transaction has committed` : when;
  return {
    status: "pending",
    effect: "none",
    case: summaryOf(kase),
    next: `Nothing was executed yet. Case ${kase.caseId} is queued: a worker runs it${once}.`,
    forModel:
      "Not executed yet. It is queued and will be done by itself. Do not call it again; continue with other work.",
  };
}

function isQueued(kase: Case | Absent): boolean {
  return (
    kase.state !== "ABSENT" && kase.state !== "RETIRED" && (kase.intent?.queued ?? null) !== null
  );
}

export function inProgress(kase: Case | Absent): HeldOutcome {
  return {
    status: "in_progress",
    effect: "unknown",
    case: summaryOf(kase),
    next: `Case ${kase.caseId} is being executed by another caller. Ask again with the same request id to get its receipt.`,
    forModel: "It is being done already. Do not start it again; ask later for the result.",
  };
}

const doubtReasons = {
  lease_ended: "its worker was not heard of again",
  threw: "it ended with an error that does not say whether it happened",
  timed_out: "it did not end in its time",
  ended_itself: "it ended its transaction itself",
} as const;

export function inDoubt(kase: InDoubt, mayRunAgain: boolean): HeldOutcome {
  const { claim, doubt } = kase;
  const why = doubtReasons[doubt.reason];
  const facts = `Case ${kase.caseId} may have run once: ${why}.`;
  const base = { status: "in_doubt", effect: "unknown", case: summaryOf(kase) } as const;
  if (mayRunAgain) {
    return {
      ...base,
      next: `${facts} It is declared ${claim.terms.class}: asking again repeats it without harm.`,
      forModel: "Unknown whether it ran. Calling it again with the same arguments is safe.",
    };
  }
  const probing =
    doubt.probeAt === null ? "" : " The next call or sweep asks the world by its probe.";
  return {
    ...base,
    next: `${facts} It will not run again by itself.${probing} Check with the provider, then: guard.resolve(caseId, { happened }, { by, evidence }).`,
    forModel:
      "Unknown whether it ran. Do not call it again. A person is checking; continue with other work or say that it is pending.",
  };
}

/** It ran, and its case had been ended without effect: neither may be said of it alone. */
export function contradicted(kase: Void): HeldOutcome {
  return {
    status: "in_doubt",
    effect: "unknown",
    case: summaryOf(kase),
    next: `Case ${kase.caseId} ran, although it had been ended as ${kase.receipt.reason} meanwhile. Its result is in the journal. Check with the provider, and undo it there if it must not be.`,
    forModel:
      "It ran, but had been recorded as not to be done. Do not call it again. A person has to look at it.",
  };
}

const voidReasons = {
  rejected: "it was decided against",
  denied: "an approver denied it",
  expired: "nobody approved it in time",
  not_performed: "it did not happen and never will",
  withdrawn: "it was withdrawn",
} as const;

export function nothing(receipt: NoneReceipt, summary: CaseSummary): HeldOutcome {
  const why = voidReasons[receipt.reason];
  return {
    status: "void",
    effect: "none",
    case: summary,
    receipt,
    next: `Nothing was executed, and nothing will be: ${why}. A new action needs a new id.`,
    forModel: `Not executed: ${why}. This is final; do not call it again.`,
  };
}
