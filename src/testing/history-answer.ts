import type { Outcome } from "../index.ts";
import type { HistoryAnswer } from "./history.ts";

/**
 * What a guard's outcome is in a history: its status, and the receipt's exact text.
 *
 * @example const answer = historyAnswer(await guard.execute(call));
 */
export function historyAnswer(outcome: Outcome<unknown>): HistoryAnswer {
  switch (outcome.status) {
    case "settled": {
      const { receipt, recorded } = outcome;
      return { status: "settled", receipt: JSON.stringify(receipt), recorded };
    }
    case "void":
      return { status: "void", receipt: JSON.stringify(outcome.receipt) };
    case "not_performed":
    case "pending":
    case "in_doubt":
    case "in_progress":
      return { status: outcome.status };
  }
}
