import { type Absent, type Case, summaryOf } from "../core/case.ts";
import { GuardError } from "../core/errors.ts";
import type { Refusal } from "../core/refusal.ts";

/** What a refusal means to a caller who asked for something that the machine doesn't allow. */
export function refused(
  refusal: Refusal,
  before: Case | Absent,
  ids: { readonly requestId?: string | undefined } = {},
): GuardError {
  const { caseId } = before;
  const { state } = summaryOf(before);
  const at = { caseId, requestId: ids.requestId };
  switch (refusal) {
    case "payload_conflict":
      return new GuardError(
        "payload_conflict",
        `Case ${caseId} was first asked for with another action or payload.`,
        at,
      );
    case "policy_conflict":
      return new GuardError(
        "payload_conflict",
        `Case ${caseId} was opened with another policy, other outcomes or another \`allow\`.`,
        { ...at, next: "Ask with those it was opened with. Another policy needs a new case." },
      );
    case "signal_conflict":
      return new GuardError(
        "payload_conflict",
        `A signal with this id said something else about case ${caseId}.`,
        { ...at, next: "A new vote needs a new signal id." },
      );
    case "retired":
      return new GuardError("retired", `Case ${caseId} has ended and was pruned.`, {
        ...at,
        ...(before.state === "RETIRED" && before.effect === "once" ? doneBefore : {}),
        next: "Do not do it again under another id, unless it is another effect.",
      });
    case "absent":
      return new GuardError("not_found", `There is no case ${caseId}.`, at);
    case "not_eligible":
      return new GuardError(
        "forbidden",
        `This actor may not approve case ${caseId}: it proposed it, or the policy names others.`,
        at,
      );
    case "unknown_source":
      return new GuardError(
        "forbidden",
        `The policy of case ${caseId} does not listen to this source.`,
        at,
      );
    case "unknown_outcome":
      return new GuardError(
        "invalid_request",
        `Case ${caseId} has no such outcome: it is neither declared nor voted for.`,
        { ...at, next: "Use one of the outcomes that the case was opened with." },
      );
    case "no_intent":
      return new GuardError(
        "invalid_request",
        `Case ${caseId} does not hold its action and payload yet, so there is nothing to approve or compare.`,
        { ...at, next: "Open it with its action and payload." },
      );
    case "no_votes":
    case "no_approvals":
      return new GuardError(
        "invalid_request",
        `The policy of case ${caseId} asks for no such word (${refusal.slice(3)}).`,
        at,
      );
    case "too_many":
      return new GuardError("over_limit", `Case ${caseId} has reached a limit of its size.`, {
        ...at,
        effect: effectIn(state),
        next: "Look at the case: what asks so often?",
        forModel: "Not done by this call. Do not call it again; tell the person who asked.",
      });
    case "settled":
    case "void":
    case "in_doubt":
    case "busy":
    case "not_final":
    case "already_final":
    case "not_executing":
    case "not_in_doubt":
    case "stale_fence":
    case "lease_running":
    case "too_early":
    case "expired":
    case "unchanged":
      return new GuardError("held", `Case ${caseId} is ${state}.`, {
        ...at,
        ...(state === "SETTLED" ? doneBefore : {}),
        next: "Nothing was changed. Look at the case before you go on.",
        effect: effectIn(state),
      });
  }
}

const doneBefore = {
  first: "It was executed before, once; not by this call.",
  forModel: "This was done before, once. Do not call it again, and not under another name.",
} as const;

function effectIn(state: ReturnType<typeof summaryOf>["state"]): "none" | "unknown" {
  return state === "EXECUTING" || state === "IN_DOUBT" ? "unknown" : "none";
}
