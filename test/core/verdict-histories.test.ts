import fc from "fast-check";
import { expect, test } from "vitest";
import type { Signal } from "../../src/core/signal.ts";
import { transition } from "../../src/core/transition.ts";
import { expiresAt, judge } from "../../src/core/verdict.ts";
import { naiveTooLate, naiveVerdict } from "../../src/testing/simulation/naive-verdict.ts";
import { evidence, policy, scattered, signals, votePolicy } from "./arbitraries.ts";
import { claim, event, nobody, refusal } from "./samples.ts";
import { brief, deliberationOf, isOpen, walked } from "./walked.ts";

// reliability.md, section 7, row 2: 100,000 model-based histories on every change.
const histories = { judged: 50_000, walked: 30_000, reordered: 20_000 } as const;

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
