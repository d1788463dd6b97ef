import { describe, expect, test } from "vitest";
import type { Case } from "../../src/core/case.ts";
import {
  all,
  any,
  approval,
  majority,
  manual,
  type Policy,
  threshold,
  unanimous,
} from "../../src/core/policy.ts";
import type { Signal } from "../../src/core/signal.ts";
import { judge } from "../../src/core/verdict.ts";
import {
  absent,
  claim,
  event,
  fingerprint,
  intent,
  nobody,
  open,
  reached,
  refusal,
  vote,
} from "./samples.ts";

const deliberationOf = (kase: Case) => (kase.state === "RETIRED" ? null : kase.deliberation);
const voted = (rule: Policy, list: readonly Signal[]) =>
  reached(
    absent,
    event(open(rule, { outcomes: ["YES", "NO"] })),
    ...list.map((signal) => event({ type: "signal", signal })),
  );
const votesOf = (yes: number, no: number) =>
  [...Array(yes + no).keys()].map(
    (index): Signal => vote(`s${index}`, index < yes ? "YES" : "NO").signal,
  );
const statusOf = (rule: Policy, list: readonly Signal[]) =>
  judge(rule, { ...nobody, signals: list }).status;

describe("boundaries are exact", () => {
  test.each([
    [4, 1, 0.8, "final"],
    [3, 2, 0.8, "undecided"],
    [2, 1, 0.66, "final"],
    [2, 1, 0.67, "undecided"],
    [1, 1, 0.5, "undecided"],
    [1, 0, 1, "final"],
    [999, 1, 0.999, "final"],
    [998, 2, 0.999, "undecided"],
  ] as const)("%i yes, %i no at %f: %s", (yes, no, share, status) => {
    expect(statusOf(threshold({ share, quorum: 1 }), votesOf(yes, no))).toBe(status);
  });

  const edges = [500_001, 600_000, 666_667, 800_000, 999_999];
  test.each(edges)("a share of %i ppm reaches one ppm less and itself, never one more", (held) => {
    const weights = { a: held, b: 1_000_000 - held };
    const list = [vote("a", "YES").signal, vote("b", "NO").signal];
    const at = (sharePpm: number): Policy => ({
      kind: "threshold",
      sharePpm,
      quorum: 2,
      weights,
      byConfidence: false,
    });
    expect([held - 1, held, held + 1].map((sharePpm) => statusOf(at(sharePpm), list))).toEqual([
      "final",
      "final",
      "undecided",
    ]);
  });

  test.each(edges)("the same by confidence: %i ppm", (held) => {
    const list = [
      vote("a", "YES", { confidencePpm: held }).signal,
      vote("b", "NO", { confidencePpm: 1_000_000 - held }).signal,
    ];
    const at = (sharePpm: number): Policy => ({
      kind: "threshold",
      sharePpm,
      quorum: 2,
      weights: null,
      byConfidence: true,
    });
    expect([held - 1, held, held + 1].map((sharePpm) => statusOf(at(sharePpm), list))).toEqual([
      "final",
      "final",
      "undecided",
    ]);
  });

  test("a quorum counts sources, not signals", () => {
    const list = [vote("a", "YES").signal, vote("a", "YES", { signalId: "a2", at: 1 }).signal];
    expect(statusOf(threshold({ share: 0.5, quorum: 2 }), list)).toBe("undecided");
  });

  test("one sure voice is not enough, unless the policy says so", () => {
    const list = [vote("a", "YES").signal];
    expect(statusOf(threshold({ share: 0.8, quorum: 2, byConfidence: true }), list)).toBe(
      "undecided",
    );
    expect(statusOf(threshold({ share: 0.8, quorum: 1, byConfidence: true }), list)).toBe("final");
  });

  test("votes that weigh nothing decide nothing", () => {
    const list = [vote("a", "YES", { confidencePpm: 0 }).signal];
    expect(statusOf(threshold({ share: 0.000_001, quorum: 1, byConfidence: true }), list)).toBe(
      "undecided",
    );
  });

  test("names that objects inherit weigh nothing", () => {
    const list = [vote("constructor", "YES").signal, vote("toString", "YES").signal];
    expect(statusOf(threshold({ share: 0.5, quorum: 1, weights: { a: 1 } }), list)).toBe(
      "undecided",
    );
  });

  test.each([
    threshold({ share: 0.5, quorum: 2 }),
    threshold({ share: 0.000_001, quorum: 2 }),
    majority({ quorum: 2 }),
    unanimous({ quorum: 2 }),
  ])("a tie under $kind is reconciled, whatever the share", (rule) => {
    expect(voted(rule, votesOf(1, 1)).state).toBe("IN_RECONCILIATION");
    expect(statusOf(rule, votesOf(2, 2))).toBe("undecided");
  });
});

