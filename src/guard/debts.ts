import { isGuardError, isStoreTrouble } from "../core/errors.ts";
import type { Platform } from "./platform.ts";

/** What the guard still owes the store after it could not be reached: tried again until it is paid. */
export interface Debts {
  /** `pay` answers by returning; whatever it throws, it is tried again, a little later each time. */
  owe(pay: () => Promise<void>): void;
  /** Tries everything once more, and gives up what still fails: answers why, an error each. */
  close(): Promise<readonly unknown[]>;
}

const firstPauseMs = 20;
const longestPauseMs = 5_000;
/** For so long an unpaid debt keeps the process alive. */
const holdsProcessMs = 30_000;

export function createDebts(platform: Platform): Debts {
  const open = new Set<() => Promise<void>>();
  let closed = false;

  const attempt = async (pay: () => Promise<void>, pauseMs: number, sinceMs: number) => {
    if (closed || !open.has(pay)) return;
    try {
      await pay();
      open.delete(pay);
    } catch (error) {
      if (isRefusal(error)) {
        open.delete(pay);
        return;
      }
      const longer = Math.min(longestPauseMs, pauseMs * 2);
      const background = platform.monotonicMs() - sinceMs > holdsProcessMs;
      const ms = pauseMs * (0.5 + platform.jitter());
      platform.after(ms, background, () => void attempt(pay, longer, sinceMs));
    }
  };

  return {
    owe(pay) {
      open.add(pay);
      void attempt(pay, firstPauseMs, platform.monotonicMs());
    },
    async close() {
      closed = true;
      const tried = await Promise.allSettled([...open].map((pay) => pay()));
      open.clear();
      return tried
        .flatMap((end) => (end.status === "rejected" ? [end.reason as unknown] : []))
        .filter((error) => !isRefusal(error));
    },
  };
}

/** The store is well and says no: asking again won't change it, and nothing is owed any more. */
function isRefusal(error: unknown): boolean {
  return isGuardError(error) && !isStoreTrouble(error);
}
