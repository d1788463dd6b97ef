import type { Intent } from "../core/case.ts";
import { limits } from "../core/limits.ts";
import type { NoneReceipt, OnceReceipt } from "../core/receipt.ts";
import type { Ask } from "./ask.ts";

/**
 * Finished cases by the requests that asked for them, so that a replay needs no store. They can't
 * change any more, so nothing in here is ever out of date. What was
 * not asked for in a long while goes first.
 */
export interface FinishedCases {
  /** The end of the case that a request is bound to, if it is remembered. */
  find(requestId: string): Finished | undefined;
  keep(ask: Ask, intent: Intent, receipt: OnceReceipt | NoneReceipt): void;
  /** After pruning by this guard: what it retired is refused, not replayed. */
  forget(): void;
}

export interface Finished {
  readonly fingerprint: string;
  readonly action: string;
  /** The payload's canonical JSON, to compare without hashing; null where fields don't count. */
  readonly payloadText: string | null;
  readonly receipt: OnceReceipt | NoneReceipt;
}

export function createFinishedCases(capacity: number = limits.finishedCases): FinishedCases {
  // Two generations instead of a list by age: when the young one is full it becomes the old one, and
  // what was not asked for since is let go. Evicting one by one from a Map costs more than the case.
  let young = new Map<string, Finished>();
  let old = new Map<string, Finished>();

  const put = (requestId: string, one: Finished) => {
    young.set(requestId, one);
    if (young.size < capacity) return;
    old = young;
    young = new Map();
  };

  return {
    find(requestId) {
      const found = young.get(requestId);
      if (found !== undefined) return found;
      const aged = old.get(requestId);
      if (aged !== undefined) put(requestId, aged);
      return aged;
    },
    keep(ask, intent, receipt) {
      const { payloadText, requestId } = ask;
      if (payloadText.length > limits.finishedChars) return;
      if (receipt.effect === "once" && isLong(receipt.value)) return;
      put(requestId, {
        fingerprint: intent.fingerprint,
        action: intent.action,
        payloadText: ask.ignore.length === 0 ? payloadText : null,
        receipt,
      });
    },
    forget() {
      young.clear();
      old.clear();
    },
  };
}

function isLong(value: unknown): boolean {
  if (typeof value === "string") return value.length > limits.finishedChars;
  if (typeof value !== "object" || value === null) return false;
  return JSON.stringify(value).length > limits.finishedChars;
}
