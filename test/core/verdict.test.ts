import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Case } from "../../src/core/case.ts";
import {
  all,
  any,
  majority,
  manual,
  type Policy,
  threshold,
  unanimous,
} from "../../src/core/policy.ts";
import type { Signal } from "../../src/core/signal.ts";
import { transition } from "../../src/core/transition.ts";
import { expiresAt, judge } from "../../src/core/verdict.ts";
import {
  evidence,
  outcomes,
  policy,
  scattered,
  signals,
  sources,
  votePolicy,
} from "./arbitraries.ts";
import { naiveTooLate, naiveVerdict } from "./naive-verdict.ts";
import { absent, claim, event, nobody, open, reached, refusal } from "./samples.ts";

// reliability.md, section 7, row 2: 100,000 model-based histories on every change.
const histories = { judged: 50_000, walked: 30_000, reordered: 20_000 } as const;

const brief = ({ status, outcome }: { status: string; outcome: string | null }) => ({
  status,
  outcome,
});

/** A case that asks for votes, after it heard messages: those it kept, and those that came late. */
function walked(
  rule: Policy,
  messages: readonly Signal[],
): { readonly kase: Case; readonly heard: readonly Signal[] } {
  let kase = reached(absent, event(open(rule, { outcomes: [...outcomes] })));
  const heard: Signal[] = [];
  for (const signal of messages) {
    const wasOpen = isOpen(kase);
    const answer = transition(kase, event({ type: "signal", signal }));
    if (!answer.ok) continue;
    if (wasOpen) heard.push(signal);
    kase = answer.next;
  }
  return { kase, heard };
}

const isOpen = (kase: Case) =>
  kase.state === "OPEN" ||
  kase.state === "RESOLVED_PROVISIONAL" ||
  kase.state === "IN_RECONCILIATION";

const deliberationOf = (kase: Case) => (kase.state === "RETIRED" ? null : kase.deliberation);
const ids = (list: readonly Signal[]) => list.map((signal) => signal.signalId).sort();

test(`${histories.judged} histories: judge agrees with the naive reference, in any order and with duplicates`, () => {
  const met = { undecided: 0, final: 0, denied: 0 };
  const history = evidence.chain((all) =>
    fc.record({ all: fc.constant(all), again: scattered(all.signals) }),
  );
  const property = fc.property(policy, history, (rule, { all: given, again }) => {
    const verdict = judge(rule, given);
    met[verdict.status] += 1;
    expect(brief(verdict)).toEqual(naiveVerdict(rule, given));
    const end = expiresAt(rule, given);
    for (const now of [9, 10, 11, 12, 13, 14, 15]) {
      if (verdict.status === "undecided")
        expect(end !== null && now >= end).toBe(naiveTooLate(rule, given, now));
    }
    const approvals = [...given.approvals].reverse();
    const reordered = { ...given, signals: again, approvals };
    expect(judge(rule, reordered)).toEqual(verdict);
    expect(expiresAt(rule, reordered)).toBe(end);
  });
  fc.assert(property, { numRuns: histories.judged });
  console.log(`judged ${histories.judged} histories: ${JSON.stringify(met)}`);
  expect(Math.min(...Object.values(met))).toBeGreaterThan(1_000);
});

test(`${histories.walked} histories: a case that hears any messages holds what the naive reference makes of them`, () => {
  const met = { open: 0, final: 0, late: 0 };
  const history = signals.chain((list) => scattered(list));
  const property = fc.property(votePolicy, history, (rule, messages) => {
    const { kase, heard } = walked(rule, messages);
    const deliberation = deliberationOf(kase);
    if (deliberation === null) return;
    const { verdict, signals: kept, late } = deliberation;
    expect(brief(verdict)).toEqual(naiveVerdict(rule, { ...nobody, signals: heard }));
    expect(kept).toEqual(heard);
    // Every message that the policy listens to is kept once, before the verdict or as late evidence.
    const wanted = messages.filter(
      (s) => rule.kind !== "threshold" || rule.weights === null || s.source in rule.weights,
    );
    expect(ids([...kept, ...late])).toEqual([...new Set(wanted.map((s) => s.signalId))].sort());
    // Not decided one message earlier: it became final as soon as it could.
    expect(naiveVerdict(rule, { ...nobody, signals: heard.slice(0, -1) }).status).toBe("undecided");
    met[isOpen(kase) ? "open" : "final"] += 1;
    met.late += Math.sign(late.length);
    const standing = new Set(newest(heard).map((s) => s.outcome)).size;
    const open =
      standing === 0 ? "OPEN" : standing === 1 ? "RESOLVED_PROVISIONAL" : "IN_RECONCILIATION";
    expect(kase.state).toBe(verdict.status === "final" ? "FINAL" : open);
    expect(refusal(kase, event(claim()))).toBe(
      verdict.status === "final" ? "accepted" : "not_final",
    );
  });
  fc.assert(property, { numRuns: histories.walked });
  console.log(`walked ${histories.walked} histories: ${JSON.stringify(met)}`);
  expect(Math.min(...Object.values(met))).toBeGreaterThan(1_000);
});

