import {
  born,
  claimed,
  fenceOf,
  grown,
  lost,
  mayRunAgain,
  notPerformed,
  released,
  renewed,
  settled,
  voided,
} from "./advance.ts";
import type {
  Absent,
  Case,
  Deliberating,
  Executing,
  Final,
  InDoubt,
  Retired,
  Settled,
  Void,
} from "./case.ts";
import { conflictWith, heard, keptLate, opened, reopened, saidBefore } from "./deliberation.ts";
import type { Event } from "./event.ts";
import { asked, lateResult } from "./journaled.ts";
import { limits } from "./limits.ts";
import { refuse, type Transition, to } from "./refusal.ts";

/**
 * The whole machine. Pure and total: every state has an answer to every event, and neither a clock
 * nor chance nor the outside has a say. A clock value can only cause doubt, or end a case without
 * effect; it never starts an effect that might have run.
 */
export function transition(before: Case | Absent, event: Event): Transition {
  switch (before.state) {
    case "ABSENT":
      return fromAbsent(before, event);
    case "OPEN":
    case "RESOLVED_PROVISIONAL":
    case "IN_RECONCILIATION":
      return fromDeliberating(before, event);
    case "FINAL":
      return fromFinal(before, event);
    case "EXECUTING":
      return fromExecuting(before, event);
    case "IN_DOUBT":
      return fromInDoubt(before, event);
    case "SETTLED":
    case "VOID":
      return fromEnd(before, event);
    case "RETIRED":
      return fromRetired(before, event);
  }
}

function fromAbsent(before: Absent, event: Event): Transition {
  switch (event.type) {
    case "open":
      return opened(before, event);
    case "claim":
      return event.opens && (event.policy ?? { kind: "immediate" }).kind === "immediate"
        ? to(claimed(born(before, event), null, event.intent, null, event))
        : refuse("absent");
    case "signal":
    case "approve":
    case "deny":
    case "decide":
    case "expire":
    case "withdraw":
    case "ask":
    case "renew":
    case "settle":
    case "release":
    case "doubt":
    case "lease_ended":
    case "probed":
    case "resolve":
    case "late_result":
      return refuse("absent");
  }
}

function fromDeliberating(before: Deliberating, event: Event): Transition {
  switch (event.type) {
    case "open":
      return reopened(before, event);
    case "signal":
    case "approve":
    case "deny":
    case "decide":
      return heard(before, event);
    case "expire": {
      const { expiresAt } = before.deliberation;
      if (expiresAt === null || !(event.at >= expiresAt)) return refuse("too_early");
      return to(voided(before, "expired", null, event));
    }
    case "withdraw":
      return to(voided(before, "withdrawn", event.note, event));
    case "ask":
      return asked(before, event);
    case "claim":
      return refuse(conflictWith(before, event) ?? "not_final");
    case "renew":
    case "settle":
    case "release":
    case "doubt":
    case "lease_ended":
    case "late_result":
      return refuse("not_executing");
    case "probed":
    case "resolve":
      return refuse("not_in_doubt");
  }
}

function fromFinal(before: Final, event: Event): Transition {
  const fence = fenceOf(before);
  switch (event.type) {
    case "open":
      return reopened(before, event);
    case "claim": {
      const conflict = conflictWith(before, event);
      if (conflict !== undefined) return refuse(conflict);
      if (fence >= limits.claimsPerCase) return refuse("too_many");
      return to(
        claimed(
          grown(before, event),
          before.deliberation,
          before.intent ?? event.intent,
          before.past === null ? null : { claim: before.past.claim, doubt: null },
          event,
        ),
      );
    }
    case "settle":
      // The claim was given back on a probe's or a person's word, and nobody ran again: the result
      // itself proves that word wrong, and settling it is what prevents a second run.
      if (before.past === null) return refuse("not_executing");
      if (before.intent === null || event.fence !== fence) return refuse("stale_fence");
      return to(
        settled(
          { ...before, intent: before.intent, claim: before.past.claim },
          "late",
          event,
          event,
        ),
      );
    case "signal":
      return keptLate(before, event);
    case "ask":
      return asked(before, event);
    case "withdraw":
      return to(voided(before, "withdrawn", event.note, event));
    case "late_result":
      return lateResult(before, event, "not_executing");
    case "approve":
    case "deny":
    case "decide":
      return refuse(saidBefore(before, event) ? "unchanged" : "already_final");
    case "expire":
      return refuse("already_final");
    case "renew":
    case "release":
    case "doubt":
    case "lease_ended":
      return refuse("not_executing");
    case "probed":
    case "resolve":
      return refuse("not_in_doubt");
  }
}

