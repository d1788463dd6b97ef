import type { Final, Intent } from "../core/case.ts";
import { limits } from "../core/limits.ts";
import type { Store } from "../core/store.ts";
import type { Entrance, Worker } from "./ask.ts";
import { unstartedClaims } from "./attempts.ts";
import { mayPass } from "./backoff.ts";
import type { Execute } from "./execute.ts";
import type { Report } from "./hooks.ts";
import type { Ledger } from "./ledger.ts";
import type { Platform } from "./platform.ts";
import { type KnownAction, storedAsk } from "./stored-ask.ts";
import type { Waiting } from "./waiting.ts";

export interface QueueOptions {
  readonly store: Store;
  readonly ledger: Ledger;
  readonly execute: Execute;
  readonly waiting: Waiting;
  readonly entrance: Entrance;
  readonly platform: Platform;
  readonly report: Report;
  readonly known: ReadonlyMap<string, KnownAction>;
}

export interface Shift {
  /** The actions to take; undefined: all that are known. */
  readonly only: ReadonlySet<string> | undefined;
  readonly concurrency: number;
  readonly everyMs: number;
  readonly signal: AbortSignal | undefined;
}

/**
 * Runs queued cases until the signal is aborted or the guard closes, then waits for those that run.
 * Rejects where it has never had a look, by an error that no waiting mends.
 */
export type WorkQueue = (shift: Shift) => Promise<void>;

type Queued = Final & { readonly intent: Intent };

/**
 * No worker leads. Each lists what is due, goes through it in an order of its own, and claims case by
 * case; whoever is second finds the case taken and goes on.
 */
export function createQueue(options: QueueOptions): WorkQueue {
  const { store, ledger, execute, waiting, entrance, platform, report, known } = options;
  const { namespace, actor } = entrance;

  return async ({ only, concurrency, everyMs, signal }) => {
    const running = new Map<string, Promise<void>>();
    let failed = false;
    let hasLooked = false;
    let ring = new AbortController();
    const hint = () => ring.abort();
    const isOver = () => signal?.aborted === true || waiting.isClosed();
    const failure = (error: unknown) => {
      failed = true;
      if (!waiting.isClosed()) report("failed", "queue", error);
    };
    if (isOver()) return;
    const leave = store.subscribe?.(hint);
    signal?.addEventListener("abort", hint);
    try {
      while (!isOver()) {
        // Before the look: what comes while it is made makes another one.
        ring = new AbortController();
        failed = false;
        const more = await look().catch((error: unknown) => {
          if (!hasLooked && !mayPass(error)) throw error;
          failure(error);
        });
        if (more === true && !failed) continue;
        // Not sooner, however many hints there are: each commit of anybody is one.
        await waiting.rest(limits.queueLookMs, signal);
        await waiting.rest(Math.min(everyMs, limits.queueRestMs), ring.signal);
      }
    } finally {
      leave?.();
      signal?.removeEventListener("abort", hint);
      await Promise.all(running.values());
    }

    /** Takes what there are places for; true: there was more. */
    async function look(): Promise<boolean> {
      const at = await ledger.now();
      const actions = [...known.keys()].filter((action) => only?.has(action) ?? true);
      let more = false;
      for (const action of actions) {
        const page = await store.list({
          namespace,
          action,
          states: ["FINAL"],
          dueBy: at,
          limit: limits.queuePage,
          refused: failure,
        });
        const due = shuffled(page.items.filter(isFree), platform);
        const batch = due.slice(0, concurrency * batchPerPlace);
        for (const kase of batch) {
          while (running.size >= concurrency) await Promise.race(running.values());
          if (isOver()) return false;
          start(kase);
        }
        if (batch.length > 0 && (batch.length < due.length || page.next !== null)) more = true;
      }
      hasLooked = true;
      return more;
    }

    function isFree(kase: { readonly state: string; readonly caseId: string }): kase is Queued {
      return kase.state === "FINAL" && !running.has(kase.caseId);
    }

    function start(kase: Queued): void {
      const handled = known.get(kase.intent.action);
      const requestId = kase.intent.queued;
      if (handled === undefined || requestId === null) return;
      const run = async () => {
        const { terms } = handled;
        const worker = await allowed(kase, handled.worker);
        await execute(storedAsk(kase, handled, { requestId, terms, actor, worker }));
      };
      const over = () => void running.delete(kase.caseId);
      running.set(kase.caseId, run().then(over, failure).then(over));
    }

    /** A claim whose effect could not be started is no attempt: it may be claimed once more. */
    async function allowed(kase: Queued, worker: Worker): Promise<Worker> {
      const claims = (kase.past?.claim.fence ?? 0) + 1;
      if (claims === 1 || claims < worker.maxAttempts) return worker;
      const journal = await store.history(namespace, kase.caseId);
      return { maxAttempts: worker.maxAttempts + unstartedClaims(journal) };
    }
  };
}

/** So many cases a place are taken out of one look; then others have taken the rest, too. */
const batchPerPlace = 4;

function shuffled<T>(items: readonly T[], platform: Platform): T[] {
  const order = items.map((item) => ({ item, by: platform.jitter() }));
  return order.sort((one, other) => one.by - other.by).map(({ item }) => item);
}
