import type { Case, Deliberation, Executing, Final, InDoubt } from "../../../src/core/case.ts";
import type { Event } from "../../../src/core/event.ts";
import type { Signal } from "../../../src/core/signal.ts";
import { transition } from "../../../src/core/transition.ts";
import type { scenarios } from "./scenarios.ts";
import type { Machine } from "./world.ts";

/**
 * Defects planted in front of or behind the reducer. Each must be found by the search of its world: a
 * defect that isn't says that the world lacks an action.
 */
export interface Bug {
  readonly name: string;
  readonly world: keyof typeof scenarios;
  /** Begins what the checker must say of it. */
  readonly breaks: string;
  readonly machine: Machine;
}

export type Of<T extends Event["type"]> = Extract<Event, { readonly type: T }>;

/** Answers as another case would, where `as` gives one. */
export const asIf =
  (as: (before: Case, event: Event) => Case | undefined): Machine =>
  (before, event) =>
    transition(before.state === "ABSENT" ? before : (as(before, event) ?? before), event);

/** Answers another event, where `instead` gives one. */
export const hearing =
  (instead: (before: Case, event: Event) => Event | undefined): Machine =>
  (before, event) =>
    transition(before, before.state === "ABSENT" ? event : (instead(before, event) ?? event));

/** Changes an accepted answer. */
export const leading =
  (to: (next: Case, event: Event, before: Case) => Case | undefined): Machine =>
  (before, event) => {
    const answer = transition(before, event);
    if (!answer.ok || before.state === "ABSENT") return answer;
    return { ok: true, next: to(answer.next, event, before) ?? answer.next };
  };

export const freed = (kase: Executing | InDoubt): Final => ({
  ...kase,
  state: "FINAL",
  past: { claim: kase.claim, reason: "planted" },
  runAt: null,
});

export const isHeld = (kase: Case): kase is Executing | InDoubt =>
  kase.state === "EXECUTING" || kase.state === "IN_DOUBT";

/** The same case, one entry later. */
export const journaledAs = <T extends Case>(kase: T): T => ({
  ...kase,
  version: kase.version + 1,
  entries: kase.entries + 1,
});

/** Takes the word of any fence for that of the latest claim. */
export const anyFence = (type: Event["type"]): Machine =>
  hearing((before, event) =>
    event.type === type && "fence" in event && isHeld(before)
      ? { ...event, fence: before.claim.fence }
      : undefined,
  );

export const withSamePayload = (types: readonly Event["type"][]): Machine =>
  hearing((before, event) => {
    if (!types.includes(event.type) || before.state === "RETIRED" || before.intent === null)
      return undefined;
    if (event.type === "ask") return { ...event, fingerprint: before.intent.fingerprint };
    return event.type === "claim" ? { ...event, intent: before.intent } : undefined;
  });

export const finalAs = (
  before: Extract<Case, { readonly deliberation: Deliberation | null }>,
): Final => ({
  ...before,
  state: "FINAL",
  past: null,
  runAt: null,
});

export const approvedBy = (event: Of<"approve">, actor: string): Event => ({ ...event, by: actor });

export const judgedAgain = (
  kase: Case,
  signals: (all: readonly Signal[]) => readonly Signal[],
): Case | undefined =>
  kase.state === "OPEN" ||
  kase.state === "RESOLVED_PROVISIONAL" ||
  kase.state === "IN_RECONCILIATION"
    ? {
        ...kase,
        deliberation: { ...kase.deliberation, signals: signals(kase.deliberation.signals) },
      }
    : undefined;