function fromExecuting(before: Executing, event: Event): Transition {
  switch (event.type) {
    case "open":
      return reopened(before, event);
    case "claim":
      return refuse(conflictWith(before, event) ?? "busy");
    case "renew":
      if (event.fence !== before.claim.fence) return refuse("stale_fence");
      return to(renewed(before, event));
    case "settle":
      if (event.fence !== before.claim.fence) return refuse("stale_fence");
      return to(settled(before, "effect", event, event));
    case "release":
      if (event.fence !== before.claim.fence) return refuse("stale_fence");
      return to(notPerformed(before, event));
    case "doubt":
      if (event.fence !== before.claim.fence) return refuse("stale_fence");
      return to(lost(before, event.reason, event.error, event));
    case "lease_ended":
      // An instant that is no number ends nothing.
      if (!(event.at >= before.leaseUntil)) return refuse("lease_running");
      return to(lost(before, "lease_ended", null, event));
    case "signal":
      return keptLate(before, event);
    case "ask":
      return asked(before, event);
    case "late_result":
      return lateResult(before, event, "busy");
    case "approve":
    case "deny":
    case "decide":
      return refuse(saidBefore(before, event) ? "unchanged" : "already_final");
    case "expire":
      return refuse("already_final");
    case "withdraw":
      return refuse("busy");
    case "probed":
    case "resolve":
      return refuse("not_in_doubt");
  }
}

function fromInDoubt(before: InDoubt, event: Event): Transition {
  const { claim } = before;
  switch (event.type) {
    case "open":
      return reopened(before, event);
    case "claim": {
      const conflict = conflictWith(before, event);
      if (conflict !== undefined) return refuse(conflict);
      if (!mayRunAgain(before, event.at)) return refuse("in_doubt");
      if (claim.fence >= limits.claimsPerCase) return refuse("too_many");
      return to(claimed(grown(before, event), before.deliberation, before.intent, before, event));
    }
    case "settle":
      if (event.fence !== claim.fence) return refuse("stale_fence");
      return to(settled(before, "late", event, event));
    case "release":
      if (event.fence !== claim.fence) return refuse("stale_fence");
      // A re-run that did not happen has said so already; the doubt is the earlier one's.
      if (before.doubt.fence < claim.fence) return refuse("unchanged");
      return to(notPerformed(before, event));
    case "probed":
      return probed(before, event);
    case "resolve":
      if (event.fence !== claim.fence) return refuse("stale_fence");
      return event.happened
        ? to(settled(before, "resolved", event, event, event.evidence))
        : to(released(before, `resolved as not happened: ${event.evidence}`, event));
    case "signal":
      return keptLate(before, event);
    case "ask":
      return asked(before, event);
    case "late_result":
      return lateResult(before, event, "in_doubt");
    case "approve":
    case "deny":
    case "decide":
      return refuse(saidBefore(before, event) ? "unchanged" : "already_final");
    case "expire":
      return refuse("already_final");
    case "withdraw":
    case "renew":
    case "doubt":
      return refuse("in_doubt");
    case "lease_ended":
      return refuse("not_executing");
  }
}

function probed(before: InDoubt, event: Extract<Event, { readonly type: "probed" }>): Transition {
  const { claim, doubt } = before;
  if (event.fence !== claim.fence) return refuse("stale_fence");
  if (doubt.probeAt === null) return refuse("in_doubt");
  switch (event.found.answer) {
    case "happened":
      return to(settled(before, "probe", event.found, event));
    case "absent":
      // "Absent" proves nothing while the effect may still be under way.
      if (!(event.at >= doubt.probeAt)) return refuse("too_early");
      return to(released(before, "the probe found that it did not happen", event));
    case "unknown": {
      if (before.entries >= limits.entriesPerCase) return refuse("too_many");
      // Never sooner than before: the effect may still be under way.
      const probeAt = Math.max(doubt.probeAt, event.found.probeAt);
      const asked = { ...doubt, probes: doubt.probes + 1, probeAt };
      return to({ ...before, ...grown(before, event), doubt: asked });
    }
  }
}

function fromEnd(before: Settled | Void, event: Event): Transition {
  const ended = before.state === "SETTLED" ? "settled" : "void";
  switch (event.type) {
    case "open":
      return reopened(before, event);
    case "claim":
      return refuse(conflictWith(before, event) ?? ended);
    case "settle":
    case "release":
    case "doubt":
      return before.state === "SETTLED" && event.fence === before.receipt.fence
        ? refuse("settled")
        : refuse("stale_fence");
    case "signal":
      return keptLate(before, event);
    case "ask":
      return asked(before, event);
    case "late_result":
      return lateResult(before, event, "stale_fence");
    case "approve":
    case "deny":
    case "decide":
      return refuse(saidBefore(before, event) ? "unchanged" : ended);
    case "expire":
    case "withdraw":
    case "renew":
    case "lease_ended":
    case "probed":
    case "resolve":
      return refuse(ended);
  }
}

function fromRetired(before: Retired, event: Event): Transition {
  switch (event.type) {
    case "claim":
    case "ask": {
      const asked = event.type === "claim" ? event.intent.fingerprint : event.fingerprint;
      return before.fingerprint !== null && before.fingerprint !== asked
        ? refuse("payload_conflict")
        : refuse("retired");
    }
    case "open":
    case "signal":
    case "approve":
    case "deny":
    case "decide":
    case "expire":
    case "withdraw":
    case "renew":
    case "settle":
    case "release":
    case "doubt":
    case "lease_ended":
    case "probed":
    case "resolve":
    case "late_result":
      return refuse("retired");
  }
}
