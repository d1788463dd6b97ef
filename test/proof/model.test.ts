import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { type Move, movesOf } from "../../proof/model/moves.ts";
import { brokenOf, modelFile, searchOf } from "../../proof/model/spin.ts";
import type { Absent, Case } from "../../src/core/case.ts";
import type { EventType, Happening } from "../../src/core/event.ts";
import { immediate } from "../../src/core/policy.ts";
import { transition } from "../../src/core/transition.ts";
import * as sample from "../core/samples.ts";

const model = readFileSync(modelFile, "utf8");

const stale = 1;
const latest = 2;

/** Each state of an opaque case that needs no decision, where it can be after its second claim. */
const twice = [
  sample.event(sample.claim()),
  sample.event(sample.release(1)),
  sample.event(sample.claim()),
];
const reached = (...last: readonly Happening[]) =>
  sample.reached(sample.absent, ...twice, ...last.map((one) => sample.event(one)));

const cases: readonly (Case | Absent)[] = [
  sample.absent,
  sample.reached(
    sample.absent,
    sample.event(sample.open(immediate(), { intent: sample.intent() })),
  ),
  reached(sample.release(2)),
  reached(),
  reached(sample.doubt(2)),
  reached(sample.settle(2)),
  reached(sample.release(2, true)),
];

/** Every event there is, by the name that the model has for it or would have. */
const events: { readonly [Type in EventType]: (fence: number) => Record<string, Happening> } = {
  open: () => ({ open: sample.open(immediate(), { intent: sample.intent() }) }),
  signal: () => ({ signal: sample.vote("a", "YES") }),
  approve: () => ({ approve: sample.approve(sample.right) }),
  deny: () => ({ deny: sample.deny(sample.right) }),
  decide: () => ({ decide: { type: "decide", outcome: "YES", reason: "so" } }),
  expire: () => ({ expire: { type: "expire" } }),
  withdraw: () => ({ withdraw: { type: "withdraw", note: "no" } }),
  ask: () => ({
    ask: {
      type: "ask",
      requestId: sample.requestId("r2"),
      fingerprint: sample.intent().fingerprint,
    },
  }),
  claim: () => ({ claim: sample.claim({ leaseUntil: 2_000 }) }),
  renew: (fence) => ({ renew: { type: "renew", fence, leaseUntil: 2_000 } }),
  settle: (fence) => ({ settle: sample.settle(fence) }),
  release: (fence) => ({
    release: sample.release(fence),
    release_final: sample.release(fence, true),
  }),
  doubt: (fence) => ({ doubt: sample.doubt(fence) }),
  lease_ended: () => ({ lease_ended: { type: "lease_ended" } }),
  probed: (fence) => ({ probed: { type: "probed", fence, found: { answer: "absent" } } }),
  resolve: (fence) => ({
    happened: sample.happened(fence),
    not_happened: sample.notHappened(fence),
  }),
  late_result: (fence) => ({
    late_result: { type: "late_result", fence, value: "done", valueForm: "exact" },
  }),
};

/** The decision is not in the model, which begins with a case that is absent, or FINAL. */
const before = (move: Move) => move.from === "ABSENT" && move.event === "open";

/** The moves of the machine, each found by asking it. */
function movesOfMachine(): readonly Move[] {
  const asked = cases.flatMap((kase) =>
    Object.values(events).flatMap((event) => {
      const old = event(stale);
      return Object.entries(event(latest)).flatMap(([name, happening]) => {
        const to = stateAfter(kase, happening);
        if (to === kase.state) return [];
        const fenced = stateAfter(kase, old[name]!) === kase.state;
        return [{ event: name, from: kase.state, to, fenced }];
      });
    }),
  );
  return asked.filter((move) => !before(move));
}

function stateAfter(kase: Case | Absent, happening: Happening): string {
  const answer = transition(kase, sample.event(happening, { at: 1_000 }));
  return answer.ok ? answer.next.state : kase.state;
}

const sorted = (moves: readonly Move[]) => [...new Set(moves.map((m) => JSON.stringify(m)))].sort();

describe("the model's table", () => {
  test("has the moves of the machine, and no other", () => {
    expect(sorted(movesOf(model))).toEqual(sorted(movesOfMachine()));
  });

  test.each([
    ["a state", "FENCED(settle, IN_DOUBT, SETTLED)", "FENCED(settle, IN_DOUBT, FINAL)"],
    ["a fence", "FENCED(release, EXECUTING, FINAL)", "MOVE(release, EXECUTING, FINAL)"],
    ["a missing row", "MOVE(withdraw, FINAL, VOID)", ""],
  ])("differs where %s is another", (_what, right, wrong) => {
    expect(model).toContain(right);
    const changed = movesOf(model.replace(right, wrong));
    expect(sorted(changed)).not.toEqual(sorted(movesOfMachine()));
  });

  test("leaves out the rows of the broken variants", () => {
    expect(model).toContain("MOVE(lease_ended, EXECUTING, FINAL)");
    const frees = { event: "lease_ended", from: "EXECUTING", to: "FINAL", fenced: false };
    expect(movesOf(model)).not.toContainEqual(frees);
  });

  // The model compares state and fence where the store compares versions.
  test("never leads back to a state under the same fence", () => {
    const moves = movesOf(model).filter(({ event }) => event !== "claim");
    const passed = (from: string): readonly string[] =>
      moves.filter((move) => move.from === from).flatMap(({ to }) => [to, ...passed(to)]);
    for (const { from } of moves) expect(passed(from)).not.toContain(from);
  });
});

describe("a search", () => {
  const whole = [
    "Full statespace search for:",
    "State-vector 60 byte, depth reached 955, errors: 0",
    "    91069 states, stored",
    "   273086 states, matched",
    "   364155 transitions (= stored+matched)",
    "unreached in proctype Process",
    '\tclaim.pml:46, state 102, "next = SETTLED"',
    '\tclaim.pml:128, state 174, "-end-"',
    "\t(2 of 174 states)",
    "unreached in init",
    "\t(0 of 6 states)",
  ].join("\n");

  test("is read from what is printed", () => {
    expect(searchOf(whole)).toEqual({
      states: 91_069,
      transitions: 364_155,
      errors: 0,
      complete: true,
      unreached: [46],
      broken: null,
    });
  });

  test.each([
    "Warning: Search not completed",
    "error: max search depth too small",
    "pan: out of memory",
  ])("that says `%s` is not complete", (line) => {
    expect(searchOf(`${line}\n${whole}`).complete).toBe(false);
  });

  test("that says nothing is an error", () => {
    expect(() => searchOf("Segmentation fault")).toThrow("The search said nothing of");
  });

  test("that found an error names the steps and the line", () => {
    const replay = [
      "          claim #0: ABSENT #0 -> EXECUTING",
      "          the effect of #1 starts",
      "spin: claim.pml:89, Error: assertion violated",
      "#processes: 3",
    ].join("\n");
    const steps = ["claim #0: ABSENT #0 -> EXECUTING", "the effect of #1 starts"];
    expect(brokenOf(replay)).toEqual({ line: 89, steps });
  });

  test("whose replay ends well is an error", () => {
    expect(() => brokenOf("4 processes created")).toThrow("without an error");
  });
});
