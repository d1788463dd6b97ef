import { limits } from "../core/limits.ts";
import type { CaseSummary, Intent } from "../core/case.ts";
import type { Outcome } from "../core/outcome.ts";
import type { NoneReceipt, OnceReceipt } from "../core/receipt.ts";
import type { Ask } from "./ask.ts";
import { happened, nothing } from "./words.ts";

/**
 * Finished cases by the requests that asked for them, so that a replay needs no store. They can't
 * change any more, so nothing in here is ever out of date. The least recently used one goes first.
 */
export interface FinishedCases {
  /** The end of the case that a request is bound to, if it is remembered. */
  find(requestId: string): Finished | undefined;
  keep(ask: Ask, intent: Intent, receipt: OnceReceipt | NoneReceipt): void;
  /** After pruning: what is retired must be refused, not replayed. */
  forget(): void;
}

export interface Finished {
  readonly caseId: string;
  readonly fingerprint: string;
  /** The payload's canonical JSON, to compare without hashing; null where fields don't count. */
  readonly payloadText: string | null;
  readonly summary: CaseSummary;
  readonly outcome: Outcome;
}

export function createFinishedCases(capacity: number = limits.finishedCases): FinishedCases {
  const byRequest = new Map<string, Finished>();
  return {
    find(requestId) {
      const found = byRequest.get(requestId);
      // A Map keeps the order of insertion: to touch is to insert again. Far from full, who cares.
      if (found !== undefined && byRequest.size > capacity / 2) {
        byRequest.delete(requestId);
        byRequest.set(requestId, found);
      }
      return found;
    },
    keep(ask, intent, receipt) {
      const { payloadText, requestId } = ask;
      if (payloadText.length > limits.finishedChars) return;
      if (receipt.effect === "once" && isLong(receipt.value)) return;
      const summary = summaryOfEnd(intent, receipt);
      byRequest.delete(requestId);
      byRequest.set(requestId, {
        caseId: receipt.caseId,
        fingerprint: intent.fingerprint,
        payloadText: ask.ignore.length === 0 ? payloadText : null,
        summary,
        outcome: Object.freeze(
          receipt.effect === "once" ? happened(receipt, true) : nothing(receipt, summary),
        ),
      });
      if (byRequest.size > capacity) {
        const oldest = byRequest.keys().next();
        if (oldest.done !== true) byRequest.delete(oldest.value);
      }
    },
    forget: () => byRequest.clear(),
  };
}

function summaryOfEnd(intent: Intent, receipt: OnceReceipt | NoneReceipt): CaseSummary {
  return {
    caseId: receipt.caseId,
    state: receipt.effect === "once" ? "SETTLED" : "VOID",
    action: intent.action,
    verdict: null,
    updatedAt: receipt.settledAt,
  };
}

function isLong(value: unknown): boolean {
  if (typeof value === "string") return value.length > limits.finishedChars;
  if (typeof value !== "object" || value === null) return false;
  return JSON.stringify(value).length > limits.finishedChars;
}
