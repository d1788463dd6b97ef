import { approval, type Policy, threshold } from "../../index.ts";
import type { Chance } from "../chance.ts";

/** Milliseconds of the small world. What matters is how they stand to each other. */
export const spans = {
  lease: 1_000,
  timeout: 3_000,
  settling: 500,
  keyTtl: 60_000,
  /** How much longer than it says a callee honours a key. */
  keyMargin: 600_000,
  approval: 15_000,
} as const;

export type ActionName = "opaque" | "keyed" | "keyed and probed" | "probeable" | "idempotent";

export type Decision = "immediate" | "voted" | "approved";

/** One intended effect of a world, and how it is decided. */
export interface CaseSetting {
  readonly caseId: string;
  readonly action: ActionName;
  readonly decision: Decision;
}

/** What a world is like: its seed decides it, and nothing later changes it. */
export interface Setting {
  readonly processes: number;
  readonly cases: readonly CaseSetting[];
  /** Clocks may jump and differ. Else they are true. */
  readonly clocksLie: boolean;
  /** The store's clock takes a round trip, as a database server's does. */
  readonly clockIsRemote: boolean;
  /** Shares of the boundary crossings at which something goes wrong. */
  readonly rates: Rates;
}

export interface Rates {
  readonly commitFails: number;
  readonly ackLost: number;
  readonly arrivesTwice: number;
  readonly readFails: number;
  readonly slow: number;
  readonly hintLost: number;
  readonly noTime: number;
  readonly effectFails: number;
  readonly probeFails: number;
}

export const outcomes = ["YES", "NO"] as const;
export const allowed = ["YES"] as const;
export const sources = ["ann", "ben", "cyd"] as const;
export const proposer = "agent";
export const approvers = ["dora", "emil"] as const;

export function policyOf(decision: Exclude<Decision, "immediate">): Policy {
  return decision === "voted"
    ? threshold({ share: 0.6, quorum: 2 })
    : approval({ need: 2, from: [...approvers, proposer], expiresIn: spans.approval });
}

const actions: readonly ActionName[] = [
  "opaque",
  "opaque",
  "keyed",
  "keyed and probed",
  "probeable",
  "idempotent",
];
const decisions: readonly Decision[] = ["immediate", "immediate", "immediate", "voted", "approved"];

export function settingOf(chance: Chance): Setting {
  // A site of faults is off in some worlds, so that what comes after it is reached in those.
  const rate = (most: number) => (chance.happens(0.7) ? most * chance.unit() : 0);
  return {
    processes: chance.between(2, 3),
    cases: Array.from({ length: chance.between(2, 5) }, (_, index) => ({
      caseId: `case-${index + 1}`,
      action: chance.pick(actions),
      decision: chance.pick(decisions),
    })),
    clocksLie: chance.happens(0.6),
    clockIsRemote: chance.happens(0.3),
    rates: {
      commitFails: rate(0.15),
      ackLost: rate(0.2),
      arrivesTwice: rate(0.1),
      readFails: rate(0.1),
      slow: rate(0.25),
      hintLost: rate(0.5),
      noTime: rate(0.02),
      effectFails: chance.happens(0.8) ? 0.3 + 0.6 * chance.unit() : 0,
      probeFails: rate(0.8),
    },
  };
}
