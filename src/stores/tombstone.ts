import { hash } from "node:crypto";
import { type Case, type Retired, retired } from "../core/case.ts";
import { readEntry } from "../core/entry.ts";
import type { CaseId, RequestId } from "../core/identity.ts";
import { requestOf } from "../core/replay.ts";
import type { Stored } from "../core/store.ts";
import { caseText, corrupt } from "./record.ts";

/** A finished case, as pruning finds it. */
export interface Finished extends Stored {
  readonly requests: readonly RequestId[];
}

export interface Tombstone {
  readonly next: Retired;
  readonly head: string;
}

/** The tombstone of a finished case. Its head is the hash of its own text: nothing else vouches for it. */
export function tombstoneOf({ case: kase, head: journalHash, requests }: Finished): Tombstone {
  if (!isFinished(kase)) throw new TypeError("not finished");
  const receiptHash = sha256(JSON.stringify(kase.receipt));
  const next = retired(kase, { receiptHash, journalHash, requests });
  return { next, head: sha256(caseText(next)) };
}

export function isFinished(kase: Case): kase is Extract<Case, { readonly receipt: object }> {
  return kase.state === "SETTLED" || kase.state === "VOID";
}

/**
 * The request ids that are bound to a case.
 *
 * @param own the case's id, where the request of that name is bound to it: an opening's entry doesn't tell
 */
export function requestsOf(entries: Iterable<string>, own: CaseId | null): readonly RequestId[] {
  const requests = new Set<RequestId>();
  for (const text of entries) {
    const request = requestIn(text);
    if (request !== null) requests.add(request);
  }
  if (own !== null) requests.add(own as string as RequestId);
  return [...requests];
}

function requestIn(text: string): RequestId | null {
  try {
    return requestOf(readEntry(text).event);
  } catch (cause) {
    // Pruning must not take the evidence away.
    throw corrupt("an entry of a journal that was to be dropped can't be read", cause);
  }
}

function sha256(text: string): string {
  return hash("sha256", text);
}