/** The standing vote of each source, by brute force: no other of its votes is later. */
const newest = (list: readonly Signal[]) =>
  list.filter(
    (s) =>
      !list.some(
        (o) => o.source === s.source && (o.at > s.at || (o.at === s.at && o.signalId > s.signalId)),
      ),
  );

test(`${histories.reordered} histories: the set that made a case final makes it so in every order that gets as far`, () => {
  const met = { same: 0, earlier: 0 };
  const history = signals.chain((list) =>
    fc.record({ one: scattered(list), order: fc.infiniteStream(fc.nat()) }),
  );
  const property = fc.property(votePolicy, history, (rule, { one, order }) => {
    const { kase, heard } = walked(rule, one);
    const again = heard.map((signal) => ({ signal, key: order.next().value ?? 0 }));
    const other = walked(
      rule,
      again.sort((x, y) => x.key - y.key).map(({ signal }) => signal),
    );
    // Another order may be final before it has heard all of the set. Then the rest is late.
    const whole = other.heard.length === heard.length;
    met[whole ? "same" : "earlier"] += 1;
    if (whole) {
      expect(other.kase.state).toBe(kase.state);
      expect(deliberationOf(other.kase)?.verdict).toEqual(deliberationOf(kase)?.verdict);
    }
    // Whatever came first, a copy of everything once more changes nothing.
    for (const signal of one) {
      const answer = transition(kase, event({ type: "signal", signal }));
      expect(
        answer.ok ? deliberationOf(answer.next)?.verdict : deliberationOf(kase)?.verdict,
      ).toEqual(deliberationOf(kase)?.verdict);
    }
  });
  fc.assert(property, { numRuns: histories.reordered });
  console.log(`reordered ${histories.reordered} histories: ${JSON.stringify(met)}`);
  expect(met.same).toBeGreaterThan(1_000);
});

test("they are 100,000 histories", () => {
  expect(Object.values(histories).reduce((sum, count) => sum + count, 0)).toBe(100_000);
});

describe("every permutation of up to 6 signals gives the same verdict", () => {
  const said = (
    source: string,
    outcome: string,
    at: number,
    confidencePpm = 1_000_000,
  ): Signal => ({
    signalId: `${source}${outcome}${at}`,
    source,
    outcome,
    at,
    confidencePpm,
  });
  const sets: readonly (readonly Signal[])[] = [
    [said("a", "YES", 1), said("b", "NO", 1)],
    [said("a", "YES", 1), said("a", "NO", 1), said("b", "NO", 1)],
    [said("a", "YES", 1), said("b", "YES", 1), said("c", "NO", 1), said("c", "YES", 2)],
    [
      said("a", "YES", 1),
      said("b", "YES", 1),
      said("c", "NO", 1),
      said("d", "YES", 1),
      said("e", "NO", 1),
    ],
    [
      said("a", "YES", 1),
      said("a", "NO", 2),
      said("b", "NO", 1),
      said("b", "YES", 2),
      said("c", "YES", 1),
      said("c", "MAYBE", 1),
    ],
    [
      said("a", "YES", 3, 1),
      said("b", "NO", 1, 2),
      said("c", "YES", 1, 1),
      said("d", "NO", 2, 1),
      said("d", "YES", 2, 999_999),
      said("e", "YES", 2, 0),
    ],
  ];
  const policies: readonly Policy[] = [
    threshold({ share: 0.66, quorum: 3 }),
    threshold({ share: 0.6, quorum: 5 }),
    threshold({ share: 0.5, quorum: 2, byConfidence: true }),
    threshold({ share: 0.8, quorum: 1, weights: { a: 5, b: 1, c: 1 } }),
    majority({ quorum: 2 }),
    unanimous({ quorum: 2 }),
    all(majority({ quorum: 3 }), threshold({ share: 0.5, quorum: 1 })),
    any(unanimous({ quorum: 4 }), majority({ quorum: 3 })),
    manual(),
  ];

  test.each(sets.map((set) => ({ set, count: set.length })))("$count signals", ({ set }) => {
    const orders = permutations(set);
    for (const rule of policies) {
      const first = judge(rule, { ...nobody, signals: set });
      expect(brief(first)).toEqual(naiveVerdict(rule, { ...nobody, signals: set }));
      const texts = new Set(
        orders.map((order) => JSON.stringify(judge(rule, { ...nobody, signals: order }))),
      );
      expect([...texts]).toEqual([JSON.stringify(first)]);
    }
  });

  test("and so does the case, where each source speaks once and all are wanted", () => {
    const set = sources.map((source, index) => said(source, index < 4 ? "YES" : "NO", 1));
    const ends = permutations(set).map((order) => {
      const { kase } = walked(threshold({ share: 0.8, quorum: 5 }), [...order, ...order]);
      return JSON.stringify([kase.state, kase.version, deliberationOf(kase)?.verdict]);
    });
    expect(ends).toHaveLength(120);
    expect([...new Set(ends)]).toEqual([expect.stringContaining('"FINAL",6,')]);
  });
});

function permutations<T>(list: readonly T[]): readonly (readonly T[])[] {
  if (list.length === 0) return [[]];
  return list.flatMap((item, index) =>
    permutations([...list.slice(0, index), ...list.slice(index + 1)]).map((rest) => [
      item,
      ...rest,
    ]),
  );
}
