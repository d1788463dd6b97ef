import type { Case } from "../../../src/core/case.ts";
import { absent, event, open } from "../samples.ts";
import { actionsOf } from "./actions.ts";
import { fault } from "./checker.ts";
import { noHeard } from "./hearing.ts";
import { type Action, intentOf, keyOf, type Machine, type Scenario, type World } from "./world.ts";

export interface Searched {
  /** Different worlds met. */
  readonly states: number;
  /** Actions tried in them. */
  readonly steps: number;
  /** The states of the case that were seen. */
  readonly seen: ReadonlySet<string>;
  readonly found: Found | null;
}

export interface Found {
  readonly violation: string;
  /** The shortest way there. */
  readonly trace: readonly string[];
}

/** Walks every world that can be reached, nearest first, and stops at the first broken promise. */
export function search(scenario: Scenario, machine: Machine): Searched {
  const worlds: World[] = [initial(scenario, machine)];
  const came: { readonly from: number; readonly by: string }[] = [{ from: -1, by: "" }];
  const met = new Set<string>([keyOf(scenario, worlds[0]!)]);
  const seen = new Set<string>();
  let steps = 0;
  for (let index = 0; index < worlds.length; index += 1) {
    const world = worlds[index]!;
    seen.add(world.kase.state);
    for (const action of actionsOf(scenario, world)) {
      steps += 1;
      const { after, violation } = step(scenario, machine, world, action);
      if (violation !== undefined) {
        const trace = [...traceTo(came, index), action.name];
        return { states: worlds.length, steps, seen, found: { violation, trace } };
      }
      const key = keyOf(scenario, after);
      if (met.has(key)) continue;
      met.add(key);
      worlds.push(after);
      came.push({ from: index, by: action.name });
    }
  }
  return { states: worlds.length, steps, seen, found: null };
}

function traceTo(
  came: readonly { readonly from: number; readonly by: string }[],
  end: number,
): string[] {
  const trace: string[] = [];
  for (let at = end; at > 0; at = came[at]!.from) trace.unshift(came[at]!.by);
  return trace;
}

function initial(scenario: Scenario, machine: Machine): World {
  const { opening } = scenario;
  const blank: World = {
    now: 0,
    kase: absent,
    runs: [],
    effects: 0,
    keyedAt: null,
    bound: null,
    leaseUntil: 0,
    receipt: null,
    heard: noHeard,
    decided: null,
  };
  if (opening === null) return blank;
  const { policy, outcomes, allow } = opening;
  const happening = open(policy, {
    outcomes,
    allow,
    intent: opening.intent ? intentOf(scenario, "pat", "p") : null,
  });
  const answer = machine(absent, event(happening, { by: "pat" }));
  if (!answer.ok) throw new Error(`the world can't be opened: ${answer.refusal}`);
  return { ...blank, kase: answer.next, bound: opening.intent ? "p" : null };
}

function step(
  scenario: Scenario,
  machine: Machine,
  before: World,
  action: Action,
): { readonly after: World; readonly violation: string | undefined } {
  let next: Case | undefined;
  let refusal: string | undefined;
  if (action.event !== null) {
    const answer = machine(before.kase, action.event);
    if (answer.ok) next = answer.next;
    else refusal = answer.refusal;
  }
  const after = noted(before, { ...before, ...action.facts(next), kase: next ?? before.kase });
  return { after, violation: fault(scenario, before, action, next, refusal, after) };
}

/** What an observer writes down after each step: the first receipt, and since when a claim is lost. */
function noted(before: World, after: World): World {
  const { kase } = after;
  const ended = kase.state === "SETTLED" || kase.state === "VOID";
  const receipt = before.receipt ?? (ended ? JSON.stringify(kase.receipt) : null);
  const standing = kase.state === "EXECUTING" ? kase.claim.fence : 0;
  const lost = after.runs.some((run) => run.lostAt === null && run.fence !== standing);
  if (!lost) return receipt === after.receipt ? after : { ...after, receipt };
  const runs = after.runs.map((run) =>
    run.lostAt === null && run.fence !== standing ? { ...run, lostAt: after.now } : run,
  );
  return { ...after, receipt, runs };
}
