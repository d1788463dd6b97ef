import { type Absent, type Case, type Executing, summaryOf } from "../core/case.ts";
import { assert, isStoreTrouble } from "../core/errors.ts";
import type { CaseId } from "../core/identity.ts";
import type { Outcome } from "../core/outcome.ts";
import type { Refusal } from "../core/refusal.ts";
import type { Stored } from "../core/store.ts";
import { type Ask, fingerprintOf } from "./ask.ts";
import type { Debts } from "./debts.ts";
import type { FinishedCases } from "./finished.ts";
import type { Report } from "./hooks.ts";
import type { Ledger } from "./ledger.ts";
import { mayClaim, stepFor } from "./next-step.ts";
import type { Platform } from "./platform.ts";
import type { Prober } from "./probe.ts";
import { refused } from "./refused.ts";
import type { Runner, Watch } from "./run.ts";
import { standing } from "./standing.ts";
import type { Waiting } from "./waiting.ts";
import { happened, notPerformed } from "./words.ts";

/** Leads an ask from state to state until there is an answer or its time is over. */
export interface Leader {
  lead(ask: Ask, way: Way): Promise<Outcome>;
  /**
   * Binds another request to a case that holds what it asks for. The answer is known and true: a
   * binding that can't be written now is written later. Answers whether it is written.
   */
  attach(ask: Ask): Promise<boolean>;
}

export interface Way extends Watch {
  /** On the monotonic clock. */
  readonly deadlineMs: number;
  /** Look into the store before trying to open the case. */
  readonly readFirst: boolean;
  /** Called with whether the case was there already; what counts is the first word. */
  readonly found: (existed: boolean) => void;
  /** Called once the case is held under this ask, before its effect starts. */
  readonly claimed: (kase: Executing) => void;
}

export interface LeaderOptions {
  readonly ledger: Ledger;
  readonly runner: Runner;
  readonly prober: Prober;
  readonly waiting: Waiting;
  readonly finished: FinishedCases;
  readonly debts: Debts;
  readonly platform: Platform;
  readonly report: Report;
  readonly leaseMs: number;
}

/** Milliseconds between looks at a case that somebody else runs, where no hint comes earlier. */
const firstLookMs = 5;
const longestLookMs = 250;

/** Refusals of a claim that tell of a change: another look finds out what to do. */
const passing: ReadonlySet<Refusal> = new Set([
  "payload_conflict",
  "retired",
  "settled",
  "void",
  "in_doubt",
  "busy",
  "not_final",
]);

/** Somebody was faster, and left a case that this ask must not claim. */
const notNow = new Error("not now");

