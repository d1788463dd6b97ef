import { GuardError } from "../core/errors.ts";

/** Lets a few at a time through, in the order they came. */
export interface Turns {
  /** @param signal gives up the wait; where the turn has come, it does nothing */
  take<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T>;
}

export function createTurns(atOnce: number): Turns {
  const waiting: (() => void)[] = [];
  let underWay = 0;

  function turn(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        waiting.splice(waiting.indexOf(come), 1);
        reject(givenUp());
      };
      const come = (): void => {
        signal?.removeEventListener("abort", leave);
        resolve();
      };
      waiting.push(come);
      signal?.addEventListener("abort", leave, { once: true });
    });
  }

  return {
    async take(work, signal) {
      ensureWanted(signal);
      if (underWay < atOnce) underWay += 1;
      else await turn(signal);
      try {
        return await work();
      } finally {
        const next = waiting.shift();
        if (next === undefined) underWay -= 1;
        else next();
      }
    },
  };
}

/** Throws where nobody waits for it any more. */
export function ensureWanted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw givenUp();
}

function givenUp(): GuardError {
  return new GuardError("store_contended", "The wait for a transaction was given up.");
}
