import { describe, expect, test } from "vitest";
import {
  all,
  any,
  approval,
  immediate,
  majority,
  manual,
  type Policy,
  threshold,
  unanimous,
} from "../../src/core/policy.ts";
import type { Signal } from "../../src/core/signal.ts";
import { type Evidence, judge, type Verdict } from "../../src/core/verdict.ts";
import { nobody, vote } from "./samples.ts";

/** What a verdict says to a person: its tally and its reason, word for word. */

const votes = (...outcomes: readonly string[]): readonly Signal[] =>
  outcomes.map((outcome, index) => vote(`s${index}`, outcome).signal);
const decision = { outcome: "YES", by: "ana", reason: "seen", at: 0 };
const word = (actor: string, rest: object = {}) => ({
  actor,
  approved: true,
  fingerprint: "p",
  note: null,
  at: 0,
  ...rest,
});
const about: Evidence = { ...nobody, fingerprint: "p", proposer: "pat" };

type Row = readonly [name: string, Policy, Partial<Evidence>, Verdict["status"], why: string];

const two3rds = threshold({ share: 2 / 3, quorum: 2 });
const weighed = threshold({ share: 0.5, quorum: 2, weights: { s0: 3, s1: 1 } });
const twoWords = approval({ need: 2 });

const rows: readonly Row[] = [
  ["immediate", immediate(), {}, "final", "nobody has to be asked"],
  ["manual, open", manual(), {}, "undecided", "a person decides"],
  ["manual, decided", manual(), { decision }, "final", "decided by a person"],
  ["a threshold, decided", two3rds, { decision }, "final", "decided by a person"],
  [
    "a threshold, too few",
    two3rds,
    { signals: votes("YES") },
    "undecided",
    "1 voted; needs 66 % of at least 2",
  ],
  [
    "a threshold, tied",
    two3rds,
    { signals: votes("YES", "NO") },
    "undecided",
    "no single leader; needs 66 % of at least 2",
  ],
  [
    "a threshold, not reached",
    two3rds,
    { signals: votes("YES", "NO", "MAYBE", "YES") },
    "undecided",
    "YES holds 50 %; needs 66 % of at least 2",
  ],
  [
    "a threshold, reached",
    two3rds,
    { signals: votes("NO", "YES", "YES") },
    "final",
    "YES holds 66 %; needs 66 % of at least 2",
  ],
  [
    "weights, of which one voted, beside a stranger",
    weighed,
    { signals: [vote("s0", "YES").signal, vote("x", "YES").signal] },
    "undecided",
    "1 voted; needs 50 % of at least 2",
  ],
  [
    "weights, reached",
    weighed,
    { signals: votes("YES", "NO", "NO", "NO") },
    "final",
    "YES holds 75 %; needs 50 % of at least 2",
  ],
  [
    "a majority, too few",
    majority({ quorum: 2 }),
    { signals: votes("YES") },
    "undecided",
    "1 voted; needs more than half of at least 2",
  ],
  [
    "a majority, tied",
    majority({ quorum: 2 }),
    { signals: votes("YES", "NO") },
    "undecided",
    "no single leader; needs more than half of at least 2",
  ],
  [
    "a majority, led by half",
    majority({ quorum: 2 }),
    { signals: votes("YES", "NO", "MAYBE", "YES") },
    "undecided",
    "YES holds 2 of 4; needs more than half of at least 2",
  ],
  [
    "a majority, reached",
    majority({ quorum: 2 }),
    { signals: votes("YES", "NO", "YES") },
    "final",
    "YES holds 2 of 3; needs more than half of at least 2",
  ],
  [
    "unanimous, too few",
    unanimous({ quorum: 2 }),
    { signals: votes("YES") },
    "undecided",
    "1 voted; needs all of at least 2",
  ],
  [
    "unanimous, split",
    unanimous({ quorum: 2 }),
    { signals: votes("YES", "NO") },
    "undecided",
    "the votes disagree; needs all of at least 2",
  ],
  [
    "unanimous, exactly enough",
    unanimous({ quorum: 2 }),
    { signals: votes("YES", "YES") },
    "final",
    "all 2 agree",
  ],
  [
    "an approval, half of it",
    twoWords,
    { approvals: [word("ann")] },
    "undecided",
    "1 of 2 approvals",
  ],
  [
    "an approval, whole",
    twoWords,
    { approvals: [word("ann"), word("ben")] },
    "final",
    "2 of 2 approvals",
  ],
  [
    "an approval, by one person twice",
    twoWords,
    { approvals: [word("ann"), word("ann")] },
    "undecided",
    "1 of 2 approvals",
  ],
  [
    "an approval, by the proposer",
    approval(),
    { approvals: [word("pat")] },
    "undecided",
    "0 of 1 approvals",
  ],
  [
    "an approval, of another payload (P7)",
    approval(),
    { approvals: [word("ann", { fingerprint: "q" })] },
    "undecided",
    "0 of 1 approvals",
  ],
  [
    "an approval, denied",
    twoWords,
    { approvals: [word("ann"), word("ben", { approved: false })] },
    "denied",
    "denied by an approver",
  ],
  [
    "an approval, of another payload denied (P7)",
    approval(),
    { approvals: [word("ann", { approved: false, fingerprint: "q" })] },
    "undecided",
    "0 of 1 approvals",
  ],
  ["all", all(manual(), approval()), {}, "undecided", "a person decides; 0 of 1 approvals"],
  [
    "all, one denied",
    all(immediate(), approval()),
    { approvals: [word("ann", { approved: false })] },
    "denied",
    "nobody has to be asked; denied by an approver",
  ],
  [
    "any, open",
    any(manual(), approval()),
    {},
    "undecided",
    "a person decides, or 0 of 1 approvals",
  ],
  [
    "any, all denied",
    any(approval(), approval({ from: ["ann"] })),
    { approvals: [word("ann", { approved: false })] },
    "denied",
    "denied by an approver, or denied by an approver",
  ],
  [
    "any, one satisfied",
    any(approval(), manual()),
    { approvals: [word("ann")] },
    "final",
    "1 of 1 approvals",
  ],
];

test.each(rows)("%s: the reason", (_name, policy, evidence, status, why) => {
  expect(judge(policy, { ...about, ...evidence })).toMatchObject({ status, why });
});

describe("the tally", () => {
  test("has the live votes by outcome and source, in canonical order", () => {
    const signals = [
      vote("c", "YES").signal,
      vote("a", "YES").signal,
      vote("b", "NO").signal,
      vote("d", "NO", { at: 1 }).signal,
      vote("d", "YES", { at: 2, signalId: "d2" }).signal,
      vote("é", "A").signal,
    ];
    const tally = [
      { outcome: "A", sources: ["é"] },
      { outcome: "NO", sources: ["b"] },
      { outcome: "YES", sources: ["a", "c", "d"] },
    ];
    expect(judge(manual(), { ...nobody, signals }).tally).toEqual(tally);
    expect(judge(manual(), { ...nobody, signals: [...signals].reverse() }).tally).toEqual(tally);
  });

  test("is empty where nobody voted", () => {
    expect(judge(majority({ quorum: 1 }), nobody).tally).toEqual([]);
  });
});

test("a quorum of nobody, should one get past the check, decides nothing", () => {
  for (const rule of [unanimous({ quorum: 0 }), majority({ quorum: 0 })]) {
    expect(judge(rule, nobody)).toMatchObject({ status: "undecided", outcome: null });
  }
});
