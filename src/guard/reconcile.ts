import { mayRunAgain } from "../core/advance.ts";
import type { Case, InDoubt } from "../core/case.ts";
import { limits } from "../core/limits.ts";
import type { Store } from "../core/store.ts";
import type { Entrance } from "./ask.ts";
import { pauseAfter } from "./backoff.ts";
import type { Execute } from "./execute.ts";
import type { Report } from "./hooks.ts";
import type { Ledger } from "./ledger.ts";
import type { Prober } from "./probe.ts";
import { type KnownAction, storedAsk } from "./stored-ask.ts";

/** What one sweep did. */
export interface Sweep {
  /** Cases whose worker was not heard of for a whole lease: now in doubt. */
  readonly doubted: number;
  /** Doubts cleared as happened, by a probe or by running again where that is harmless. */
  readonly settled: number;
  /** Found not to have happened: the case may be asked for again. */
  readonly released: number;
  /** Doubts that were looked at and stay. Opaque ones aren't looked at: they wait for a person. */
  readonly inDoubt: number;
  /** Cases that waited too long for approval. */
  readonly expired: number;
  /** Cases that could not be looked after; they are tried again by the next sweep. */
  readonly failed: number;
}

export interface SweeperOptions {
  readonly store: Store;
  readonly ledger: Ledger;
  readonly prober: Prober;
  readonly execute: Execute;
  readonly report: Report;
  readonly entrance: Entrance;
  readonly known: ReadonlyMap<string, KnownAction>;
}

/** States that a sweep can do something about. A due FINAL case is a worker's. */
const attended = [
  "OPEN",
  "RESOLVED_PROVISIONAL",
  "IN_RECONCILIATION",
  "EXECUTING",
  "IN_DOUBT",
] as const;

/**
 * One sweep over what needs attention. `only`: the actions to look after; the rest is only doubted.
 * `isPatient`: what was run again without success is left alone for a while, longer each time.
 */
export type SweepOnce = (
  only: ReadonlySet<string> | undefined,
  isPatient: boolean,
) => Promise<Sweep>;

export function createSweep(options: SweeperOptions): SweepOnce {
  const { store, ledger, prober, execute, report, entrance, known } = options;

  return async (only, isPatient) => {
    const count = { doubted: 0, settled: 0, released: 0, inDoubt: 0, expired: 0, failed: 0 };
    const at = await ledger.now();
    let after: string | undefined;
    do {
      const page = await store.list({
        namespace: entrance.namespace,
        states: attended,
        dueBy: at,
        limit: limits.pageRows,
        ...(after === undefined ? {} : { after }),
        refused: failure(count),
      });
      const doubts: InDoubt[] = [];
      await each(page.items, 1, count, async (kase) => {
        const doubt = await attend(kase, count);
        if (doubt !== undefined) doubts.push(doubt);
      });
      // After the rest, and several at a time: a probe may be slow, and none may hold up the others.
      await each(doubts, limits.probesAtOnce, count, (doubt) =>
        clear(doubt, { only, isPatient, count }),
      );
      after = page.next ?? undefined;
    } while (after !== undefined);
    return count;
  };

  function failure(count: Counts) {
    return (error: unknown) => {
      count.failed += 1;
      report("failed", "sweep", error);
    };
  }

  /** So many at a time; what fails is counted and left to the next sweep. */
  async function each<T>(
    items: readonly T[],
    atOnce: number,
    count: Counts,
    look: (item: T) => Promise<void>,
  ): Promise<void> {
    const rest = items.values();
    const worker = async () => {
      for (const item of rest) {
        await look(item).catch(failure(count));
      }
    };
    await Promise.all(Array.from({ length: atOnce }, worker));
  }

  /** What can be done by the clock alone; answers a doubt that is left to clear. */
  async function attend(kase: Case, count: Counts): Promise<InDoubt | undefined> {
    switch (kase.state) {
      case "OPEN":
      case "RESOLVED_PROVISIONAL":
      case "IN_RECONCILIATION": {
        const done = await tell(kase, "expire");
        if (done !== undefined) count.expired += 1;
        return undefined;
      }
      case "EXECUTING": {
        const doubted = await tell(kase, "lease_ended");
        if (doubted?.state === "FINAL") count.released += 1;
        if (doubted?.state !== "IN_DOUBT") return undefined;
        count.doubted += 1;
        return doubted;
      }
      case "IN_DOUBT":
        return kase;
      case "FINAL":
      case "SETTLED":
      case "VOID":
      case "RETIRED":
        return undefined;
    }
  }

  async function tell(kase: Case, type: "expire" | "lease_ended"): Promise<Case | undefined> {
    const { caseId } = kase;
    const applied = await ledger.apply({ caseId, by: entrance.actor, happening: { type } });
    return applied.ok ? applied.stored.case : undefined;
  }

  async function clear(kase: InDoubt, { only, isPatient, count }: Clearing) {
    const { action } = kase.intent;
    const handled = only === undefined || only.has(action) ? known.get(action) : undefined;
    if (handled === undefined) {
      count.inDoubt += 1;
      return;
    }
    const at = await ledger.now();
    // What runs now in a transaction is not what the doubt is about.
    const isSame = handled.terms.class !== "transactional";
    if (isSame && mayRunAgain(kase, at)) {
      if (!isPatient || isAgainDue(kase, at)) {
        const { requestId, terms } = kase.claim;
        const { actor } = entrance;
        await execute(storedAsk(kase, handled, { requestId, terms, actor, worker: null }));
      }
    } else if (kase.doubt.probeAt !== null && kase.doubt.probeAt <= at) {
      await prober.probe(kase, handled.rules.probe, entrance.actor);
    }
    const { stored } = await ledger.read({ caseId: kase.caseId, requestId: null });
    if (stored?.case.state === "SETTLED") count.settled += 1;
    else if (stored?.case.state === "FINAL") count.released += 1;
    else count.inDoubt += 1;
  }
}

interface Clearing {
  readonly only: ReadonlySet<string> | undefined;
  readonly isPatient: boolean;
  readonly count: Counts;
}

/** The first run again comes at once, each later one after a longer pause. */
function isAgainDue({ claim }: InDoubt, at: number): boolean {
  return claim.fence <= 1 || at >= claim.startedAt + pauseAfter(claim.fence - 1);
}

type Counts = { -readonly [Name in keyof Sweep]: number };
