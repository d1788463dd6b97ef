/**
 * What an outsider can know of a run: the calls' beginnings and ends, what the world itself counted,
 * and which cases are listed as in doubt when everything is over. Nothing of the guard.
 *
 * All instants are of one clock that only runs forward, such as `performance.now()` in one process
 * or `process.hrtime()` on one machine.
 */
export interface History {
  readonly calls: readonly HistoryCall[];
  /** By case: what the world counted. A case that it was never called for needs no line. */
  readonly book: { readonly [caseId: string]: BookLine };
  /** The cases listed as in doubt at the end. */
  readonly doubts: readonly string[];
  /** Doubts that a person has cleared. */
  readonly resolved: readonly string[];
}

export interface HistoryCall {
  /** Names it in what is found. */
  readonly callId: string;
  readonly caseId: string;
  readonly requestId: string;
  /** The payload's text, to tell two of them apart. */
  readonly payload: string;
  /** When the caller asked. */
  readonly began: number;
  /** When the caller was answered, and what; null: never, since its process died. */
  readonly end: { readonly at: number; readonly answer: HistoryAnswer } | null;
}

/** What a caller was told. */
export type HistoryAnswer =
  /** It happened; `recorded`: and whoever said so promised to remember it. */
  | { readonly status: "settled"; readonly receipt: string; readonly recorded: boolean }
  /** It did not happen and never will. */
  | { readonly status: "void"; readonly receipt: string }
  /** It has not happened. */
  | { readonly status: "not_performed" | "pending" }
  /** Nobody knows, or somebody else is at it. */
  | { readonly status: "in_doubt" | "in_progress" }
  /** Only a receipt was asked for, and there was none. */
  | { readonly status: "no_receipt" }
  /** An error, and what it said of the effect: not run by this call, or unknown. */
  | { readonly status: "failed"; readonly effect: "none" | "unknown" };

/** What the world counted of one case. */
export interface BookLine {
  readonly class: "opaque" | "keyed" | "probeable" | "idempotent" | "transactional";
  /** How often it was called, and did not refuse. */
  readonly calls: number;
  /**
   * How often it really happened. For an idempotent effect: 1, however often it was repeated. For a
   * transactional one: what was committed counts, and nothing else.
   */
  readonly effects: number;
  /** The different idempotency keys it was called with. */
  readonly keys: readonly string[];
  /** When it first happened; null: it never did. */
  readonly happenedAt: number | null;
}

/** A promise that was broken, and by which calls that shows. */
export interface Violation {
  readonly promise: "P1" | "P2" | "P3" | "P4" | "P5";
  readonly kind: ViolationKind;
  readonly caseId: string;
  /** For a person, with the facts. */
  readonly says: string;
  readonly callIds: readonly string[];
}

export type ViolationKind =
  /** P1 for opaque effects, P2 for the others: it happened more than once. */
  | "effect_doubled"
  /** P2: a keyed effect was called with two keys. */
  | "two_keys"
  /** P2: a transactional effect is listed as in doubt; it was committed, or it wasn't. */
  | "needless_doubt"
  /** P3: two receipts for one case, or one that changed. */
  | "two_receipts"
  /** P3: one case, and two payloads that were both answered as done. */
  | "two_payloads"
  /** P4: answered with a receipt, and later otherwise. */
  | "receipt_lost"
  /** P5: reported as done, and it never happened. */
  | "false_success"
  /** P5: reported as not done, and it had happened. */
  | "false_failure"
  /** P5: it was started, nobody was told how it ended, and it is not listed as in doubt. */
  | "doubt_not_listed";

