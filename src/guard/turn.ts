import { defaults } from "../core/limits.ts";
import type { Ask } from "./ask.ts";
import { mayPass, spread } from "./backoff.ts";
import type { Platform } from "./platform.ts";

/** A wait for the store to begin a transaction, before anything is started in it. */
export interface Turn {
  /** Aborted when the wait is over; once the transaction has begun it means nothing. */
  readonly signal: AbortSignal;
  /** It has begun. */
  readonly begun: () => void;
}

/** A caller who waits for nobody waits for his turn all the same. */
const leastPatienceMs = 5_000;
const longestPauseMs = 500;

/**
 * Tries until the transaction has begun, as long as the caller is patient and the claim is held. What
 * fails later is not tried again here.
 */
export async function inTurn(
  wait: { readonly ask: Ask; readonly lost: Promise<void>; readonly platform: Platform },
  attempt: (turn: Turn) => Promise<void>,
): Promise<void> {
  const { ask, lost, platform } = wait;
  const over = new AbortController();
  const giveUp = () => over.abort();
  const patienceMs = ask.worker === null ? ask.waitMs : defaults.waitMs;
  const stop = platform.after(Math.max(leastPatienceMs, patienceMs), false, giveUp);
  void lost.then(giveUp);
  ask.signal?.addEventListener("abort", giveUp, { once: true });
  if (ask.signal?.aborted === true) giveUp();
  let hasBegun = false;
  const begun = () => {
    hasBegun = true;
    stop();
  };
  try {
    for (let tries = 0; ; tries += 1) {
      try {
        return await attempt({ signal: over.signal, begun });
      } catch (error) {
        if (hasBegun || over.signal.aborted || !mayPass(error)) throw error;
      }
      const ms = spread(Math.min(longestPauseMs, 10 * 2 ** tries), platform);
      await new Promise<void>((resolve) => platform.after(ms, false, resolve));
    }
  } finally {
    stop();
    ask.signal?.removeEventListener("abort", giveUp);
  }
}
