import { mayRunAgain } from "../core/advance.ts";
import { type Case, summaryOf } from "../core/case.ts";
import type { Outcome } from "../core/outcome.ts";
import { refused } from "./refused.ts";
import { happened, inDoubt, inProgress, nothing, notPerformed, pending } from "./words.ts";

/** What a case, as it stands, is to a caller. */
export function standing(kase: Case, replayed: boolean, at: number = kase.updatedAt): Outcome {
  switch (kase.state) {
    case "SETTLED":
      return happened(kase.receipt, replayed);
    case "VOID":
      return nothing(kase.receipt, summaryOf(kase));
    case "IN_DOUBT":
      return inDoubt(kase, mayRunAgain(kase, at));
    case "EXECUTING":
      return inProgress(kase);
    case "FINAL":
      return kase.past === null ? pending(kase) : notPerformed(kase, kase.past.reason);
    case "OPEN":
    case "RESOLVED_PROVISIONAL":
    case "IN_RECONCILIATION":
      return pending(kase);
    case "RETIRED":
      throw refused("retired", kase);
  }
}