/**
 * Judges a history: what promise was broken, and where. An empty answer means that nothing in it
 * contradicts the promises. It shares no code with the guard, so it can judge other tools as well.
 *
 * @example
 * const violations = judgeHistory({
 *   calls: [
 *     { callId: "1", caseId: "refund:7", requestId: "r1", payload: "{}", began: 1, end: null },
 *     {
 *       callId: "2", caseId: "refund:7", requestId: "r1", payload: "{}", began: 2,
 *       end: { at: 3, answer: { status: "settled", receipt: "{\"id\":1}", recorded: true } },
 *     },
 *   ],
 *   book: { "refund:7": { class: "opaque", calls: 2, effects: 2, keys: ["k"], happenedAt: 1.5 } },
 *   doubts: [],
 *   resolved: [],
 * });
 * violations[0]?.kind; // "effect_doubled"
 */
export function judgeHistory(history: History): readonly Violation[] {
  const byCase = new Map<string, HistoryCall[]>();
  for (const caseId of Object.keys(history.book)) byCase.set(caseId, []);
  for (const call of history.calls) {
    const calls = byCase.get(call.caseId);
    if (calls === undefined) byCase.set(call.caseId, [call]);
    else calls.push(call);
  }
  const doubts = new Set(history.doubts);
  const resolved = new Set(history.resolved);
  return [...byCase].flatMap(([caseId, calls]) => {
    const line = history.book[caseId] ?? neverCalled;
    const isListed = doubts.has(caseId);
    const seen: Seen = { caseId, calls, line, isListed, isResolved: resolved.has(caseId) };
    return judges.flatMap((judge) => judge(seen));
  });
}

/** One case, as it was seen. */
interface Seen {
  readonly caseId: string;
  readonly calls: readonly HistoryCall[];
  readonly line: BookLine;
  readonly isListed: boolean;
  readonly isResolved: boolean;
}

type Judge = (seen: Seen) => readonly Violation[];

const neverCalled: BookLine = {
  class: "opaque",
  calls: 0,
  effects: 0,
  keys: [],
  happenedAt: null,
};

const effectDoubled: Judge = ({ caseId, calls, line }) => {
  if (line.effects <= 1) return [];
  const promise = line.class === "opaque" ? "P1" : "P2";
  const says = `${line.class}, happened ${line.effects} times in ${line.calls} calls`;
  return [found(promise, "effect_doubled", caseId, says, calls)];
};

const twoKeys: Judge = ({ caseId, calls, line }) => {
  if (line.class !== "keyed" || line.keys.length <= 1) return [];
  const says = `keyed, called with ${line.keys.length} different keys`;
  return [found("P2", "two_keys", caseId, says, calls)];
};

const needlessDoubt: Judge = ({ caseId, calls, line, isListed }) => {
  if (line.class !== "transactional" || !isListed) return [];
  const says = "transactional, and listed as in doubt";
  return [found("P2", "needless_doubt", caseId, says, calls)];
};

const twoReceipts: Judge = ({ caseId, calls }) => {
  const [first, ...others] = receiptsOf(calls);
  const other = others.find(({ receipt }) => receipt !== first?.receipt);
  if (first === undefined || other === undefined) return [];
  const says = `answered with ${first.receipt} and with ${other.receipt}`;
  return [found("P3", "two_receipts", caseId, says, [first.call, other.call])];
};

const twoPayloads: Judge = ({ caseId, calls }) => {
  const done = calls.filter(({ end }) => end?.answer.status === "settled");
  const [first] = done;
  const other = done.find(({ payload }) => payload !== first?.payload);
  if (first === undefined || other === undefined) return [];
  const says = "answered as done for two payloads";
  return [found("P3", "two_payloads", caseId, says, [first, other])];
};

const receiptLost: Judge = ({ caseId, calls, isListed }) => {
  const receipts = receiptsOf(calls);
  const [first] = receipts;
  if (first === undefined) return [];
  const kept = isListed ? [found("P4", "receipt_lost", caseId, listedToo, [first.call])] : [];
  const lost = calls.flatMap((call) => {
    if (call.end === null) return [];
    const { status } = call.end.answer;
    // A request that was answered first under another name may have no receipt under its own.
    const among = status === "no_receipt" ? receipts.filter(sameRequest(call)) : receipts;
    const before = among.find((one) => one.at < call.began);
    if (before === undefined || !isLoss(call.end.answer)) return [];
    const says = `answered with a receipt, and later ${status}`;
    return [found("P4", "receipt_lost", caseId, says, [before.call, call])];
  });
  return [...kept, ...lost];
};

