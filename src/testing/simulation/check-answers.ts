import { isGuardError, type Outcome } from "../../index.ts";
import type { Book } from "./book.ts";
import type { CallSeen } from "./call-seen.ts";

/** No answer may hold any of this: it stands in payloads and values. */
export const secret = "secret";

/** What is wrong with an answer, in a sentence that begins with the promise it breaks. */
export function answerFault(
  book: Book,
  call: CallSeen,
  answer: Outcome,
  troubles: number,
): string | undefined {
  const { caseId } = call;
  if (answer.status !== "settled" && tells(answer.next, answer.forModel)) {
    return `P3: the answer about ${caseId} tells what is stored`;
  }
  const isOther = book.payload !== null && call.payload !== book.payload;
  if (isOther && call.settledBefore !== null && answer.status !== "in_progress") {
    return `P3: another payload of ${caseId} was answered ${answer.status}`;
  }
  switch (answer.status) {
    case "settled":
      return settledFault(book, call, answer);
    case "void":
      if (book.happened > 0) return `P5: ${caseId} was called void, and it happened`;
      return JSON.stringify(answer.receipt) === book.receipt
        ? undefined
        : `P3: two receipts for the end of ${caseId}`;
    case "not_performed":
    case "pending":
      if (mayHaveRun(book, call)) {
        return `P5: ${caseId} was called ${answer.status}, and this very call may have run it`;
      }
      if (call.settledBefore !== null || call.happenedBefore > 0) {
        return `P5: ${caseId} was called ${answer.status}, and it had happened before`;
      }
      return undefined;
    case "in_doubt":
      // Whoever can't ask the store doesn't know, and says so.
      if (troubles > call.troublesBefore) return undefined;
      return call.settledBefore === null
        ? undefined
        : `P3: ${caseId} was settled, and called in doubt`;
    case "in_progress":
      return undefined;
  }
}

function settledFault(
  book: Book,
  call: CallSeen,
  answer: Extract<Outcome, { status: "settled" }>,
): string | undefined {
  const { caseId } = call;
  const { receipt, recorded } = answer;
  if (book.happened === 0) return `P5: ${caseId} was called settled, and it did not happen`;
  const value = receipt.value as { variant?: string } | undefined;
  if (value?.variant !== call.variant) return `P3: the receipt of ${caseId} is of another payload`;
  // A receipt that could not be written yet is told as such; somebody else may settle the case first.
  if (!recorded) return undefined;
  const text = JSON.stringify(receipt);
  if (call.settledBefore !== null && text !== call.settledBefore) {
    return `P3: ${caseId} was answered with another receipt than the one it was settled with`;
  }
  const state = book.record?.state;
  if (state !== "SETTLED" && state !== "RETIRED") {
    return `P4: a receipt of ${caseId} was given out as recorded, and the case is ${state ?? "absent"}`;
  }
  return text === book.receipt ? undefined : `P3: two receipts for ${caseId}`;
}

/** What is wrong with an error that a call ended with. */
export function errorFault(book: Book, call: CallSeen, error: unknown): string | undefined {
  const { caseId } = call;
  const general = anyErrorFault(error);
  if (general !== undefined) return general;
  if (!isGuardError(error)) return undefined;
  switch (error.code) {
    case "payload_conflict": {
      const isBoundElsewhere = !book.requests.has(call.requestId);
      return call.payload !== book.payload || isBoundElsewhere
        ? undefined
        : `P3: ${caseId} was refused as another payload, and it is the same`;
    }
    case "retired":
      return book.record?.state === "RETIRED"
        ? undefined
        : `P3: ${caseId} was called retired, and is not`;
    case "store_unavailable":
    case "store_contended":
      return error.effect === "none" && mayHaveRun(book, call)
        ? `P10: a call for ${caseId} that may have run it ended with "nothing was executed"`
        : undefined;
    default:
      return `P10: a call for ${caseId} ended with ${error.code}: ${error.message}`;
  }
}

/** The effect was started for this very call, and it may have happened. */
function mayHaveRun(book: Book, call: CallSeen): boolean {
  return book.attempts.some(
    ({ caller, told, cleared }) => caller === call && told !== "not performed" && !cleared,
  );
}

/** What no error may be, whatever was called. */
export function anyErrorFault(error: unknown): string | undefined {
  if (!isGuardError(error)) return `P10: an error of another kind came out: ${String(error)}`;
  if (error.code === "broken_invariant" || error.code === "store_corrupt") {
    return `P10: ${error.code}: ${error.message}`;
  }
  return tells(error.message, error.next, error.forModel)
    ? "P3: an error tells what is stored"
    : undefined;
}

function tells(...texts: readonly string[]): boolean {
  return texts.some((text) => text.includes(secret));
}
