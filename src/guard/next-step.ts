import { mayRunAgain } from "../core/advance.ts";
import type { Absent, Case } from "../core/case.ts";
import type { Ask } from "./ask.ts";
import { refused } from "./refused.ts";

/** What an ask does next about a case as it stands. */
export type NextStep =
  | { readonly do: "answer" | "open" | "expire" | "lease_ended" | "claim" | "probe" }
  | { readonly do: "wait"; readonly untilMs: number };

export interface Moment {
  /** By the store's clock. */
  readonly at: number;
  /** What is left of the caller's time to wait. */
  readonly leftMs: number;
  /** This call has opened the case, or found it opened by the same policy. */
  readonly opened: boolean;
  /** The effect has run in this very call: it isn't run again by it. */
  readonly ran: boolean;
}

/** Throws where there is nothing to be done but to refuse. */
export function stepFor(ask: Ask, kase: Case | Absent, moment: Moment): NextStep {
  const { at, leftMs, opened, ran } = moment;
  const start: NextStep = { do: ask.signal?.aborted === true ? "answer" : "claim" };
  switch (kase.state) {
    case "ABSENT":
      if (!ask.opens) throw refused("absent", kase, ask);
      return ask.policy.kind === "immediate" ? start : { do: "open" };
    case "OPEN":
    case "RESOLVED_PROVISIONAL":
    case "IN_RECONCILIATION": {
      const { expiresAt } = kase.deliberation;
      if (expiresAt !== null && at >= expiresAt) return { do: "expire" };
      // Opening again brings the action where it lacks, and finds out another policy.
      return { do: ask.policy.kind !== "immediate" && !opened ? "open" : "answer" };
    }
    case "FINAL":
      return ran || !mayClaim(ask, kase, at) ? { do: "answer" } : start;
    case "EXECUTING":
      if (at >= kase.leaseUntil) return { do: "lease_ended" };
      return leftMs <= 0 ? { do: "answer" } : { do: "wait", untilMs: kase.leaseUntil };
    case "IN_DOUBT": {
      if (!ran && mayClaim(ask, kase, at) && mayRunAgain(kase, at)) return start;
      const { probeAt } = kase.doubt;
      if (probeAt === null || ask.rules.probe === undefined) return { do: "answer" };
      if (at >= probeAt) return leftMs < 0 && ran ? { do: "answer" } : { do: "probe" };
      return probeAt - at >= leftMs ? { do: "answer" } : { do: "wait", untilMs: probeAt };
    }
    case "SETTLED":
    case "VOID":
      return { do: "answer" };
    case "RETIRED":
      throw refused("retired", kase, ask);
  }
}

/** Whether this ask may claim a case that the machine would let it claim. */
export function mayClaim(ask: Ask, kase: Case | Absent, at: number): boolean {
  switch (kase.state) {
    case "FINAL":
      // A caller who waits for it may at any time; a worker, when it is due.
      return ask.worker === null || (kase.runAt !== null && kase.runAt <= at);
    case "IN_DOUBT":
      // A transaction is not the repeat that the doubt's class allows: the earlier run was outside of
      // it. Nor does a worker repeat what is in doubt: the sweep does.
      return ask.worker === null && ask.terms.class !== "transactional";
    case "ABSENT":
    case "OPEN":
    case "RESOLVED_PROVISIONAL":
    case "IN_RECONCILIATION":
    case "EXECUTING":
    case "SETTLED":
    case "VOID":
    case "RETIRED":
      return true;
  }
}
