import { chanceOf } from "../../src/testing/chance.ts";
import type { Fault, Lasting } from "./fault.ts";
import type { Scenario } from "./scenarios.ts";

/** One kind of failure through one scenario: at n = 1, 2, 3 … until a run passes in which n was not reached. */
export interface Sweep {
  readonly scenario: Scenario;
  readonly fault: Fault;
  readonly lasting: Lasting;
  /** The first n. */
  readonly from: number;
  /** From one n to the next. */
  readonly step: number;
  /** The last n, where not all are tried. */
  readonly to: number;
}

/** Every n, or every so many. Runs on past the calls that were counted: trying again makes more of them. */
export function whole(scenario: Scenario, fault: Fault, lasting: Lasting, step: number): Sweep {
  return { scenario, fault, lasting, from: 1, step, to: mostCalls };
}

/** One n of those that can be reached, which the seed decides. */
export function sample(
  scenario: Scenario,
  fault: Fault,
  lasting: Lasting,
  calls: number,
  seed: number,
): Sweep {
  const { kind, error } = fault;
  const nth = 1 + chanceOf(seed, scenario.name, kind, error, lasting).below(calls);
  return { scenario, fault, lasting, from: nth, step: 1, to: nth };
}

/** strace counts no further than 65,535; no scenario comes near it. */
const mostCalls = 60_000;
