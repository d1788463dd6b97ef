import type { Store } from "../core/store.ts";
import type { Platform } from "./platform.ts";

/** Waits for something to change in the store: by its hint where it gives one, else by looking again. */
export interface Waiting {
  /** Resolves after a change, or after `ms`, whichever is first; at once where the signal is aborted. */
  change(ms: number, signal?: AbortSignal): Promise<void>;
  /** Resolves after `ms`, or when the signal is aborted or the guard closes. */
  rest(ms: number, signal?: AbortSignal): Promise<void>;
  /** Nobody waits any more. */
  isClosed(): boolean;
  close(): void;
}

export function createWaiting(store: Store, platform: Platform): Waiting {
  const wakers = new Set<() => void>();
  const sleepers = new Set<() => void>();
  let unsubscribe: (() => void) | undefined;
  let closed = false;

  const wakeAll = (whom: ReadonlySet<() => void>) => {
    for (const wake of [...whom]) wake();
  };

  /** Heard only while somebody waits: an idle guard costs its store nothing. */
  const heed = () => {
    if (wakers.size > 0) {
      unsubscribe ??= store.subscribe?.(() => wakeAll(wakers));
    } else {
      unsubscribe?.();
      unsubscribe = undefined;
    }
  };

  const asleep = (among: Set<() => void>, ms: number, signal: AbortSignal | undefined) =>
    new Promise<void>((resolve) => {
      const wake = () => {
        stop();
        among.delete(wake);
        signal?.removeEventListener("abort", wake);
        heed();
        resolve();
      };
      const stop = platform.after(ms, false, wake);
      among.add(wake);
      signal?.addEventListener("abort", wake, { once: true });
      heed();
    });

  return {
    async change(ms, signal) {
      if (!closed && signal?.aborted !== true) await asleep(wakers, ms, signal);
    },
    async rest(ms, signal) {
      if (!closed && signal?.aborted !== true) await asleep(sleepers, ms, signal);
    },
    isClosed: () => closed,
    close() {
      closed = true;
      wakeAll(wakers);
      wakeAll(sleepers);
    },
  };
}
