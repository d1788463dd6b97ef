import type { Case } from "../../../src/core/case.ts";
import type { Signal } from "../../../src/core/signal.ts";
import { transition } from "../../../src/core/transition.ts";
import { approvedBy, asIf, type Bug, finalAs, hearing, judgedAgain, leading } from "./planting.ts";

/** Bugs in votes, decisions and approvals. */
export const hearingBugs: readonly Bug[] = [
  {
    name: "a claim is given before the case is FINAL",
    world: "votedTwo",
    breaks: "P6",
    machine: asIf((before, event) =>
      before.state === "RESOLVED_PROVISIONAL" && event.type === "claim"
        ? finalAs(before)
        : undefined,
    ),
  },
  {
    name: "a claim is given on an outcome that doesn't permit it",
    world: "voted",
    breaks: "P6",
    machine: asIf((before, event) =>
      before.state === "VOID" && event.type === "claim" ? finalAs(before) : undefined,
    ),
  },
  {
    name: "a late signal flips the verdict",
    world: "majority",
    breaks: "P6",
    machine: leading((next, event) =>
      event.type === "signal" &&
      next.state === "FINAL" &&
      next.deliberation !== null &&
      next.deliberation.late.length > 0
        ? {
            ...next,
            deliberation: {
              ...next.deliberation,
              verdict: { ...next.deliberation.verdict, outcome: event.signal.outcome },
            },
          }
        : undefined,
    ),
  },
  {
    name: "a late signal is thrown away",
    world: "majority",
    breaks: "P6",
    machine: leading((next, event, before) =>
      event.type === "signal" && before.state === "FINAL" ? before : next,
    ),
  },
  {
    name: "the signal that arrived last counts, not the one said last",
    world: "voted",
    breaks: "P6",
    machine: hearing((before, event) =>
      event.type === "signal"
        ? { ...event, signal: { ...event.signal, at: "entries" in before ? before.entries : 0 } }
        : undefined,
    ),
  },
  {
    name: "a repeated signal counts as another source",
    world: "majority",
    breaks: "P6",
    machine: hearing((before, event) =>
      event.type === "signal" && "entries" in before
        ? {
            ...event,
            signal: {
              ...event.signal,
              signalId: `${before.entries}`,
              source: `${event.signal.source}${before.entries}`,
            },
          }
        : undefined,
    ),
  },
  {
    name: "two votes of one source both count",
    world: "majority",
    breaks: "P6",
    machine: (before, event) => {
      const split = (s: Signal): Signal => ({ ...s, source: s.signalId });
      const as =
        before.state === "ABSENT" ? undefined : judgedAgain(before, (all) => all.map(split));
      return transition(
        as ?? before,
        event.type === "signal" && as ? { ...event, signal: split(event.signal) } : event,
      );
    },
  },
  {
    name: "an outcome that nobody declared is decided",
    world: "voted",
    breaks: "P6",
    machine: asIf((before, event) => {
      if (event.type !== "decide" || !("deliberation" in before) || before.deliberation === null)
        return undefined;
      return {
        ...before,
        deliberation: { ...before.deliberation, outcomes: [event.outcome] },
      } as Case;
    }),
  },
  {
    name: "the quorum is not asked for",
    world: "majority",
    breaks: "P6",
    machine: asIf((before, event) => {
      if (event.type !== "signal" || !("deliberation" in before) || before.deliberation === null)
        return undefined;
      return {
        ...before,
        deliberation: { ...before.deliberation, policy: { kind: "majority", quorum: 1 } },
      } as Case;
    }),
  },
  {
    name: "the proposer's approval counts",
    world: "approved",
    breaks: "P6",
    machine: hearing((_, event) =>
      event.type === "approve" && event.by === "pat" ? approvedBy(event, "ben") : undefined,
    ),
  },
  {
    name: "an approval by anybody counts",
    world: "approved",
    breaks: "P6",
    machine: hearing((_, event) =>
      event.type === "approve" && event.by === "eve" ? approvedBy(event, "ben") : undefined,
    ),
  },
  {
    name: "one principal counts twice",
    world: "approved",
    breaks: "P6",
    machine: hearing((before, event) => {
      if (event.type !== "approve" || before.state !== "OPEN") return undefined;
      const again = before.deliberation.approvals.some((word) => word.actor === event.by);
      return again ? approvedBy(event, event.by === "ann" ? "ben" : "ann") : undefined;
    }),
  },
  {
    name: "an approval of another payload counts",
    world: "approved",
    breaks: "P6",
    machine: hearing((before, event) =>
      event.type === "approve" && before.state === "OPEN" && before.intent !== null
        ? { ...event, fingerprint: before.intent.fingerprint }
        : undefined,
    ),
  },
  {
    name: "a denial is not heard",
    world: "approved",
    breaks: "P6",
    machine: hearing((_, event) =>
      event.type === "deny" ? { ...event, type: "approve" } : undefined,
    ),
  },
  {
    name: "the end of the time for approval makes the case FINAL",
    world: "approved",
    breaks: "P9",
    machine: leading((next, event) =>
      event.type === "expire" && next.state === "VOID" ? finalAs(next) : undefined,
    ),
  },
  {
    name: "an approval expires before its time",
    world: "approved",
    breaks: "P9",
    machine: hearing((_, event) => (event.type === "expire" ? { ...event, at: 1 } : undefined)),
  },
  {
    name: "the votes suffice where an approval is wanted too",
    world: "votedAndApproved",
    breaks: "P6",
    machine: asIf((before, event) => {
      if (event.type !== "signal" || !("deliberation" in before) || before.deliberation === null)
        return undefined;
      return {
        ...before,
        deliberation: { ...before.deliberation, policy: { kind: "majority", quorum: 2 } },
      } as Case;
    }),
  },
  {
    name: "an approval that came too late counts where another way is open",
    world: "approvedOrDecided",
    breaks: "P6",
    machine: hearing((_, event) => (event.type === "approve" ? { ...event, at: 0 } : undefined)),
  },
  {
    name: "an approval given in time expires with its time",
    world: "approvedThenDecided",
    breaks: "P9",
    machine: asIf((before, event) =>
      event.type === "expire" && before.state === "OPEN"
        ? { ...before, deliberation: { ...before.deliberation, expiresAt: 1 } }
        : undefined,
    ),
  },
];
