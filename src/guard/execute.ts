import { type Absent, type CaseSummary, type Executing, summaryOf } from "../core/case.ts";
import { isStoreTrouble } from "../core/errors.ts";
import type { Outcome } from "../core/outcome.ts";
import { type Ask, fingerprintOf } from "./ask.ts";
import type { Finished, FinishedCases } from "./finished.ts";
import type { Report } from "./hooks.ts";
import type { Leader } from "./lead.ts";
import { boundElsewhere } from "./ledger.ts";
import type { Platform } from "./platform.ts";
import { refused } from "./refused.ts";
import type { Runner } from "./run.ts";
import { happened, inProgress, nothing } from "./words.ts";

/** Answers asks: replays what is finished, joins what is under way, and leads the rest. */
export type Execute = (ask: Ask) => Promise<Outcome>;

export interface Performing {
  readonly execute: Execute;
  /** Resolves when nothing is under way. */
  idle(): Promise<void>;
}

export interface ExecuteOptions {
  readonly leader: Leader;
  readonly runner: Runner;
  readonly finished: FinishedCases;
  readonly platform: Platform;
  readonly report: Report;
}

/** One ask of this process that is under way. Its twins wait for it instead of asking the store. */
interface Flight {
  readonly ask: Ask;
  /** Its place among the asks and flights of this process. */
  readonly since: number;
  /** The case it holds, once it does: what it asks for is then what the case holds. */
  held: Executing | undefined;
  /** Its effect is under way right now. */
  runs: boolean;
  done: Promise<Outcome>;
}

/** How long an ask may wait, and when it came. */
interface Stay {
  /** On the monotonic clock. */
  readonly deadlineMs: number;
  /** Its place among the asks and flights of this process. */
  readonly arrival: number;
}

/** Above this share of asks whose case was there already, a read before spares more than it costs. */
const readFirstAbove = 0.1;