export function createLeader(options: LeaderOptions): Leader {
  const { ledger, runner, prober, waiting, finished, debts, platform, report, leaseMs } = options;

  const lead: Leader["lead"] = async (ask, way) => {
    let known: Stored | null | undefined = way.readFirst ? undefined : null;
    let looked = way.readFirst;
    let bound = false;
    let ran: Outcome | undefined;
    let lookMs = firstLookMs;
    let opened = false;
    let mine: string | undefined;
    for (;;) {
      try {
        const outcome = await next();
        if (outcome !== undefined) return outcome;
      } catch (error) {
        // It ran: what the store can't tell any more must not hide what is known of it.
        if (ran !== undefined && isStoreTrouble(error)) return ran;
        throw error;
      }
    }

    /** One step; an outcome where it is the last. */
    async function next(): Promise<Outcome | undefined> {
      if (known === undefined) {
        const reading = await ledger.look(ask.caseId, ask.requestId);
        known = reading.stored;
        looked = true;
        bound = reading.bound !== null;
        way.found(known !== null);
      }
      const kase = known?.case ?? absent(ask);
      compare(ask, kase);
      const clock = ledger.now();
      const at = typeof clock === "number" ? clock : await clock;
      const isOver = ask.signal?.aborted === true || waiting.isClosed();
      const leftMs = isOver ? 0 : way.deadlineMs - platform.monotonicMs();
      // How it ended here could not be written yet: it is no other caller's.
      if (ran !== undefined && kase.state === "EXECUTING" && kase.claim.holder === mine) return ran;
      const step = stepFor(ask, kase, { at, leftMs, opened, ran: ran !== undefined });
      switch (step.do) {
        case "answer":
          if (looked) return answer(ask, kase, { at, bound, ran });
          // That there is no such case was only supposed, to spare a read.
          known = undefined;
          return;
        case "open":
          known = await open(ask, known);
          opened = true;
          return;
        case "expire":
        case "lease_ended": {
          const change = { caseId: ask.caseId, by: ask.actor, happening: { type: step.do } };
          const done = await ledger.apply({ ...change, known });
          known = done.ok ? done.stored : undefined;
          return;
        }
        case "claim": {
          const askedMs = platform.monotonicMs();
          const claimed = await claim(ask, known).catch((error: unknown) => endedOr(ask, error));
          known = undefined;
          if (typeof claimed === "string") {
            if (!passing.has(claimed)) throw refused(claimed, kase, ask);
            return;
          }
          if (claimed.case.version === 1) way.found(false);
          way.claimed(claimed.case);
          mine = claimed.case.claim.holder;
          ran = await runner.run(ask, claimed, askedMs, way);
          if (ran.status === "settled") return remember(ask, ran, claimed.case);
          // Only a doubt that still stands can be cleared by going on.
          if (ran.case.state !== "IN_DOUBT") return ran;
          return;
        }
        case "probe":
          assert(kase.state === "IN_DOUBT", "only a doubt is probed");
          await prober.probe(kase, ask.rules.probe, ask.actor);
          known = undefined;
          return;
        case "wait":
          await waiting.change(
            Math.min(lookMs, Math.max(1, step.untilMs - at), leftMs),
            ask.signal,
          );
          lookMs = Math.min(longestLookMs, lookMs * (1.2 + 0.6 * platform.jitter()));
          known = undefined;
          return;
      }
    }
  };

  /** The same id with another action or payload is a conflict in every state, before anything else. */
  const compare = (ask: Ask, kase: Case | Absent): void => {
    if (kase.state === "ABSENT") return;
    const holds = kase.state === "RETIRED" ? kase.fingerprint : (kase.intent?.fingerprint ?? null);
    if (holds === null || holds === fingerprintOf(ask, platform)) return;
    report("conflict", () => summaryOf(kase), ask.requestId);
    throw refused("payload_conflict", kase, ask);
  };

  const open = async (ask: Ask, known: Stored | null): Promise<Stored | undefined> => {
    const opened = await ledger.apply({
      caseId: ask.caseId,
      by: ask.actor,
      known,
      bind: ask.requestId,
      happening: {
        type: "open",
        policy: ask.policy,
        outcomes: null,
        allow: null,
        intent: intentOf(ask),
      },
    });
    if (opened.ok) return opened.stored;
    if (opened.refusal === "unchanged") return undefined;
    throw refused(opened.refusal, opened.before, ask);
  };

  const intentOf = (ask: Ask) => ({
    action: ask.action,
    payload: ask.payload,
    fingerprint: fingerprintOf(ask, platform),
    proposer: ask.actor,
    queued: null,
  });

  const claim = async (
    ask: Ask,
    known: Stored | null,
  ): Promise<(Stored & { readonly case: Executing }) | Refusal> => {
    const nonce = platform.newId();
    const { caseId, requestId, actor, terms } = ask;
    const intent = intentOf(ask);
    const opens = ask.opens && ask.policy.kind === "immediate";
    try {
      const applied = await ledger.apply({
        caseId,
        by: actor,
        known,
        bind: requestId,
        occasion: { nonce },
        happening(at, before) {
          if (!mayClaim(ask, before, at)) throw notNow;
          return {
            type: "claim",
            requestId,
            intent,
            terms,
            leaseUntil: at + leaseMs,
            ...(ask.policy.kind === "immediate" ? {} : { policy: ask.policy }),
            opens,
          };
        },
      });
      if (!applied.ok) return applied.refusal;
      const { case: kase, head } = applied.stored;
      // The claim landed, its acknowledgement was lost, and meanwhile others have moved the case on:
      // the right to start is gone.
      const isHeld = kase.state === "EXECUTING" && kase.claim.holder === nonce;
      return isHeld ? { case: kase, head } : "busy";
    } catch (error) {
      if (error === notNow) return "busy";
      // Whether the claim landed is unknown, and the effect was not started: give it back if it did.
      debts.owe(() => giveBack(caseId, nonce, actor));
      throw error;
    }
  };

  /** A store that takes nothing may still tell: what has ended is answered, whatever else is broken. */
  const endedOr = async (ask: Ask, error: unknown): Promise<Refusal> => {
    if (!isStoreTrouble(error)) throw error;
    const reading = await ledger.look(ask.caseId, ask.requestId).catch(() => undefined);
    const state = reading?.stored?.case.state;
    if (state === "SETTLED") return "settled";
    if (state === "VOID") return "void";
    throw error;
  };

  const giveBack = async (caseId: CaseId, holder: string, by: string): Promise<void> => {
    const { stored } = await ledger.read({ caseId, requestId: null });
    if (stored?.case.state !== "EXECUTING" || stored.case.claim.holder !== holder) return;
    const { fence } = stored.case.claim;
    const reason = "the store failed while it was claimed; it was not started";
    const happening = { type: "release", fence, reason, final: false, retryAt: null } as const;
    await ledger.apply({ caseId, by, known: stored, happening });
  };

  const remember = (ask: Ask, ran: Outcome, claimed: Executing): Outcome => {
    if (ran.status === "settled" && ran.recorded) finished.keep(ask, claimed.intent, ran.receipt);
    return ran;
  };

  const answer = async (
    ask: Ask,
    kase: Case | Absent,
    seen: { readonly at: number; readonly bound: boolean; readonly ran: Outcome | undefined },
  ): Promise<Outcome> => {
    const { at, bound, ran } = seen;
    if (kase.state === "ABSENT" || (kase.state === "FINAL" && ran === undefined)) {
      return notPerformed(kase, "the caller gave up before it started");
    }
    if (kase.state !== "SETTLED" && kase.state !== "VOID") return standing(kase, false, at);
    const isBound = bound || (await attach(ask));
    // What isn't bound yet may still be bound to another case, by others.
    if (kase.intent !== null && isBound) finished.keep(ask, kase.intent, kase.receipt);
    if (kase.state === "VOID") return standing(kase, true);
    if (ran !== undefined) return happened(kase.receipt, false);
    report("replayed", () => summaryOf(kase));
    return happened(kase.receipt, true);
  };

  const attach: Leader["attach"] = async (ask) => {
    try {
      return await bind(ask);
    } catch (error) {
      if (!isStoreTrouble(error)) throw error;
      debts.owe(async () => void (await bind(ask)));
      return false;
    }
  };

  const bind = async (ask: Ask): Promise<boolean> => {
    const { caseId, requestId, actor } = ask;
    const fingerprint = fingerprintOf(ask, platform);
    const happening = { type: "ask", requestId, fingerprint } as const;
    const asked = await ledger.apply({ caseId, by: actor, bind: requestId, happening });
    if (asked.ok) return true;
    // A full journal takes no more names, nor does a case that ended before it held anything to
    // compare; the answer is theirs all the same.
    if (asked.refusal === "too_many" || asked.refusal === "no_intent") return false;
    throw refused(asked.refusal, asked.before, ask);
  };

  return { lead, attach };
}

function absent(ask: Ask): Absent {
  return { state: "ABSENT", namespace: ask.namespace, caseId: ask.caseId };
}
