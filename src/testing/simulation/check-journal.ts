import type { Case, Event } from "../../index.ts";
import type { Book } from "./book.ts";
import { type NaiveVerdict, naiveTooLate, naiveVerdict } from "./naive-verdict.ts";
import { policyOf } from "./setting.ts";

/** A commit that landed, as plain data. */
export interface Landing {
  readonly next: Case;
  /** Null: a renewal. */
  readonly event: Event | null;
}

/**
 * What is wrong with a commit, in a sentence that begins with the promise it breaks. Looks at what
 * was written and at the facts, not at how the guard came to it. Called before the book is brought
 * up to date.
 */
export function landingFault(book: Book, landing: Landing): string | undefined {
  return (
    orderFault(book, landing) ??
    endFault(book, landing) ??
    claimFault(book, landing) ??
    speakerFault(book, landing) ??
    truthFault(book, landing) ??
    queueFault(book, landing)
  );
}

const deliberating: ReadonlySet<string> = new Set([
  "OPEN",
  "RESOLVED_PROVISIONAL",
  "IN_RECONCILIATION",
]);
const ended: ReadonlySet<string> = new Set(["SETTLED", "VOID", "RETIRED"]);

function orderFault({ record, setting }: Book, { next, event }: Landing): string | undefined {
  const { caseId } = setting;
  const version = record?.version ?? 0;
  if (next.version !== version + 1) {
    return `P4: ${caseId} went from version ${version} to ${next.version}: a commit was lost or made twice`;
  }
  const entries = (record?.entries ?? 0) + (event === null ? 0 : 1);
  if (next.entries !== entries)
    return `P4: ${caseId} has ${next.entries} entries instead of ${entries}`;
  if (record !== null && !deliberating.has(record.state) && deliberating.has(next.state)) {
    return `P6: ${caseId} was final, and is ${next.state} again`;
  }
  return undefined;
}

/** P3, P8: an end is an end, and its receipt never changes. */
function endFault({ record, receipt, setting }: Book, { next }: Landing): string | undefined {
  if (record === null || !ended.has(record.state)) return undefined;
  if (next.state !== record.state)
    return `P8: ${setting.caseId} left ${record.state} for ${next.state}`;
  const text = "receipt" in next ? JSON.stringify(next.receipt) : null;
  return text === receipt ? undefined : `P3: the receipt of ${setting.caseId} changed`;
}

function claimFault(book: Book, { next, event }: Landing): string | undefined {
  const { caseId, action, decision } = book.setting;
  if (event?.type !== "claim") return undefined;
  if (next.state !== "EXECUTING") return `P8: a claim left ${caseId} ${next.state}`;
  if (book.claims.has(next.claim.fence) || next.claim.fence < latest(book)) {
    return `P8: claim ${next.claim.fence} of ${caseId} is not above every earlier one`;
  }
  const from = book.record?.state ?? "ABSENT";
  const isFirst = from === "ABSENT" && decision === "immediate";
  const isAgain = from === "IN_DOUBT" && (action.startsWith("keyed") || action === "idempotent");
  return isFirst || isAgain || from === "FINAL"
    ? undefined
    : `P1: ${caseId} was claimed while ${from}`;
}

/** P8: only the holder of the latest claim has a say on it. */
function speakerFault(book: Book, { next, event }: Landing): string | undefined {
  const { caseId } = book.setting;
  switch (event?.type) {
    case "settle":
    case "release":
    case "doubt":
    case "probed":
    case "resolve":
      return event.fence === latest(book)
        ? undefined
        : `P8: ${event.type} of claim ${event.fence} was heard, claim ${latest(book)} of ${caseId} stands`;
    case "lease_ended":
      return book.record?.state === "EXECUTING" && next.state === "IN_DOUBT"
        ? undefined
        : `P5: the end of a lease led ${caseId} from ${book.record?.state} to ${next.state}`;
    case "expire": {
      const { decision } = book.setting;
      const isOver =
        decision !== "immediate" && naiveTooLate(policyOf(decision), book.voices, event.at);
      return isOver && next.state === "VOID" ? undefined : `P9: ${caseId} expired before its time`;
    }
    case "late_result":
    case "ask":
      return next.state === book.record?.state ? undefined : `P8: ${event.type} changed ${caseId}`;
    default:
      return undefined;
  }
}

/** P5: what is written down of the world is so. */
function truthFault(book: Book, { next, event }: Landing): string | undefined {
  const { caseId } = book.setting;
  if (next.state === "SETTLED" && book.happened === 0) {
    return `P5: ${caseId} is settled, and did not happen`;
  }
  const unsaid = event === null ? undefined : wordFault(book, event);
  if (unsaid !== undefined || next.state !== "VOID" || book.record?.state === "VOID") return unsaid;
  const released = event?.type === "release" ? event.fence : 0;
  const unknown = book.attempts.some((one) => !one.cleared && one.fence !== released);
  return book.happened > 0 || unknown ? `P5: ${caseId} is void, and may have happened` : undefined;
}

