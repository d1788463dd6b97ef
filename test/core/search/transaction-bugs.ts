import { opaque, settle } from "../samples.ts";
import { anyFence, asIf, type Bug, hearing, leading } from "./planting.ts";

/** Bugs in what becomes of an effect that writes through a transaction of the guard's own database. */
export const transactionBugs: readonly Bug[] = [
  ...(
    [
      ["doubt", "P2"],
      ["lease_ended", "P5"],
    ] as const
  ).map(
    ([type, breaks]): Bug => ({
      name: `a transactional effect falls in doubt, by ${type}`,
      world: "transactional",
      breaks,
      machine: asIf((before, event) =>
        before.state === "EXECUTING" && event.type === type
          ? { ...before, claim: { ...before.claim, terms: opaque } }
          : undefined,
      ),
    }),
  ),
  {
    name: "an error after the last statement counts as a commit",
    world: "transactional",
    breaks: "P2",
    machine: hearing((before, event) =>
      before.state === "EXECUTING" && event.type === "doubt"
        ? { ...event, ...settle(event.fence) }
        : undefined,
    ),
  },
  {
    name: "the transaction commits, and its receipt is not written",
    world: "transactional",
    breaks: "P2",
    machine: leading((next, event, before) =>
      event.type === "settle" && next.state === "SETTLED" && before.state === "EXECUTING"
        ? { ...before, version: next.version, entries: next.entries }
        : undefined,
    ),
  },
  {
    name: "the transaction of a claim that is over commits, under the claim that stands",
    world: "transactional",
    breaks: "P8",
    machine: anyFence("settle"),
  },
  {
    name: "a later release declares it transactional, and frees what was in doubt",
    world: "keyedThenTransactional",
    breaks: "P5",
    machine: leading((next, event) =>
      next.state === "EXECUTING" && event.type === "claim"
        ? { ...next, claim: { ...next.claim, terms: event.terms } }
        : undefined,
    ),
  },
];
