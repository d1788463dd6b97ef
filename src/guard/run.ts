import { fenceOf } from "../core/advance.ts";
import { type Case, type Claim, type Executing, type Settled, summaryOf } from "../core/case.ts";
import { assert } from "../core/errors.ts";
import type { Happening, Returned } from "../core/event.ts";
import type { Outcome } from "../core/outcome.ts";
import type { Stored } from "../core/store.ts";
import { transition } from "../core/transition.ts";
import type { Ask } from "./ask.ts";
import { retryAt } from "./backoff.ts";
import { abort, contextOf, type Handed } from "./context.ts";
import type { Debts } from "./debts.ts";
import { type Ending, endingOf } from "./ending.ts";
import type { Report } from "./hooks.ts";
import type { Held, Leases } from "./leases.ts";
import type { Applied, Ledger } from "./ledger.ts";
import type { Platform } from "./platform.ts";
import { refused } from "./refused.ts";
import { returnedOf } from "./returned.ts";
import { standing } from "./standing.ts";
import type { Transact } from "./transact.ts";
import { contradicted, happened } from "./words.ts";

/** Runs a claimed effect under its lease, and writes down how it ended. */
export interface Runner {
  /** `askedMs`: when the claim was asked for, on the monotonic clock. */
  run(
    ask: Ask,
    claimed: Stored & { readonly case: Executing },
    askedMs: number,
    watch: Watch,
  ): Promise<Outcome>;
  /** A receipt that could not be written yet, of a case that ran here. */
  unrecorded(caseId: string): Settled | undefined;
}

/** Is told how a run goes on, as it happens. */
export interface Watch {
  /** The effect has ended; it is not written down yet how. */
  readonly ended: () => void;
  /** The claim is lost: others may go on with the case, and what this run finds out is not the last word. */
  readonly lost: () => void;
}

export interface RunnerOptions {
  readonly ledger: Ledger;
  readonly leases: Leases;
  readonly debts: Debts;
  readonly transact: Transact;
  readonly platform: Platform;
  readonly report: Report;
  readonly leaseMs: number;
}