describe("FINAL is irreversible", () => {
  const rule = threshold({ share: 0.8, quorum: 2 });
  const final = reached(
    absent,
    event(open(rule, { outcomes: ["YES", "NO"] })),
    event(vote("a", "YES")),
    event(vote("b", "YES")),
  );

  test("a late signal is kept as evidence and changes nothing", () => {
    const late = reached(final, event(vote("c", "NO")), event(vote("a", "NO", { at: 9 })));
    expect(late.state).toBe("FINAL");
    expect(deliberationOf(late)).toEqual({
      ...deliberationOf(final),
      late: [vote("c", "NO").signal, vote("a", "NO", { at: 9 }).signal],
    });
  });

  test("a late signal, told again, changes nothing at all", () => {
    const late = reached(final, event(vote("c", "NO")));
    expect(refusal(late, event(vote("c", "NO")))).toBe("unchanged");
    for (const other of [
      vote("c", "YES", { signalId: "c:NO" }),
      vote("d", "NO", { signalId: "c:NO" }),
      vote("c", "NO", { confidencePpm: 999_999 }),
    ]) {
      expect(refusal(late, event(other))).toBe("signal_conflict");
    }
  });

  test("nobody decides again", () => {
    expect(refusal(final, event({ type: "decide", outcome: "NO", reason: "no" }))).toBe(
      "already_final",
    );
  });
});

describe("a person's decision", () => {
  const decide = (outcome: string) =>
    event({ type: "decide", outcome, reason: "seen" }, { by: "ana" });
  const opened = reached(
    absent,
    event(open(manual(), { outcomes: ["YES", "NO"], intent: intent() })),
  );

  test("is for declared outcomes only", () => {
    expect(refusal(opened, decide("BANANA"))).toBe("unknown_outcome");
    expect(reached(opened, decide("NO"))).toMatchObject({
      state: "FINAL",
      deliberation: { verdict: { outcome: "NO" } },
    });
  });

  test("is for an outcome that somebody voted for, where none was declared", () => {
    const free = reached(absent, event(open(majority({ quorum: 3 }))), event(vote("a", "BLUE")));
    expect(refusal(free, decide("RED"))).toBe("unknown_outcome");
    expect(reached(free, decide("BLUE")).state).toBe("FINAL");
    const split = reached(free, event(vote("b", "GREEN")));
    expect(reached(split, decide("GREEN")).state).toBe("FINAL");
  });

  test.each([
    ["any", any],
    ["all", all],
  ])("and a vote are taken where %s of the parts takes them", (_name, combined) => {
    const kase = reached(absent, event(open(combined(approval(), majority({ quorum: 2 })))));
    const voted = reached(kase, event(vote("a", "YES")));
    expect(voted.state).toBe("RESOLVED_PROVISIONAL");
    expect(refusal(voted, decide("YES"))).toBe("accepted");
  });

  test("ends a reconciliation", () => {
    const split = voted(majority({ quorum: 2 }), votesOf(1, 1));
    expect(split.state).toBe("IN_RECONCILIATION");
    expect(reached(split, decide("NO"))).toMatchObject({
      state: "FINAL",
      deliberation: { verdict: { outcome: "NO" } },
    });
  });

  test("doesn't stand for an approval", () => {
    const rule: Policy = all(manual(), {
      kind: "approval",
      need: 1,
      from: null,
      expiresInMs: null,
    });
    const decided = { outcome: "YES", by: "ana", reason: "seen", at: 0 };
    expect(
      judge(rule, { ...nobody, decision: decided, fingerprint: fingerprint("p") }).status,
    ).toBe("undecided");
  });
});

describe("no case that waits can be claimed", () => {
  const rule = threshold({ share: 0.8, quorum: 3 });
  test.each([
    ["OPEN", []],
    ["RESOLVED_PROVISIONAL", votesOf(2, 0)],
    ["IN_RECONCILIATION", votesOf(1, 1)],
    ["IN_RECONCILIATION", votesOf(2, 2)],
  ] as const)("%s", (state, messages) => {
    const kase = voted(rule, messages);
    expect(kase.state).toBe(state);
    for (const opens of [true, false])
      expect(refusal(kase, event(claim({ opens })))).toBe("not_final");
  });
});
