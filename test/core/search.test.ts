import { describe, expect, test } from "vitest";
import { transition } from "../../src/core/transition.ts";
import { executionBugs } from "./search/execution-bugs.ts";
import { hearingBugs } from "./search/hearing-bugs.ts";
import { queueBugs } from "./search/queue-bugs.ts";
import { scenarios } from "./search/scenarios.ts";
import { type Found, search } from "./search/search.ts";
import { transactionBugs } from "./search/transaction-bugs.ts";

const bugs = [...executionBugs, ...transactionBugs, ...queueBugs, ...hearingBugs];

// The largest worlds take a quarter of a minute on a free machine, and a minute on a busy one.
const timeout = 600_000;

const told = ({ violation, trace }: Found) => `${violation}\n  ${trace.join("\n  ")}`;

describe("every world that can be reached keeps P1, P2, P3, P4, P5, P6, P7, P8 and P9", () => {
  test.each(Object.values(scenarios))("$name", { timeout }, (scenario) => {
    const { states, steps, seen, found } = search(scenario, transition);
    console.log(`${scenario.name}: ${states} states, ${steps} steps`);
    expect(found === null ? null : told(found)).toBeNull();
    // A world that never gets there shows nothing.
    const doubt = scenario.terms.class === "transactional" ? [] : ["IN_DOUBT"];
    const wanted = ["FINAL", "EXECUTING", ...doubt, "SETTLED", "VOID"];
    expect([...seen]).toEqual(expect.arrayContaining(wanted));
  });
});

describe("the search finds each planted bug", () => {
  test("there are enough of them", () => expect(bugs.length).toBeGreaterThanOrEqual(72));

  test.each(bugs)("$name", { timeout }, ({ name, world, breaks, machine }) => {
    const { states, found } = search(scenarios[world], machine);
    expect(found, `${name}: not found in ${states} states`).not.toBeNull();
    console.log(`planted: ${name}\n${told(found!)}\n  (after ${states} states)`);
    expect(found!.violation.slice(0, 2)).toBe(breaks);
  });
});
