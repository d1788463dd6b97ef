import type { Absent, Case, Intent } from "../../src/core/case.ts";
import type { Event, Happening, Occasion } from "../../src/core/event.ts";
import type { CaseId, Fingerprint, RequestId } from "../../src/core/identity.ts";
import type { Json } from "../../src/core/json.ts";
import type { Policy } from "../../src/core/policy.ts";
import type { EffectTerms } from "../../src/core/receipt.ts";
import type { Refusal } from "../../src/core/refusal.ts";
import type { Signal } from "../../src/core/signal.ts";
import { transition } from "../../src/core/transition.ts";
import type { Evidence } from "../../src/core/verdict.ts";

/** Ready-made parts of cases and events. Brands are made by casts here, and nowhere else in the tests of core. */

export const requestId = (name: string) => name as RequestId;
export const fingerprint = (name: string) => `fp:${name}` as Fingerprint;

export const absent: Absent = { state: "ABSENT", namespace: "ns", caseId: "case-1" as CaseId };

export const nobody: Evidence = {
  signals: [],
  approvals: [],
  decision: null,
  fingerprint: null,
  proposer: null,
  openedAt: 0,
};

/** An intent whose fingerprint says its payload. */
export function intent(payload: Json = "p", proposer = "pat"): Intent {
  return {
    action: "pay",
    payload,
    fingerprint: fingerprint(JSON.stringify(payload)),
    proposer,
    queued: null,
  };
}

/** The same, to be run by a worker, as a request asked. */
export const queued = (payload: Json = "p", by = "r1"): Intent => ({
  ...intent(payload),
  queued: requestId(by),
});

export const opaque: EffectTerms = { class: "opaque" };
export const idempotent: EffectTerms = { class: "idempotent" };
export const transactional: EffectTerms = { class: "transactional" };
export const keyed = (ttlMs: number, settlingMs: number | null = null): EffectTerms => ({
  class: "keyed",
  ttlMs,
  settlingMs,
});
export const probeable = (settlingMs: number): EffectTerms => ({ class: "probeable", settlingMs });

let tries = 0;

/** An event, at an instant, by somebody, under a nonce of its own. */
export function event(happening: Happening, occasion: Partial<Occasion> = {}): Event {
  tries += 1;
  return { at: 0, by: "worker", nonce: `n${tries}`, ...occasion, ...happening };
}

export function open(policy: Policy, rest: Partial<Extract<Happening, { type: "open" }>> = {}) {
  return { type: "open", policy, outcomes: null, allow: null, intent: null, ...rest } as const;
}

export function claim(rest: Partial<Extract<Happening, { type: "claim" }>> = {}) {
  return {
    type: "claim",
    requestId: requestId("r1"),
    intent: intent(),
    terms: opaque,
    leaseUntil: 100,
    opens: true,
    ...rest,
  } as const;
}

export function vote(
  source: string,
  outcome: string,
  rest: Partial<Signal> = {},
): { readonly type: "signal"; readonly signal: Signal } {
  const signalId = `${source}:${outcome}`;
  return {
    type: "signal",
    signal: { signalId, source, outcome, confidencePpm: 1_000_000, at: 0, ...rest },
  };
}

export const settle = (fence: number, value: Json = "done") =>
  ({ type: "settle", fence, value, valueForm: "exact" }) as const;

export const release = (fence: number, final = false, retryAt: number | null = null) =>
  ({ type: "release", fence, reason: "refused", final, retryAt }) as const;

/** A person's word on the doubt about a claim. */
export const happened = (fence: number, evidence = "seen") =>
  ({ type: "resolve", fence, evidence, happened: true, valueForm: "omitted" }) as const;

export const notHappened = (fence: number, evidence = "seen") =>
  ({ type: "resolve", fence, evidence, happened: false }) as const;

export const doubt = (fence: number) =>
  ({ type: "doubt", fence, reason: "threw", error: "boom" }) as const;

export const approve = (name: string) =>
  ({ type: "approve", fingerprint: fingerprint(name), note: null }) as const;

export const deny = (name: string) =>
  ({ type: "deny", fingerprint: fingerprint(name), note: null }) as const;

/** What approvals of the plain sample intent bind to. */
export const right = JSON.stringify("p");

/** Walks a case through events that must all be accepted. */
export function reached(start: Case | Absent, ...events: readonly Event[]): Case {
  let kase: Case | Absent = start;
  for (const next of events) {
    const answer = transition(kase, next);
    if (!answer.ok) throw new Error(`${kase.state} refused ${next.type}: ${answer.refusal}`);
    kase = answer.next;
  }
  if (kase.state === "ABSENT") throw new Error("no events");
  return kase;
}

/** The refusal of an event; "accepted" where there is none. */
export function refusal(kase: Case | Absent, next: Event): Refusal | "accepted" {
  const answer = transition(kase, next);
  return answer.ok ? "accepted" : answer.refusal;
}
