import type { Case } from "./case.ts";

/** Why an event may not happen to a case. Nothing changes. */
export type Refusal =
  /** The case holds another action or payload. */
  | "payload_conflict"
  /** The case was opened with another policy, other outcomes or another `allow`. */
  | "policy_conflict"
  /** The signal's id was used for another vote. */
  | "signal_conflict"
  | "retired"
  | "absent"
  | "settled"
  | "void"
  | "in_doubt"
  | "busy"
  | "not_final"
  | "already_final"
  | "not_executing"
  | "not_in_doubt"
  /** The claim has lost its right to speak. */
  | "stale_fence"
  | "lease_running"
  | "too_early"
  | "expired"
  /** The case doesn't hold its action and payload yet. */
  | "no_intent"
  | "no_votes"
  | "no_approvals"
  | "not_eligible"
  | "unknown_outcome"
  | "unknown_source"
  | "too_many"
  /** It is so already: a repeat that needs no commit. */
  | "unchanged";

export type Transition =
  | { readonly ok: true; readonly next: Case }
  | { readonly ok: false; readonly refusal: Refusal };

export function to(next: Case): Transition {
  return { ok: true, next };
}

export function refuse(refusal: Refusal): Transition {
  return { ok: false, refusal };
}
