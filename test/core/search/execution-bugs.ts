import { transition } from "../../../src/core/transition.ts";
import {
  anyFence,
  asIf,
  type Bug,
  finalAs,
  freed,
  hearing,
  isHeld,
  journaledAs,
  leading,
  withSamePayload,
} from "./planting.ts";

/** Bugs in claims, leases, fences, doubts and receipts. */
export const executionBugs: readonly Bug[] = [
  {
    name: "a claim is given again once the lease is over",
    world: "opaque",
    breaks: "P1",
    machine: asIf((before, event) =>
      before.state === "EXECUTING" && event.type === "claim" && event.at >= before.leaseUntil
        ? freed(before)
        : undefined,
    ),
  },
  {
    name: "the end of a lease frees an opaque case",
    world: "opaque",
    breaks: "P5",
    machine: leading((next, event) =>
      event.type === "lease_ended" && next.state === "IN_DOUBT" ? freed(next) : undefined,
    ),
  },
  {
    name: "a lease ends before its time",
    world: "opaque",
    breaks: "P9",
    machine: asIf((before, event) =>
      before.state === "EXECUTING" && event.type === "lease_ended"
        ? { ...before, leaseUntil: 0 }
        : undefined,
    ),
  },
  {
    name: "an opaque case in doubt is claimed",
    world: "opaque",
    breaks: "P1",
    machine: asIf((before, event) =>
      before.state === "IN_DOUBT" && event.type === "claim" ? freed(before) : undefined,
    ),
  },
  {
    name: "an unknown error counts as not performed",
    world: "opaque",
    breaks: "P5",
    machine: leading((next, event) =>
      event.type === "doubt" && next.state === "IN_DOUBT" ? freed(next) : undefined,
    ),
  },
  {
    name: "time clears a doubt",
    world: "opaque",
    breaks: "P5",
    machine: (before, event) =>
      before.state === "IN_DOUBT" && event.type === "lease_ended"
        ? transition(before, {
            ...event,
            type: "release",
            fence: before.claim.fence,
            reason: "old",
            final: true,
            retryAt: null,
          })
        : transition(before, event),
  },
  { name: "a stale fence settles", world: "idempotent", breaks: "P8", machine: anyFence("settle") },
  { name: "a stale holder releases", world: "opaque", breaks: "P8", machine: anyFence("release") },
  {
    name: "a stale holder's renewal extends the lease",
    world: "opaque",
    breaks: "P8",
    machine: anyFence("renew"),
  },
  {
    name: "a stale holder's error puts the case in doubt",
    world: "opaque",
    breaks: "P8",
    machine: anyFence("doubt"),
  },
  {
    name: "the fence doesn't grow",
    world: "opaque",
    breaks: "P8",
    machine: leading((next, event) =>
      event.type === "claim" && next.state === "EXECUTING"
        ? { ...next, claim: { ...next.claim, fence: 1 } }
        : undefined,
    ),
  },
  {
    name: "a second settle makes a new settlement id",
    world: "opaque",
    breaks: "P3",
    machine: (before, event) =>
      before.state === "SETTLED" && event.type === "settle" && event.fence === before.receipt.fence
        ? {
            ok: true,
            next: { ...before, receipt: { ...before.receipt, settlementId: event.nonce } },
          }
        : transition(before, event),
  },
  {
    name: "a late result replaces the value in the receipt",
    world: "opaque",
    breaks: "P3",
    machine: leading((next, event) =>
      event.type === "late_result" && next.state === "SETTLED" && event.value !== undefined
        ? { ...next, receipt: { ...next.receipt, value: event.value } }
        : undefined,
    ),
  },
  {
    name: "a settled case falls into doubt",
    world: "opaque",
    breaks: "P8",
    machine: (before, event) => {
      if (before.state !== "SETTLED" || event.type !== "doubt") return transition(before, event);
      const { receipt, ...rest } = before;
      const { fence, requestId: name, startedAt } = receipt;
      const claim = {
        fence,
        holder: "",
        by: "",
        requestId: name as never,
        terms: { class: "opaque" },
        startedAt,
        firstStartedAt: startedAt,
        earlierDoubt: null,
      } as const;
      const doubt = {
        fence,
        since: event.at,
        reason: "threw",
        error: null,
        probes: 0,
        probeAt: null,
      } as const;
      return { ok: true, next: { ...rest, state: "IN_DOUBT", claim, doubt } };
    },
  },
  {
    name: "a void case is claimed",
    world: "opaque",
    breaks: "P8",
    machine: asIf((before, event) =>
      before.state === "VOID" && event.type === "claim" ? finalAs(before) : undefined,
    ),
  },
  {
    name: "a case is withdrawn while its effect may happen",
    world: "opaque",
    breaks: "P5",
    machine: asIf((before, event) =>
      isHeld(before) && event.type === "withdraw" ? freed(before) : undefined,
    ),
  },
  {
    name: "the payload is not compared on claim",
    world: "opaque",
    breaks: "P3",
    machine: withSamePayload(["claim"]),
  },
  {
    name: "the payload is not compared on ask",
    world: "opaque",
    breaks: "P3",
    machine: withSamePayload(["ask"]),
  },
  {
    name: "a second opening swaps the payload",
    world: "votedTwo",
    breaks: "P3",
    machine: asIf((before, event) =>
      event.type === "open" &&
      "intent" in before &&
      (before.state === "OPEN" || before.state === "FINAL")
        ? { ...before, intent: null }
        : undefined,
    ),
  },
  {
    name: "a claim brings its own payload to an opened case",
    world: "votedTwo",
    breaks: "P3",
    machine: asIf((before, event) =>
      before.state === "FINAL" && event.type === "claim" ? { ...before, intent: null } : undefined,
    ),
  },
  {
    name: "a key is used after its life",
    world: "keyed",
    breaks: "P1",
    machine: hearing((before, event) =>
      before.state === "IN_DOUBT" && event.type === "claim"
        ? { ...event, at: before.claim.firstStartedAt }
        : undefined,
    ),
  },
  {
    name: "a key's life is counted from the latest claim",
    world: "keyed",
    breaks: "P1",
    machine: leading((next) =>
      next.state === "EXECUTING"
        ? { ...next, claim: { ...next.claim, firstStartedAt: next.claim.startedAt } }
        : undefined,
    ),
  },
  {
    name: "a probeable case is claimed without a probe",
    world: "probeable",
    breaks: "P2",
    machine: asIf((before, event) =>
      before.state === "IN_DOUBT" && event.type === "claim" ? freed(before) : undefined,
    ),
  },
  {
    name: "absent is believed while the effect may be under way",
    world: "probeable",
    breaks: "P5",
    machine: asIf((before, event) =>
      before.state === "IN_DOUBT" && event.type === "probed"
        ? { ...before, doubt: { ...before.doubt, probeAt: 0 } }
        : undefined,
    ),
  },
  {
    name: "a probe of an earlier claim is believed",
    world: "probeable",
    breaks: "P8",
    machine: anyFence("probed"),
  },
  {
    name: "a probe that found nothing out counts as absent",
    world: "probeable",
    breaks: "P5",
    machine: hearing((before, event) =>
      before.state === "IN_DOUBT" && event.type === "probed" && event.found.answer === "unknown"
        ? { ...event, at: before.doubt.probeAt ?? 0, found: { answer: "absent" } }
        : undefined,
    ),
  },
  ...(["keyed", "idempotent"] as const).map(
    (world): Bug => ({
      name: `a re-run that did not happen frees the case, ${world}`,
      world,
      breaks: "P5",
      machine: asIf((before, event) =>
        isHeld(before) && event.type === "release"
          ? { ...before, claim: { ...before.claim, earlierDoubt: null } }
          : undefined,
      ),
    }),
  ),
  {
    name: "after a re-run that did not happen, absent is believed at once",
    world: "keyedProbed",
    breaks: "P5",
    machine: leading((next, event) =>
      event.type === "release" && next.state === "IN_DOUBT"
        ? { ...next, doubt: { ...next.doubt, probeAt: 0 } }
        : undefined,
    ),
  },
  ...(["probeable", "keyedProbed"] as const).map(
    (world): Bug => ({
      name: `a probe that found nothing out shortens the settling time, ${world}`,
      world,
      breaks: "P5",
      machine: leading((next, event) =>
        next.state === "IN_DOUBT" && event.type === "probed" && event.found.answer === "unknown"
          ? { ...next, doubt: { ...next.doubt, probeAt: event.found.probeAt } }
          : undefined,
      ),
    }),
  ),
  {
    name: "the terms change on a re-claim",
    world: "keyedMixed",
    breaks: "P1",
    machine: leading((next, event) =>
      next.state === "EXECUTING" && event.type === "claim"
        ? { ...next, claim: { ...next.claim, terms: event.terms } }
        : undefined,
    ),
  },
  ...(["opaque", "keyed", "idempotent"] as const).map(
    (world): Bug => ({
      name: `a person's word on a stale doubt is believed, ${world}`,
      world,
      breaks: "P8",
      machine: anyFence("resolve"),
    }),
  ),
  {
    name: "a late result of the current claim is kept as mere evidence",
    world: "opaque",
    breaks: "P8",
    machine: (before, event) =>
      before.state !== "ABSENT" &&
      isHeld(before) &&
      event.type === "late_result" &&
      event.fence === before.claim.fence
        ? { ok: true, next: journaledAs(before) }
        : transition(before, event),
  },
];
