import type { Client, ElicitAnswer } from "./upstream.ts";

/** Questions that are open at clients: a case is asked about once at a time. */
export interface Asking {
  /**
   * Asks, or waits for the answer to the question that is open. Undefined where nobody could be
   * asked, no answer came in time, or the call was left: then the question is taken back, and a
   * repeat asks anew.
   *
   * @param late is told an answer that comes all the same
   */
  ask(
    caseId: string,
    client: Client,
    params: unknown,
    late: (answer: ElicitAnswer) => void,
  ): Promise<ElicitAnswer | undefined>;
}

interface Open {
  readonly answer: Promise<ElicitAnswer>;
  /** Of the call that asked. */
  readonly left: AbortSignal | undefined;
}

/** @param questionMs how long a question stays open */
export function createAsking(questionMs: number): Asking {
  const open = new Map<string, Open>();

  const begin = (
    caseId: string,
    { elicit, left }: Client,
    params: unknown,
    late: (answer: ElicitAnswer) => void,
  ): Open | undefined => {
    if (elicit === undefined) return undefined;
    const over = new AbortController();
    const timer = setTimeout(() => over.abort(), questionMs);
    const signal = left === undefined ? over.signal : AbortSignal.any([left, over.signal]);
    const asked = elicit(params, signal);
    const answer = whileOpen(asked, signal).finally(() => {
      clearTimeout(timer);
      if (open.get(caseId) === one) open.delete(caseId);
    });
    answer.catch(() => void asked.then(late, () => undefined));
    const one = { answer, left };
    open.set(caseId, one);
    return one;
  };

  return {
    async ask(caseId, client, params, late) {
      const { left } = client;
      for (;;) {
        if (left?.aborted === true) return undefined;
        const joined = open.get(caseId);
        const one = joined ?? begin(caseId, client, params, late);
        if (one === undefined) return undefined;
        try {
          return await (left === undefined ? one.answer : whileOpen(one.answer, left));
        } catch {
          // Who asked has gone, and the question with it: who still waits asks its own person.
          if (joined?.left?.aborted !== true) return undefined;
        }
      }
    },
  };
}

function whileOpen<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(new Error("the question was taken back"));
    signal.addEventListener("abort", abort, { once: true });
    if (signal.aborted) abort();
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}