/** P4: a queued case that may run is due for its workers, and no other is; who queued it stays. */
function queueFault({ record, setting }: Book, { next }: Landing): string | undefined {
  const { caseId } = setting;
  if (next.state === "RETIRED" || next.intent === null) return undefined;
  const { queued } = next.intent;
  const held = record !== null && record.state !== "RETIRED" ? record.intent : null;
  if (held !== null && held.queued !== queued)
    return `P4: ${caseId} was queued by ${held.queued}, and now is by ${queued}`;
  if (next.state !== "FINAL" || (next.runAt === null) === (queued === null)) return undefined;
  return `P4: ${caseId}, queued by ${queued}, is due at ${next.runAt}`;
}

/** Whoever is quoted has said so. */
function wordFault({ setting, attempts, words }: Book, event: Event): string | undefined {
  const { caseId } = setting;
  switch (event.type) {
    case "settle": {
      const { fence } = event;
      return attempts.some((one) => one.fence === fence && one.told === "returned")
        ? undefined
        : `P5: claim ${fence} of ${caseId} was settled, and returned nothing`;
    }
    case "release": {
      const own = attempts.find((one) => one.fence === event.fence);
      return own === undefined || own.told === "not performed"
        ? undefined
        : `P5: claim ${event.fence} of ${caseId} was released, and nobody knows that it did not happen`;
    }
    case "probed":
      return event.found.answer !== "absent" || words.probeSaidAbsent >= event.fence
        ? undefined
        : `P5: no probe found ${caseId} absent`;
    case "resolve":
      return event.happened || words.personSaidAbsent >= event.fence
        ? undefined
        : `P5: nobody said that ${caseId} did not happen`;
    default:
      return undefined;
  }
}

function latest({ claims }: Book): number {
  return Math.max(0, ...claims);
}

/** Brings the facts up to date with a commit. */
export function keep(book: Book, { next, event }: Landing): void {
  const isOver = book.record !== null && ended.has(book.record.state);
  book.record = next;
  if ("receipt" in next) book.receipt = JSON.stringify(next.receipt);
  if (event === null) return;
  if (event.type === "claim" && next.state === "EXECUTING") book.claims.add(next.claim.fence);
  if (event.type === "settle" || event.type === "late_result") book.results.add(event.fence);
  if (event.type === "release") clear(book, event.fence, event.fence);
  if (event.type === "probed" && event.found.answer === "absent") clearUpTo(book, event.fence);
  if (event.type === "resolve" && !event.happened) clearUpTo(book, event.fence);
  if (!isOver) hear(book, event);
}

function clear(book: Book, from: number, to: number): void {
  for (const attempt of book.attempts) {
    if (attempt.fence >= from && attempt.fence <= to) attempt.cleared = true;
  }
}

function clearUpTo(book: Book, fence: number): void {
  book.clearedUpTo = Math.max(book.clearedUpTo, fence);
  clear(book, 0, fence);
}

/** P6, P7: the verdict is made of the set of voices, here by the naive reference. */
function hear(book: Book, event: Event): void {
  const { voices } = book;
  if (event.type === "open") voices.openedAt = event.at;
  const intent = event.type === "open" || event.type === "claim" ? event.intent : null;
  if (intent !== null && voices.fingerprint === null) {
    voices.fingerprint = intent.fingerprint;
    voices.proposer = intent.proposer;
  }
  if (book.decided !== null || book.setting.decision === "immediate") return;
  switch (event.type) {
    case "signal":
      voices.signals.push(event.signal);
      break;
    case "approve":
    case "deny": {
      const { by: actor, fingerprint, note, at } = event;
      voices.approvals.push({ actor, approved: event.type === "approve", fingerprint, note, at });
      break;
    }
    case "decide":
      voices.decision = {
        outcome: event.outcome,
        by: event.by,
        reason: event.reason,
        at: event.at,
      };
      break;
    default:
      return;
  }
  const verdict = naiveVerdict(policyOf(book.setting.decision), voices);
  if (verdict.status !== "undecided") book.decided = verdict;
}

/** P6: the stored verdict is the naive one. Looked at after the book is up to date. */
export function verdictFault({ record, decided, setting }: Book): string | undefined {
  if (record === null || record.state === "RETIRED" || setting.decision === "immediate")
    return undefined;
  const stored = record.deliberation?.verdict;
  if (stored === undefined) return `P6: the deliberation of ${setting.caseId} was lost`;
  const wanted: NaiveVerdict = decided ?? { status: "undecided", outcome: null };
  return stored.status === wanted.status && stored.outcome === wanted.outcome
    ? undefined
    : `P6: the verdict on ${setting.caseId} is ${stored.status} ${stored.outcome}, by the reference ${wanted.status} ${wanted.outcome}`;
}