export function createRunner(options: RunnerOptions): Runner {
  const { ledger, leases, debts, transact, platform, report, leaseMs } = options;
  const unrecorded = new Map<string, Settled>();

  const run: Runner["run"] = async (ask, claimed, askedMs, watch) => {
    const { claim } = claimed.case;
    const ctx = contextOf(ask, claimed.case, platform);
    const gone = Promise.withResolvers<void>();
    const lost = () => {
      abort(ctx);
      watch.lost();
      gone.resolve();
    };
    const held: Held = {
      stored: claimed,
      fence: claim.fence,
      lost,
      renewedAtMs: askedMs,
      confirmedAtMs: askedMs,
      owed: false,
    };
    const hindrance = reasonNotToStart(ask, claim, platform.monotonicMs() - askedMs);
    if (hindrance !== undefined) {
      watch.ended();
      return conclude(ask, held, hindrance);
    }
    leases.add(held);
    try {
      if (ask.terms.class === "transactional") {
        assert(
          claim.terms.class === "transactional",
          "no doubt of another class is claimed for it",
        );
        const { ended } = watch;
        const done = await transact({ ask, held, ctx, lost: gone.promise, ended });
        switch (done.kind) {
          case "settled":
            return standing(done.case, false);
          case "found":
            return done.outcome;
          case "taken_back": {
            const outcome = await conclude(ask, held, done.ending);
            if (done.refusal !== undefined) throw done.refusal;
            return outcome;
          }
        }
      }
      const rest = endOf(ask, claimed.case, ctx);
      const ending = await inTime(rest, ask.timeoutMs);
      watch.ended();
      if (ending !== undefined) return await conclude(ask, held, ending);
      abort(ctx);
      followLate(ask, held, rest);
      return await conclude(ask, held, { kind: "unknown", reason: "timed_out", error: null });
    } finally {
      if (!held.owed) leases.remove(held);
    }
  };

  /** The last look before the effect: closes most of the gap between the claim and the start. */
  const reasonNotToStart = (ask: Ask, claim: Claim, tookMs: number): Ending | undefined => {
    const not = (reason: string, final = false): Ending => ({
      kind: "not_performed",
      reason,
      final,
    });
    const { worker } = ask;
    if (ask.signal?.aborted === true) return not("the caller gave up before it started");
    if (tookMs >= leaseMs) return not("the claim took longer than its lease");
    // Its last worker was lost running it, perhaps by it.
    if (worker !== null && claim.fence > worker.maxAttempts) {
      return not(`it was tried ${worker.maxAttempts} times`, true);
    }
    return undefined;
  };

  /** The effect's end; undefined where its time was over first. `rest` never rejects. */
  const inTime = (rest: Promise<Ending>, timeoutMs: number): Promise<Ending | undefined> =>
    new Promise((resolve) => {
      const stop = platform.after(timeoutMs, false, () => resolve(undefined));
      void rest.then((ending) => {
        stop();
        resolve(ending);
      });
    });

  const endOf = async (ask: Ask, kase: Executing, ctx: Handed): Promise<Ending> => {
    try {
      assert(ask.rules.run !== undefined, "an effect that runs has a function");
      return { kind: "returned", value: await ask.rules.run(kase.intent.payload, ctx) };
    } catch (error) {
      return endingOf(error, ask.rules.onError);
    }
  };

  /** An effect that ended after its time still tells how it ended. */
  const followLate = (ask: Ask, held: Held, rest: Promise<Ending>) => {
    rest
      .then((ending) => (ending.kind === "unknown" ? undefined : conclude(ask, held, ending)))
      .catch((error: unknown) => report("failed", "release", error));
  };

  const conclude = async (ask: Ask, held: Held, ending: Ending): Promise<Outcome> => {
    switch (ending.kind) {
      case "returned":
        return settle(held, returnedOf(ending.value));
      case "not_performed": {
        const { reason } = ending;
        const kase = held.stored.case;
        const isLast = ask.worker !== null && held.fence >= ask.worker.maxAttempts;
        return tell(ask, held, {
          type: "release",
          fence: held.fence,
          reason,
          final: ending.final || isLast,
          retryAt: retryAt(kase, await instantFor(held), platform),
        });
      }
      case "unknown": {
        const { reason, error } = ending;
        return tell(ask, held, { type: "doubt", fence: held.fence, reason, error });
      }
    }
  };

  const settle = async (held: Held, returned: Returned): Promise<Outcome> => {
    const { caseId, claim } = held.stored.case;
    const occasion = { at: await instantFor(held), nonce: platform.newId() };
    const happening = { type: "settle", fence: held.fence, ...returned } as const;
    const write = () =>
      ledger.apply({ caseId, by: claim.by, known: held.stored, occasion, happening });
    try {
      return await written(held, returned, await write(), occasion.nonce);
    } catch (error) {
      return postponed(held, returned, error, { ...happening, ...occasion }, write);
    }
  };

  /** It ran, so it is written down whatever the clock says: without one, at the last instant known. */
  const instantFor = async ({ stored }: Held): Promise<number> => {
    const known = stored.case.updatedAt;
    try {
      const now = await ledger.now();
      return Number.isFinite(now) ? now : known;
    } catch {
      return known;
    }
  };

  const written = async (
    held: Held,
    returned: Returned,
    applied: Applied,
    nonce: string,
  ): Promise<Outcome> => {
    if (applied.ok) return standing(applied.stored.case, false);
    const { refusal, before } = applied;
    const isOwn = before.state === "SETTLED" && before.receipt.settlementId === `st_${nonce}`;
    if (isOwn) return standing(before, false);
    assert(before.state !== "ABSENT", "a claimed case exists");
    if (refusal === "stale_fence" || refusal === "settled" || refusal === "void") {
      return late(held, returned, before);
    }
    throw refused(refusal, before);
  };

  /** It happened, and the store can't be told: keep the receipt, go on trying, never call it a failure. */
  const postponed = (
    held: Held,
    returned: Returned,
    error: unknown,
    told: Happening & { readonly at: number; readonly nonce: string },
    write: () => Promise<Applied>,
  ): Outcome => {
    const kase = held.stored.case;
    const foreseen = transition(kase, { ...told, by: kase.claim.by });
    assert(foreseen.ok && foreseen.next.state === "SETTLED", "a holder may settle");
    const settled = foreseen.next;
    unrecorded.set(kase.caseId, settled);
    held.owed = true;
    report("unrecorded", () => summaryOf(kase), error);
    debts.owe(async () => {
      await written(held, returned, await write(), told.nonce);
      unrecorded.delete(kase.caseId);
      leases.remove(held);
    });
    return happened(settled.receipt, false, false);
  };

  /** A result whose claim was lost: evidence, and where another claim ran, an incident. */
  const late = async (held: Held, returned: Returned, before: Case): Promise<Outcome> => {
    const { caseId, claim } = held.stored.case;
    const happening = { type: "late_result", fence: held.fence, ...returned } as const;
    const applied = await ledger.apply({ caseId, by: claim.by, happening });
    const kase = applied.ok ? applied.stored.case : before;
    if (kase.state === "VOID") {
      report("contradicted", () => summaryOf(kase), held.fence);
      return contradicted(kase);
    }
    if (kase.state !== "RETIRED" && fenceOf(kase) !== held.fence)
      report("duplicateEffect", () => summaryOf(kase), held.fence);
    return standing(kase, true);
  };

  const tell = async (ask: Ask, held: Held, happening: Happening): Promise<Outcome> => {
    const { caseId, claim } = held.stored.case;
    const change = { caseId, by: claim.by, known: held.stored, happening };
    try {
      const applied = await ledger.apply(change);
      if (applied.ok) return standing(applied.stored.case, false);
      assert(applied.before.state !== "ABSENT", "a claimed case exists");
      return standing(applied.before, true);
    } catch (error) {
      report("failed", "release", error);
      // What could not be written now is written later; until then the lease tells others enough.
      debts.owe(async () => {
        await ledger.apply(change);
      });
      return untold(ask, held, happening);
    }
  };

  /** How a claim ended that could not be written down: the caller is told the truth all the same. */
  const untold = (ask: Ask, held: Held, happening: Happening): Outcome => {
    const at = held.stored.case.updatedAt;
    // The end of a case is told once it is written: a receipt that isn't might never be.
    const told = happening.type === "release" ? { ...happening, final: false } : happening;
    const event = { ...told, at, by: ask.actor, nonce: platform.newId() };
    const foreseen = transition(held.stored.case, event);
    assert(foreseen.ok, "a holder may speak");
    return standing(foreseen.next, false);
  };

  return { run, unrecorded: (caseId) => unrecorded.get(caseId) };
}
