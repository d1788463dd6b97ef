import type { Absent, Case, Claim, Intent } from "../../../src/core/case.ts";
import type { Event } from "../../../src/core/event.ts";
import type { Policy } from "../../../src/core/policy.ts";
import type { EffectTerms } from "../../../src/core/receipt.ts";
import type { Transition } from "../../../src/core/refusal.ts";
import type { Signal } from "../../../src/core/signal.ts";
import type { Approval, Decision } from "../../../src/core/verdict.ts";
import type { NaiveVerdict } from "../../../src/testing/simulation/naive-verdict.ts";
import { intent, queued } from "../samples.ts";

/** What is searched: the reducer, or a planted bug in its place. */
export type Machine = (before: Case | Absent, event: Event) => Transition;

export type Payload = "p" | "q";

/** One small world: who is in it, and what may happen there. Time is counted in ticks from 0. */
export interface Scenario {
  readonly name: string;
  readonly terms: EffectTerms;
  /** Callers of the effect: each a process with a request id and a payload. */
  readonly workers: readonly Worker[];
  /** How the case is opened before anything else; null: the first claim opens it. */
  readonly opening: Opening | null;
  readonly ticks: number;
  readonly claims: number;
  readonly leaseTicks: number;
  /** The messages that sources send, each once or many times, in any order. */
  readonly signals: readonly Signal[];
  /** People who may try to approve, deny and decide. */
  readonly people: readonly string[];
  readonly decisions: readonly string[];
  readonly withdraw: boolean;
  /** The requests that ask for a worker to run it; "pat" is who opens it. */
  readonly queued: readonly string[];
}

export interface Worker {
  readonly requestId: string;
  readonly payload: Payload;
  /** Given: another release of the program, which declares the effect otherwise. It only comes to a case in doubt. */
  readonly declares?: EffectTerms;
}

export interface Opening {
  readonly policy: Policy;
  readonly outcomes: readonly string[] | null;
  readonly allow: readonly string[] | null;
  readonly intent: boolean;
}

/** What is so in one world: the stored case, and beside it the facts as an all-knowing observer has them. */
export interface World {
  readonly now: number;
  readonly kase: Case | Absent;
  /** The claims that were given out, in order. */
  readonly runs: readonly Run[];
  /** How often the world outside was changed. */
  readonly effects: number;
  /** When the callee first did what was asked; it honours the key from then on. */
  readonly keyedAt: number | null;
  /** The first payload that the case was bound to. */
  readonly bound: Payload | null;
  readonly leaseUntil: number;
  /** The text of the first receipt seen. */
  readonly receipt: string | null;
  readonly heard: Heard;
  /** The first verdict that ended the deliberation, by the naive reference. */
  readonly decided: NaiveVerdict | null;
}

export interface Heard {
  readonly signals: readonly Signal[];
  readonly late: readonly Signal[];
  readonly approvals: readonly Approval[];
  readonly decision: Decision | null;
}

/** One claim as it was really worked on. */
export interface Run {
  readonly worker: number;
  readonly fence: number;
  readonly requestId: string;
  readonly payload: Payload;
  readonly claimedAt: number;
  /** Ended: the worker crashed, or gave up. */
  readonly phase: "claimed" | "started" | "ended";
  /** The effect on its way: under way, has happened, can't happen any more. */
  readonly flight: "none" | "live" | "landed" | "dead";
  /** A truthful word was accepted that it did not happen: NotPerformed, a probe, a person. */
  readonly proved: boolean;
  /** When the claim stopped being the standing one. */
  readonly lostAt: number | null;
}

/** One thing that may happen in a world. */
export interface Action {
  readonly name: string;
  /** What is asked of the machine; null: the world moves by itself. */
  readonly event: Event | null;
  /** The facts after it, but for the case. `next` is the machine's answer, where it accepted. */
  readonly facts: (next: Case | undefined) => Partial<World>;
}

export const withRun = (world: World, index: number, change: Partial<Run>): readonly Run[] =>
  world.runs.map((run, at) => (at === index ? { ...run, ...change } : run));

/** What a request brings, as it asks for it. */
export const intentOf = (scenario: Scenario, asker: string, payload: Payload): Intent =>
  scenario.queued.includes(asker) ? queued(payload, asker) : intent(payload);

/** Could this run still change the world? */
export const mayLand = (run: Run): boolean =>
  run.flight === "live" || (run.flight === "none" && run.phase === "claimed");

/**
 * The part of a world that tells it from another. Names, nonces and counters are left out, and so is
 * every instant that can't matter any more.
 */
export function keyOf({ terms }: Scenario, world: World): string {
  const { kase } = world;
  const runs = world.runs.map((run) => {
    const since = mayLand(run) && terms.class === "keyed" ? run.claimedAt : "";
    const lost = mayLand(run) && "settlingMs" in terms ? run.lostAt : "";
    const proved = run.proved ? "p" : "";
    return `${run.worker}${run.fence}${run.phase[0]}${run.flight.slice(0, 2)}${since}/${lost}${proved}`;
  });
  return [
    world.now,
    caseKey(kase, terms.class === "keyed"),
    runs.join(),
    world.effects,
    world.keyedAt,
    world.bound,
    kase.state === "EXECUTING" ? world.leaseUntil : "",
    deliberationKey(kase),
    world.decided?.status,
  ].join("|");
}

function caseKey(kase: Case | Absent, isKeyed: boolean): string {
  const age = (claim: Claim) => (isKeyed ? claim.firstStartedAt : "");
  const terms = ({ terms }: Claim) =>
    `${terms.class.slice(0, 2)}${terms.class === "keyed" ? terms.ttlMs : ""}`;
  const earlier = ({ earlierDoubt }: Claim) =>
    earlierDoubt === null ? "" : `after${earlierDoubt.probeAt}`;
  const key = (claim: Claim) => `${claim.fence}${terms(claim)}${earlier(claim)}:${age(claim)}`;
  switch (kase.state) {
    case "FINAL":
      return `F${kase.past === null ? "" : key(kase.past.claim)}${kase.runAt}`;
    case "EXECUTING":
      return `E${key(kase.claim)}:${kase.leaseUntil}`;
    case "IN_DOUBT":
      return `D${key(kase.claim)}:${kase.doubt.probeAt}`;
    case "SETTLED":
      return `S${kase.receipt.fence}${kase.receipt.source}`;
    case "VOID":
      return `V${kase.fence}${kase.receipt.reason}`;
    case "ABSENT":
    case "OPEN":
    case "RESOLVED_PROVISIONAL":
    case "IN_RECONCILIATION":
    case "RETIRED":
      return kase.state;
  }
}

function deliberationKey(kase: Case | Absent): string {
  if (!("intent" in kase)) return "";
  const bound = `${kase.intent?.fingerprint ?? ""}${kase.intent?.queued ?? ""}`;
  if (kase.deliberation === null) return `${bound}`;
  const { signals, late, approvals, decision, verdict } = kase.deliberation;
  const ids = (some: readonly Signal[]) =>
    some
      .map((s) => s.signalId)
      .sort()
      .join();
  const said = approvals
    .map((a) => `${a.actor}${a.approved}${a.fingerprint}${a.at}`)
    .sort()
    .join();
  return `${bound};${ids(signals)};${ids(late)};${said};${decision?.outcome};${verdict.status}${verdict.outcome}`;
}
