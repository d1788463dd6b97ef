import { expect, test } from "vitest";
import { newAccount } from "../../proof/nth-failure/account.ts";
import { type Fault, faults } from "../../proof/nth-failure/fault.ts";
import type { Wrong } from "../../proof/nth-failure/judge.ts";
import { scenarios } from "../../proof/nth-failure/scenarios.ts";
import { sample } from "../../proof/nth-failure/sweep.ts";

const scenario = scenarios[0]!;
const sweep = (fault: Fault) =>
  ({ scenario, fault, lasting: "once", from: 1, step: 1, to: 9 }) as const;
const wrong: Wrong = { kind: "false success", what: "it is gone" };

function accountOf(fired: number, ...wrongs: Wrong[]) {
  const account = newAccount();
  for (const fault of faults) account.add(sweep(fault), 4, { fired, answers: [], wrongs });
  return account;
}

test("a defence holds in which each kind of call failed and nothing was told falsely", () => {
  const arm = accountOf(1).arm("cycle", "defence");
  expect(arm).toMatchObject({ runs: faults.length, asExpected: true, failures: [] });
});

test("a defence in which no call failed proves nothing", () => {
  const arm = accountOf(0).arm("cycle", "defence");
  expect(arm.asExpected).toBe(false);
  expect(arm.failures).toContain("No sync was made to fail.");
});

test("a false answer is named with the command that shows it", () => {
  const arm = accountOf(1, wrong).arm("cycle", "defence");
  expect(arm).toMatchObject({ asExpected: false, counts: { "false successes": faults.length } });
  expect(arm.failures[0]).toMatch(/show\.ts "claim, effect, settle" sync EIO "once" 4$/);
});

test("a control must answer falsely", () => {
  expect(accountOf(1, wrong).arm("swallowed", "control").asExpected).toBe(true);
  expect(accountOf(1).arm("swallowed", "control").asExpected).toBe(false);
});

test("a sampled n is one that can be reached, and the seed decides it", () => {
  const fault = faults[2]!;
  const nths = new Set<number>();
  for (let seed = 0; seed < 200; seed += 1) {
    const { from, to } = sample(scenario, fault, "once", 7, seed);
    expect(from).toBe(to);
    expect(sample(scenario, fault, "once", 7, seed).from).toBe(from);
    nths.add(from);
  }
  expect([...nths].toSorted()).toEqual([1, 2, 3, 4, 5, 6, 7]);
});
