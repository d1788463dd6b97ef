import { fenceOf, grown } from "./advance.ts";
import type { Case, Executing, Final, InDoubt, Retired, Settled, Void } from "./case.ts";
import type { Event } from "./event.ts";
import { limits } from "./limits.ts";
import { type Refusal, refuse, type Transition, to } from "./refusal.ts";

/** What is written into a case's journal and changes nothing else. */

/** Another request for what the case holds already. */
export function asked(
  before: Exclude<Case, Retired>,
  event: Extract<Event, { readonly type: "ask" }>,
): Transition {
  if (before.intent === null) return refuse("no_intent");
  if (before.intent.fingerprint !== event.fingerprint) return refuse("payload_conflict");
  return journaled(before, event);
}

/**
 * The result of a claim that others came after, or that ended. While a claim can still speak for
 * itself, its own result is a `settle`; `otherwise` says so.
 */
export function lateResult(
  before: Final | Executing | InDoubt | Settled | Void,
  event: Extract<Event, { readonly type: "late_result" }>,
  otherwise: Refusal,
): Transition {
  const isOver = before.state === "SETTLED" || before.state === "VOID";
  const latest = isOver ? fenceOf(before) : fenceOf(before) - 1;
  return event.fence >= 1 && event.fence <= latest ? journaled(before, event) : refuse(otherwise);
}

function journaled<T extends Case>(before: T, event: Event): Transition {
  if (before.entries >= limits.entriesPerCase) return refuse("too_many");
  return to({ ...before, ...grown(before, event) });
}
