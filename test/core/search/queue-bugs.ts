import { asIf, type Bug, hearing, leading } from "./planting.ts";

/** Bugs in what a worker finds to run by itself, and when. */
export const queueBugs: readonly Bug[] = [
  ...(["queued", "queuedTransactional"] as const).map(
    (world): Bug => ({
      name: `a queued case that comes back is not due, ${world}`,
      world,
      breaks: "P4",
      machine: leading((next) => (next.state === "FINAL" ? { ...next, runAt: null } : undefined)),
    }),
  ),
  {
    name: "a queued case is not due once it is decided",
    world: "queuedFirst",
    breaks: "P4",
    machine: leading((next, event) =>
      next.state === "FINAL" && event.type === "decide" ? { ...next, runAt: null } : undefined,
    ),
  },
  {
    name: "a case that is queued after its decision is not due",
    world: "queuedLater",
    breaks: "P4",
    machine: leading((next, event, before) =>
      before.state === "FINAL" && next.state === "FINAL" && event.type === "open"
        ? { ...next, runAt: before.runAt }
        : undefined,
    ),
  },
  {
    name: "a retry comes before its time",
    world: "queued",
    breaks: "P4",
    machine: hearing((_before, event) =>
      event.type === "release" ? { ...event, retryAt: null } : undefined,
    ),
  },
  {
    name: "a retry is due in the past",
    world: "queued",
    breaks: "P4",
    machine: leading((next, event) =>
      next.state === "FINAL" && next.runAt !== null && event.type === "release"
        ? { ...next, runAt: event.retryAt ?? next.runAt }
        : undefined,
    ),
  },
  {
    name: "another request that asks moves the retry",
    world: "queued",
    breaks: "P4",
    machine: leading((next, event) =>
      next.state === "FINAL" && next.runAt !== null && event.type === "ask"
        ? { ...next, runAt: event.at }
        : undefined,
    ),
  },
  {
    name: "a case that nobody queued is due for workers",
    world: "opaque",
    breaks: "P4",
    machine: leading((next, event) =>
      next.state === "FINAL" ? { ...next, runAt: event.at } : undefined,
    ),
  },
  ...(["queued", "queuedFirst"] as const).map(
    (world): Bug => ({
      name: `a claim says anew whether it is queued, ${world}`,
      world,
      breaks: "P4",
      machine: leading((next, event) =>
        next.state === "EXECUTING" && event.type === "claim"
          ? { ...next, intent: { ...next.intent, queued: event.intent.queued } }
          : undefined,
      ),
    }),
  ),
  {
    name: "a second opening takes the queueing over",
    world: "queuedFirst",
    breaks: "P4",
    machine: asIf((before, event) =>
      event.type === "open" &&
      "intent" in before &&
      before.intent?.fingerprint === event.intent?.fingerprint &&
      (before.state === "OPEN" || before.state === "FINAL")
        ? { ...before, intent: null }
        : undefined,
    ),
  },
];
