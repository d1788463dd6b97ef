import type { Chance } from "../chance.ts";
import {
  approvers,
  type CaseSetting,
  outcomes,
  proposer,
  type Setting,
  sources,
} from "./setting.ts";

/** Something that is done in a world at an instant. Plain data, so that a schedule can be shown and cut down. */
export type Act = { readonly id: number; readonly at: number } & Deed;

export type Deed =
  | {
      readonly do: "call";
      readonly process: number;
      readonly caseId: string;
      readonly requestId: string;
      readonly variant: Variant;
      readonly via: "wrap" | "execute";
      readonly waitMs: number;
      /** When the caller gives up; null: never. */
      readonly patienceMs: number | null;
    }
  | {
      readonly do: "signal";
      readonly process: number;
      readonly caseId: string;
      readonly source: string;
      readonly outcome: string;
      readonly signalId: string;
      readonly saidAt: number;
    }
  | {
      readonly do: "approve" | "deny";
      readonly process: number;
      readonly caseId: string;
      readonly actor: string;
      /** Says what it approves, and that is something else than is held. */
      readonly blindly: boolean;
    }
  | {
      readonly do: "decide";
      readonly process: number;
      readonly caseId: string;
      readonly outcome: string;
    }
  | { readonly do: "withdraw"; readonly process: number; readonly caseId: string }
  /** A person looks at a doubt, finds out the truth, and says it. */
  | { readonly do: "resolve"; readonly process: number; readonly caseId: string }
  | { readonly do: "sweep"; readonly process: number }
  | { readonly do: "receipt"; readonly process: number; readonly requestId: string }
  | { readonly do: "prune"; readonly process: number }
  | { readonly do: "kill" | "close"; readonly process: number; readonly downMs: number }
  | { readonly do: "stop"; readonly process: number; readonly ms: number }
  | { readonly do: "outage"; readonly ms: number }
  | { readonly do: "set clock"; readonly process: number; readonly ms: number };

export type Variant = "a" | "b";

/** Enough acts for the hungriest world; most end before. */
const longest = 400;

/** One act after the other, as far as they are asked for. */
export function* planOf(setting: Setting, chance: Chance): Generator<Act> {
  let at = 0;
  for (let id = 1; id <= longest; id += 1) {
    // Bursts: what happens at almost the same time is what races.
    at += chance.happens(0.6) ? chance.between(0, 8) : chance.between(20, 1_500);
    yield { id, at, ...deed(setting, chance, id, at) };
  }
}

function deed(setting: Setting, chance: Chance, id: number, at: number): Deed {
  const process = chance.between(0, setting.processes - 1);
  const kase = chance.pick(setting.cases);
  const { caseId } = kase;
  const dice = chance.unit();
  if (dice < 0.5) return call(setting, kase, process, chance, id);
  if (dice < 0.66) {
    return word(kase, process, chance, at) ?? call(setting, kase, process, chance, id);
  }
  if (dice < 0.71) return { do: "resolve", process, caseId };
  if (dice < 0.77) return { do: "sweep", process };
  if (dice < 0.79) return { do: "receipt", process, requestId: requestOf(caseId, chance) };
  if (dice < 0.8) return { do: "prune", process };
  if (dice < 0.86) return { do: "kill", process, downMs: chance.between(5, 1_500) };
  if (dice < 0.88) return { do: "close", process, downMs: chance.between(0, 500) };
  if (dice < 0.94) return { do: "stop", process, ms: chance.between(50, 3_000) };
  if (dice < 0.96) return { do: "outage", ms: chance.between(10, 1_200) };
  return setting.clocksLie
    ? { do: "set clock", process, ms: jump(chance) }
    : { do: "stop", process, ms: chance.between(100, 5_000) };
}

function call(
  setting: Setting,
  kase: CaseSetting,
  process: number,
  chance: Chance,
  id: number,
): Deed {
  const own = requestOf(kase.caseId, chance);
  const other = requestOf(chance.pick(setting.cases).caseId, chance);
  return {
    do: "call",
    process,
    caseId: kase.caseId,
    // The first request of a case has its id; a model that asks again makes a new one each time.
    requestId: chance.happens(0.1)
      ? `${kase.caseId}/anew-${id}`
      : chance.happens(0.05)
        ? other
        : own,
    variant: chance.happens(0.1) ? "b" : "a",
    via: chance.happens(0.5) ? "wrap" : "execute",
    waitMs: chance.pick([0, 200, 2_000, 10_000]),
    patienceMs: chance.happens(0.15) ? chance.pick([0, 3, 30, 800]) : null,
  };
}

function requestOf(caseId: string, chance: Chance): string {
  return chance.pick([caseId, `${caseId}/again`]);
}

/** A voice in a case that is decided by voices. */
function word(kase: CaseSetting, process: number, chance: Chance, at: number): Deed | undefined {
  const { caseId } = kase;
  if (chance.happens(0.04)) return { do: "withdraw", process, caseId };
  switch (kase.decision) {
    case "immediate":
      return undefined;
    case "voted": {
      if (chance.happens(0.06))
        return { do: "decide", process, caseId, outcome: chance.pick(outcomes) };
      const source = chance.pick(sources);
      // Few ids, and instants that overlap: repeats, conflicts and changes of mind come by themselves.
      const signalId = `${source}-${chance.between(1, 3)}`;
      const outcome = chance.happens(0.7) ? "YES" : "NO";
      return { do: "signal", process, caseId, source, outcome, signalId, saidAt: at >> 10 };
    }
    case "approved": {
      const actor = chance.pick([...approvers, ...approvers, proposer]);
      const blindly = chance.happens(0.1);
      return { do: chance.happens(0.05) ? "deny" : "approve", process, caseId, actor, blindly };
    }
  }
}

/** Mostly about as long as a lease, sometimes a year. */
function jump(chance: Chance): number {
  const way = chance.happens(0.5) ? 1 : -1;
  return (
    way *
    chance.pick([chance.between(1, 500), chance.between(500, 5_000), 3_600_000, 31_536_000_000])
  );
}
