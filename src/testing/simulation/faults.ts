/** Everything that is made to go wrong. A campaign in which one of these never fired has shown nothing about it. */
export const faultKinds = [
  "store: a commit fails before it is written",
  "store: a commit's acknowledgement is lost",
  "store: a commit arrives twice",
  "store: a read fails",
  "store: an answer is slow",
  "store: down",
  "store: a hint is lost",
  "process: killed",
  "process: stopped past its lease",
  "process: closed and started again",
  "clock: set forward",
  "clock: set back",
  "clock: differs between processes",
  "clock: gives no time",
  "effect: throws after it happened",
  "effect: throws before it happened",
  "effect: never answers",
  "effect: happens after its error",
  "effect: answers after its time",
  "effect: says that it did not happen",
  "effect: never left the machine",
  "effect: ends when told that its claim is lost",
  "probe: finds nothing out",
  "probe: fails",
  "probe: never answers",
] as const;

export type FaultKind = (typeof faultKinds)[number];

/** What callers do that they should not, or that must not matter. */
export const mischiefKinds = [
  "caller: asks again under its request id",
  "caller: asks again under a new request id",
  "caller: asks for another payload",
  "caller: uses a request id of another case",
  "caller: gives up",
  "source: says the same again",
  "source: changes its mind",
  "source: uses a signal's id for another vote",
  "proposer: approves what it proposed",
  "approver: approves something else than is held",
] as const;

export type MischiefKind = (typeof mischiefKinds)[number];

export type Counts = { [Kind in FaultKind | MischiefKind]?: number };

/** Counts what really went wrong, not what was meant to. */
export interface Faults {
  fired(kind: FaultKind | MischiefKind): void;
  /** Faults that fired, without mischief. */
  total(): number;
  readonly counts: Counts;
}

/** That clocks differ follows from setting one, and is no fault more. */
const isFault: ReadonlySet<string> = new Set(
  faultKinds.filter((kind) => kind !== "clock: differs between processes"),
);

export function createFaults(): Faults {
  const counts: Counts = {};
  let total = 0;
  return {
    fired(kind) {
      counts[kind] = (counts[kind] ?? 0) + 1;
      if (isFault.has(kind)) total += 1;
    },
    total: () => total,
    counts,
  };
}
