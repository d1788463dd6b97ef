import type { Case, Event, Outcome } from "../../index.ts";
import { isGuardError } from "../../index.ts";
import { type Attempt, type Book, contentOf, newBook } from "./book.ts";
import type { CallSeen } from "./call-seen.ts";
import { answerFault, anyErrorFault, errorFault } from "./check-answers.ts";
import { happenedFault, startFault } from "./check-effects.ts";
import { keep, landingFault, verdictFault } from "./check-journal.ts";
import type { CaseSetting } from "./setting.ts";

/**
 * Sees everything that happens in a world and asserts the promises after each step. It shares no code
 * with the guard: it reads what is committed, what is done and what is answered, as plain data.
 */
export interface Witness {
  /** The first broken promise, in a sentence; undefined: none. */
  fault(): string | undefined;
  book(caseId: string): Book;
  readonly books: readonly Book[];
  /** A commit landed. */
  landed(next: Case, event: Event | null, bind: string | null): void;
  /** A case was pruned. */
  retired(next: Case): void;
  started(attempt: Attempt): void;
  /** A process sweeps until this is done, and may start effects under the requests that are stored. */
  sweeps(life: string, until: Promise<unknown>): void;
  /** The world was changed. */
  happened(attempt: Attempt): void;
  /** The store has failed a process. */
  troubled(life: string): void;
  asked(call: Omit<CallSeen, "happenedBefore" | "settledBefore" | "troublesBefore">): CallSeen;
  answered(call: CallSeen, answer: Outcome): void;
  failed(call: CallSeen, error: unknown): void;
  /** Something else than a call was refused. `codes`: what it may be refused with, beside a broken store. */
  refused(what: string, error: unknown, codes: readonly string[]): void;
  /** States a promise that was found broken elsewhere. */
  blame(sentence: string | undefined): void;
}

export function createWitness(cases: readonly CaseSetting[]): Witness {
  const books = new Map(cases.map((setting) => [setting.caseId, newBook(setting)]));
  const troubles = new Map<string, number>();
  /** Calls without an answer yet. */
  const open = new Set<CallSeen>();
  const sweeping = new Map<string, number>();
  let fault: string | undefined;

  const blame = (sentence: string | undefined): void => {
    fault ??= sentence;
  };
  const bookOf = (caseId: string): Book => {
    const book = books.get(caseId);
    if (book === undefined) throw new Error(`no such case in this world: ${caseId}`);
    return book;
  };

  return {
    fault: () => fault,
    book: bookOf,
    books: [...books.values()],
    landed(next, event, bind) {
      const book = bookOf(next.caseId);
      const landing = { next, event };
      blame(landingFault(book, landing));
      keep(book, landing);
      if ("intent" in next && next.intent !== null) {
        const content = contentOf(next.intent.payload);
        if (book.payload !== null && book.payload !== content)
          blame(`P3: the payload of ${next.caseId} changed`);
        book.payload = content;
      }
      if (bind !== null) bound(bind, next.caseId);
      blame(verdictFault(book));
    },
    retired(next) {
      const book = bookOf(next.caseId);
      const was = book.record?.state;
      if (was === "RETIRED") return;
      if (was !== "SETTLED" && was !== "VOID") blame(`P4: ${next.caseId} was pruned while ${was}`);
      book.record = next;
    },
    started(attempt) {
      const book = bookOf(attempt.caseId);
      const { caseId, life, requestId } = attempt;
      const callers = [...open].filter(
        (call) => call.caseId === caseId && call.life === life && call.requestId === requestId,
      );
      if (callers.length === 1 && !sweeping.has(life)) attempt.caller = callers[0] ?? null;
      attempt.cleared = attempt.fence <= book.clearedUpTo;
      book.attempts.push(attempt);
      blame(startFault(book, attempt));
    },
    sweeps(life, until) {
      const add = (count: number): void => {
        const sum = (sweeping.get(life) ?? 0) + count;
        if (sum > 0) sweeping.set(life, sum);
        else sweeping.delete(life);
      };
      add(1);
      const over = (): void => add(-1);
      until.then(over, over);
    },
    happened(attempt) {
      const book = bookOf(attempt.caseId);
      book.happened += 1;
      attempt.happened = true;
      blame(happenedFault(book));
    },
    troubled: (life) => troubles.set(life, (troubles.get(life) ?? 0) + 1),
    asked(call) {
      const { happened, record, receipt } = bookOf(call.caseId);
      const seen = {
        ...call,
        happenedBefore: happened,
        settledBefore: record?.state === "SETTLED" ? receipt : null,
        troublesBefore: troubles.get(call.life) ?? 0,
      };
      open.add(seen);
      return seen;
    },
    answered(call, answer) {
      open.delete(call);
      const failed = troubles.get(call.life) ?? 0;
      const book = bookOf(call.caseId);
      blame(answerFault(book, call, answer, failed));
      if (answer.status === "settled" && answer.recorded) book.receivers.push(call);
    },
    failed(call, error) {
      open.delete(call);
      blame(errorFault(bookOf(call.caseId), call, error));
    },
    refused(what, error, codes) {
      blame(anyErrorFault(error));
      if (!isGuardError(error) || error.code === "store_unavailable") return;
      if (error.code === "store_contended" || codes.includes(error.code)) return;
      blame(`P10: ${what} ended with ${error.code}: ${error.message}`);
    },
    blame,
  };

  /** P3: a request id is bound once. */
  function bound(requestId: string, caseId: string): void {
    for (const [other, book] of books) {
      if (other !== caseId && book.requests.has(requestId)) {
        blame(`P3: request ${requestId} of ${other} was bound again, to ${caseId}`);
      }
    }
    bookOf(caseId).requests.add(requestId);
  }
}