export function createExecute(options: ExecuteOptions): Performing {
  const { leader, runner, finished, platform, report } = options;
  /** By their cases: those that may be joined. */
  const flights = new Map<string, Flight>();
  /**
   * All of them, also those whose claim is lost: their results still count. And those who wait for a
   * flight: it may end without an answer for them, and then they run it themselves.
   */
  const underWay = new Set<Promise<Outcome>>();
  let arrivals = 0;
  /** Of the latest asks that came to the store, how many found their case there. */
  let knownShare = 0;

  const execute: Execute = (ask) => {
    const found = finished.find(ask.requestId);
    if (found !== undefined) return replay(ask, found);
    arrivals += 1;
    return depart(ask, { deadlineMs: platform.monotonicMs() + ask.waitMs, arrival: arrivals });
  };

  const depart = (ask: Ask, stay: Stay): Promise<Outcome> => {
    const flight = flights.get(ask.caseId);
    if (flight === undefined) return lead(ask, stay.deadlineMs);
    const joined = join(ask, flight, stay);
    follow(joined);
    return joined;
  };

  const follow = (answer: Promise<Outcome>): void => {
    underWay.add(answer);
    const over = () => {
      underWay.delete(answer);
    };
    answer.then(over, over);
  };

  const replay = async (ask: Ask, found: Finished): Promise<Outcome> => {
    const { receipt } = found;
    if (receipt.caseId !== ask.caseId) throw boundElsewhere(ask.requestId, ask.caseId);
    if (!holds(found, ask)) throw conflict(ask);
    const summary = (): CaseSummary => ({
      ...summaryOf(absent(ask)),
      state: receipt.effect === "once" ? "SETTLED" : "VOID",
      action: found.action,
    });
    if (receipt.effect === "none") return nothing(receipt, summary());
    report("replayed", summary);
    return happened(receipt, true);
  };

  const holds = (found: Finished, ask: Ask): boolean =>
    found.payloadText !== null && ask.ignore.length === 0
      ? found.payloadText === ask.payloadText && found.action === ask.action
      : found.fingerprint === fingerprintOf(ask, platform);

  const lead = (ask: Ask, deadlineMs: number): Promise<Outcome> => {
    const kept = runner.unrecorded(ask.caseId);
    if (kept !== undefined) {
      return kept.intent.fingerprint === fingerprintOf(ask, platform)
        ? Promise.resolve(happened(kept.receipt, true, false))
        : Promise.reject(conflict(ask));
    }
    // An ask that can't bring its case to life has to find it.
    const readFirst = knownShare > readFirstAbove || !ask.opens || ask.signal?.aborted === true;
    const claimed = (kase: Executing) => {
      flight.held = kase;
      flight.runs = true;
    };
    const ended = () => {
      flight.runs = false;
    };
    const landed = () => {
      if (flights.get(ask.caseId) === flight) flights.delete(ask.caseId);
    };
    // Who asks from here on looks for itself: others may have gone on with the case.
    const lost = () => {
      ended();
      landed();
    };
    let counted = false;
    const found = (existed: boolean) => {
      if (counted) return;
      counted = true;
      knownShare += ((existed ? 1 : 0) - knownShare) / 32;
    };
    const done = leader.lead(ask, { deadlineMs, readFirst, claimed, ended, lost, found });
    arrivals += 1;
    const flight: Flight = { ask, since: arrivals, held: undefined, runs: false, done };
    flights.set(ask.caseId, flight);
    follow(done);
    done.then(landed, landed);
    return ask.signal === undefined ? done : untilGivenUp(flight, ask.signal);
  };

  /** A caller who gives up after the start stops waiting; the effect and its record go on. */
  const untilGivenUp = async (flight: Flight, signal: AbortSignal): Promise<Outcome> => {
    const givenUp = Promise.withResolvers<Outcome>();
    const give = () => {
      if (flight.held !== undefined) givenUp.resolve(inProgress(flight.held));
    };
    signal.addEventListener("abort", give, { once: true });
    if (signal.aborted) give();
    try {
      return await Promise.race([flight.done, givenUp.promise]);
    } finally {
      signal.removeEventListener("abort", give);
    }
  };

  const join = async (ask: Ask, flight: Flight, stay: Stay): Promise<Outcome> => {
    const { deadlineMs, arrival } = stay;
    const same = holdsSame(ask, flight.ask);
    // What an older flight has found out may have changed before this ask came: others ran it since.
    const isFresh = flight.runs || flight.since > arrival;
    if (!same && flight.held !== undefined) throw conflict(ask);
    // Until the leader holds the case, its payload may be the one in conflict: wait, then look. What
    // it was refused for (its request id, its policy) may be its own, too; a broken store is everybody's.
    const done = flight.done.catch((error: unknown) => {
      if (same && isStoreTrouble(error)) throw error;
      return undefined;
    });
    const outcome = await beforeDeadline(done, ask, deadlineMs);
    if (outcome === "late") return inProgress(flight.held ?? absent(ask));
    const left = deadlineMs - platform.monotonicMs();
    if (!same || outcome === undefined) return depart(ask, stay);
    const isEnd = outcome.status === "settled" || outcome.status === "void";
    if (!isFresh && !isEnd) return depart(ask, stay);
    // What the leader gave up on, for a reason of its own, is not this caller's answer.
    const isLeaders =
      outcome.status === "in_progress" ||
      (outcome.status === "in_doubt" && ask.rules.probe !== undefined) ||
      (outcome.status === "not_performed" && flight.ask.signal?.aborted === true);
    if (isLeaders && left > 0 && ask.signal?.aborted !== true) return depart(ask, stay);
    if (!isEnd) return outcome;
    // Whoever has a case's receipt is bound to the case, and finds it by its own request id.
    if (ask.requestId !== flight.ask.requestId) await leader.attach(ask);
    if (outcome.status === "void") return outcome;
    report("replayed", () => ({
      ...summaryOf(absent(ask)),
      state: "SETTLED",
      action: ask.action,
    }));
    return happened(outcome.receipt, true, outcome.recorded);
  };

  const holdsSame = (ask: Ask, other: Ask): boolean =>
    ask.payloadText === other.payloadText && ask.ignore.length === 0 && other.ignore.length === 0
      ? ask.action === other.action
      : fingerprintOf(ask, platform) === fingerprintOf(other, platform);

  const conflict = (ask: Ask) => {
    report("conflict", () => summaryOf(absent(ask)), ask.requestId);
    return refused("payload_conflict", absent(ask), ask);
  };

  const beforeDeadline = async <T>(
    promise: Promise<T>,
    ask: Ask,
    deadlineMs: number,
  ): Promise<T | "late"> => {
    const over = Promise.withResolvers<"late">();
    const give = () => over.resolve("late");
    const left = Math.max(0, deadlineMs - platform.monotonicMs());
    const stop = platform.after(left, false, give);
    ask.signal?.addEventListener("abort", give, { once: true });
    if (ask.signal?.aborted === true) give();
    try {
      return await Promise.race([promise, over.promise]);
    } finally {
      stop();
      ask.signal?.removeEventListener("abort", give);
    }
  };

  const idle = async (): Promise<void> => {
    while (underWay.size > 0) await Promise.allSettled(underWay);
  };

  return { execute, idle };
}

function absent(ask: Ask): Absent {
  return { state: "ABSENT", namespace: ask.namespace, caseId: ask.caseId };
}
