import type { Case } from "../../src/core/case.ts";
import type { Policy } from "../../src/core/policy.ts";
import type { Signal } from "../../src/core/signal.ts";
import { transition } from "../../src/core/transition.ts";
import type { Verdict } from "../../src/core/verdict.ts";
import { outcomes } from "./arbitraries.ts";
import { absent, event, open, reached } from "./samples.ts";

/** A case that asks for votes, after it heard messages: those it kept, and those that came late. */
export function walked(
  rule: Policy,
  messages: readonly Signal[],
): { readonly kase: Case; readonly heard: readonly Signal[] } {
  let kase = reached(absent, event(open(rule, { outcomes: [...outcomes] })));
  const heard: Signal[] = [];
  for (const signal of messages) {
    const wasOpen = isOpen(kase);
    const answer = transition(kase, event({ type: "signal", signal }));
    if (!answer.ok) continue;
    if (wasOpen) heard.push(signal);
    kase = answer.next;
  }
  return { kase, heard };
}

export const isOpen = (kase: Case) =>
  kase.state === "OPEN" ||
  kase.state === "RESOLVED_PROVISIONAL" ||
  kase.state === "IN_RECONCILIATION";

export const deliberationOf = (kase: Case) => (kase.state === "RETIRED" ? null : kase.deliberation);

/** The part of a verdict that the naive reference gives too. */
export const brief = ({ status, outcome }: Pick<Verdict, "status" | "outcome">) => ({
  status,
  outcome,
});
