import type { Case } from "../../../src/core/case.ts";
import type { Happening } from "../../../src/core/event.ts";
import type { Signal } from "../../../src/core/signal.ts";
import type { Approval, Evidence } from "../../../src/core/verdict.ts";
import { naiveVerdict } from "../../../src/testing/simulation/naive-verdict.ts";
import { event, intent } from "../samples.ts";
import type { Action, Heard, Scenario, World } from "./world.ts";

export const noHeard: Heard = { signals: [], late: [], approvals: [], decision: null };

/** What sources and people may say: every message at any time, and again. */
export function heardActions(scenario: Scenario, world: World): readonly Action[] {
  if (scenario.opening === null) return [];
  return [...signals(scenario, world), ...words(scenario, world), ...decisions(scenario, world)];
}

function signals(scenario: Scenario, world: World): readonly Action[] {
  const told = (signal: Signal, name: string): Action => ({
    name,
    event: event({ type: "signal", signal }, { at: world.now, by: signal.source }),
    facts: (next) => (next === undefined ? {} : hears(scenario, world, { signals: [signal] })),
  });
  return scenario.signals.flatMap((signal) => {
    const other = signal.outcome === "YES" ? "NO" : "YES";
    const known = [...world.heard.signals, ...world.heard.late].some(
      (s) => s.signalId === signal.signalId,
    );
    const plain = told(signal, `${signal.source} says ${signal.outcome} (${signal.signalId})`);
    if (!known) return [plain];
    return [
      plain,
      told({ ...signal, outcome: other }, `${signal.signalId} comes again as ${other}`),
    ];
  });
}

function words(scenario: Scenario, world: World): readonly Action[] {
  return scenario.people.flatMap((actor) =>
    (["p", "q"] as const).flatMap((payload) =>
      [true, false].map((approved): Action => {
        const { fingerprint } = intent(payload);
        const happening: Happening = {
          type: approved ? "approve" : "deny",
          fingerprint,
          note: null,
        };
        const word: Approval = { actor, approved, fingerprint, note: null, at: world.now };
        const counts = approved ? "approves" : "denies";
        return {
          name: `${actor} ${counts} ${payload}`,
          event: event(happening, { at: world.now, by: actor }),
          facts: (next) =>
            next === undefined ? {} : hears(scenario, world, { approvals: [word] }),
        };
      }),
    ),
  );
}

function decisions(scenario: Scenario, world: World): readonly Action[] {
  const found = scenario.decisions.map((outcome): Action => {
    const word = { outcome, by: "ana", reason: "seen", at: world.now };
    return {
      name: `ana decides ${outcome}`,
      event: event({ type: "decide", outcome, reason: "seen" }, { at: world.now, by: "ana" }),
      facts: (next) => (next === undefined ? {} : hears(scenario, world, { decision: word })),
    };
  });
  const over: Action = {
    name: "the sweeper says the time for approval is over",
    event: event({ type: "expire" }, { at: world.now, by: "sweeper" }),
    facts: () => ({}),
  };
  return [...found, over];
}

/** What was said counts until the naive reference calls the verdict; all after that is late. */
function hears(scenario: Scenario, world: World, said: Partial<Heard>): Partial<World> {
  const { heard } = world;
  if (world.decided !== null || ended(world.kase)) {
    return { heard: { ...heard, late: [...heard.late, ...(said.signals ?? [])] } };
  }
  const speakers = new Set(said.approvals?.map((word) => word.actor));
  const all: Heard = {
    signals: [...heard.signals, ...(said.signals ?? [])],
    late: heard.late,
    approvals: [
      ...heard.approvals.filter((word) => !speakers.has(word.actor)),
      ...(said.approvals ?? []),
    ],
    decision: said.decision ?? heard.decision,
  };
  const verdict = naiveVerdict(scenario.opening!.policy, evidenceOf(world, all));
  return { heard: all, decided: verdict.status === "undecided" ? null : verdict };
}

/** All that was said, as the naive reference wants it. The case is opened at 0. */
export function evidenceOf(world: World, { signals, approvals, decision }: Heard): Evidence {
  const { fingerprint, proposer } =
    world.bound === null ? { fingerprint: null, proposer: null } : intent(world.bound);
  return { signals, approvals, decision, fingerprint, proposer, openedAt: 0 };
}

const ended = (kase: World["kase"]): kase is Extract<Case, { state: "VOID" }> =>
  kase.state === "VOID";