const listedToo = "answered with a receipt, and listed as in doubt at the end";

/** Whether an answer takes an earlier receipt back. An error doesn't, nor does a wait that is over. */
function isLoss(answer: HistoryAnswer): boolean {
  switch (answer.status) {
    case "settled":
    case "void":
    case "in_progress":
    case "failed":
      return false;
    case "not_performed":
    case "pending":
    case "in_doubt":
    case "no_receipt":
      return true;
  }
}

const falseSuccess: Judge = ({ caseId, calls, line }) => {
  if (line.effects > 0) return [];
  const told = calls.filter(({ end }) => end?.answer.status === "settled");
  if (told.length === 0) return [];
  return [found("P5", "false_success", caseId, "reported as done, and never happened", told)];
};

const falseFailure: Judge = ({ caseId, calls, line }) => {
  const { effects, happenedAt } = line;
  if (effects === 0 || happenedAt === null) return [];
  const told = calls.filter(({ began, end }) => {
    if (end === null) return false;
    const { status } = end.answer;
    // Void is for ever; the others only speak of the time until they were said.
    if (status === "void") return true;
    return (status === "not_performed" || status === "pending") && happenedAt < began;
  });
  if (told.length > 0) {
    return [found("P5", "false_failure", caseId, "reported as not done; it had happened", told)];
  }
  // One of them has done it, and not one of them says so.
  const asked = calls.filter(({ end }) => end?.answer.status !== "no_receipt");
  const lastAt = Math.max(...asked.map(({ end }) => end?.at ?? Number.POSITIVE_INFINITY));
  if (asked.length === 0 || happenedAt > lastAt || !asked.every(saysNone)) return [];
  return [found("P5", "false_failure", caseId, "happened, and every call says that not", asked)];
};

function saysNone({ end }: HistoryCall): boolean {
  if (end === null) return false;
  const { answer } = end;
  if (answer.status === "failed") return answer.effect === "none";
  return answer.status === "not_performed" || answer.status === "pending";
}

const doubtNotListed: Judge = ({ caseId, calls, line, isListed, isResolved }) => {
  if (line.calls === 0 || isListed || isResolved || receiptsOf(calls).length > 0) return [];
  // What was rolled back is known not to have happened.
  if (line.class === "transactional" && line.effects === 0) return [];
  const says = `called ${line.calls} times, without a receipt, and not listed as in doubt`;
  return [found("P5", "doubt_not_listed", caseId, says, calls)];
};

const judges: readonly Judge[] = [
  effectDoubled,
  twoKeys,
  needlessDoubt,
  twoReceipts,
  twoPayloads,
  receiptLost,
  falseSuccess,
  falseFailure,
  doubtNotListed,
];

interface Acknowledged {
  readonly call: HistoryCall;
  readonly at: number;
  readonly receipt: string;
}

/** The answers that promised to be remembered, in the order they were given. */
function receiptsOf(calls: readonly HistoryCall[]): readonly Acknowledged[] {
  const receipts = calls.flatMap((call) => {
    const answer = call.end?.answer;
    if (call.end === null || answer === undefined) return [];
    const isKept =
      answer.status === "void" || (answer.status === "settled" && answer.recorded === true);
    return isKept ? [{ call, at: call.end.at, receipt: answer.receipt }] : [];
  });
  return receipts.sort((one, other) => one.at - other.at);
}

const sameRequest =
  ({ requestId }: HistoryCall) =>
  ({ call }: Acknowledged): boolean =>
    call.requestId === requestId;

function found(
  promise: Violation["promise"],
  kind: ViolationKind,
  caseId: string,
  says: string,
  calls: readonly HistoryCall[],
): Violation {
  return { promise, kind, caseId, says, callIds: calls.map(({ callId }) => callId) };
}
