import type { Absent, Case, Retired } from "./case.ts";
import { type Entry, entryText, readEntry } from "./entry.ts";
import type { Event } from "./event.ts";
import type { CaseId, RequestId } from "./identity.ts";
import type { Stored } from "./store.ts";
import { transition } from "./transition.ts";

/** SHA-256 of a text, in lower-case hex: handed in, since core computes no digests. */
export type Sha256 = (text: string) => string;

/** What a case's journal, read from its first entry, has come to. */
export interface Replay {
  /** As the entries give it: what renewals have added is in no entry. */
  readonly case: Case | Absent;
  /** The hash of the latest entry; null: there was none yet. */
  readonly head: string | null;
  /** Whether a lease was renewed before an entry, ever. */
  readonly renewed: boolean;
  /** Whether the lease of the claim that stands was. */
  readonly extended: boolean;
}

/** What is wrong with an entry. */
export type EntryFault =
  /** Its text is no entry. */
  | "unreadable"
  /** It doesn't have the number that comes next. */
  | "misplaced"
  /** It was not written after the entry before it, as that one stands. */
  | "unlinked"
  /** What it tells can't have happened to the case then. */
  | "refused"
  /** The machine makes another entry of what it tells. */
  | "different";

export type ReplayStep =
  | { readonly ok: true; readonly replay: Replay; readonly event: Event }
  | { readonly ok: false; readonly fault: EntryFault };

/** Before the first entry. */
export function replayOf(namespace: string, caseId: CaseId): Replay {
  const absent: Absent = { state: "ABSENT", namespace, caseId };
  return { case: absent, head: null, renewed: false, extended: false };
}

/**
 * One entry more, through the same machine that wrote it: its text must come out again, byte for
 * byte. It comes from a store that may be damaged, so nothing of it is trusted.
 */
export function replayEntry(before: Replay, text: string, sha256: Sha256): ReplayStep {
  try {
    return replayed(before, readEntry(text), text, sha256);
  } catch {
    // Not JSON, or JSON that is no entry or holds no event.
    return { ok: false, fault: "unreadable" };
  }
}

function replayed(before: Replay, entry: Entry, text: string, sha256: Sha256): ReplayStep {
  const { event } = entry;
  if (entry.sequence !== entriesOf(before.case) + 1) return { ok: false, fault: "misplaced" };
  if (entry.previous !== before.head) return { ok: false, fault: "unlinked" };
  const renewals = entry.version - versionOf(before.case) - 1;
  if (!mayFollow(before.case, renewals)) return { ok: false, fault: "different" };
  // Undefined for a type of event that this version doesn't know.
  const answer = event.type === "renew" ? undefined : transition(before.case, event);
  if (answer?.ok !== true) return { ok: false, fault: "refused" };
  const next = { ...answer.next, version: entry.version };
  if (entryText(next, event, before.head) !== text) return { ok: false, fault: "different" };
  const replay: Replay = {
    case: next,
    head: sha256(text),
    renewed: before.renewed || renewals > 0,
    extended: event.type !== "claim" && (before.extended || renewals > 0),
  };
  return { ok: true, replay, event };
}

function entriesOf(kase: Case | Absent): number {
  return kase.state === "ABSENT" ? 0 : kase.entries;
}

function versionOf(kase: Case | Absent): number {
  return kase.state === "ABSENT" ? 0 : kase.version;
}

/** Each renewal of a lease takes a version and leaves no entry; nothing else does. */
function mayFollow(before: Case | Absent, renewals: number): boolean {
  const most = before.state === "EXECUTING" ? Number.MAX_SAFE_INTEGER : 0;
  return Number.isInteger(renewals) && renewals >= 0 && renewals <= most;
}

/**
 * Of two entries that are not linked (the one at `index` doesn't name the hash of the one before it),
 * the place of the one that was changed: not the later one, where what comes after it still names it.
 */
export function changedEntry(
  texts: readonly string[],
  index: number,
  head: string,
  sha256: Sha256,
): number {
  const hash = sha256(texts[index] ?? "");
  const later = texts[index + 1];
  const named = later === undefined ? head : previousOf(later);
  return named === hash && index > 0 ? index - 1 : index;
}

function previousOf(text: string): string | null {
  try {
    return readEntry(text).previous;
  } catch {
    return null;
  }
}

/** The request id that an event binds to its case, as far as it tells. */
export function requestOf(event: Event): RequestId | null {
  return "requestId" in event ? event.requestId : null;
}

/** The members of a stored record that are not as its journal gives them; "head" is the hash beside it. */
export function differences(replay: Replay, stored: Stored): readonly string[] {
  const wanted = withRenewals(replay, stored.case);
  const found = stored.case;
  const head = stored.head === replay.head ? [] : ["head"];
  if (JSON.stringify(wanted) === JSON.stringify(found)) return head;
  const names = new Set([...Object.keys(wanted), ...Object.keys(found)]);
  const members = [...names].filter((name) => textAt(wanted, name) !== textAt(found, name));
  return [...head, ...(members.length > 0 ? members : ["the order of its members"])];
}

/** The replayed case with what renewals may have added: versions, and later instants. */
function withRenewals(replay: Replay, stored: Case): Case | Absent {
  const { case: kase } = replay;
  if (kase.state === "ABSENT") return kase;
  const since = kase.state === "EXECUTING" && stored.version > kase.version;
  const next = {
    ...kase,
    version: since ? stored.version : kase.version,
    updatedAt:
      since || replay.renewed ? Math.max(kase.updatedAt, stored.updatedAt) : kase.updatedAt,
  };
  if (next.state !== "EXECUTING" || stored.state !== "EXECUTING") return next;
  const longer = since || replay.extended;
  return {
    ...next,
    leaseUntil: longer ? Math.max(next.leaseUntil, stored.leaseUntil) : next.leaseUntil,
  };
}

function textAt(kase: object, name: string): string | undefined {
  return JSON.stringify((kase as Record<string, unknown>)[name]);
}

/** Whether a tombstone is as pruning left it. Its journal is gone: its own hash stands beside it. */
export function isWhole(stone: Retired, head: string, sha256: Sha256): boolean {
  return sha256(JSON.stringify(stone)) === head;
}
