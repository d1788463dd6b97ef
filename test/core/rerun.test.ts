import { describe, expect, test } from "vitest";
import { mayRunAgain } from "../../src/core/advance.ts";
import type { Case, InDoubt } from "../../src/core/case.ts";
import { immediate } from "../../src/core/policy.ts";
import type { EffectTerms } from "../../src/core/receipt.ts";
import {
  absent,
  claim,
  doubt,
  event,
  happened,
  idempotent,
  keyed,
  notHappened,
  opaque,
  open,
  probeable,
  reached,
  refusal,
  release,
  settle,
  transactional,
} from "./samples.ts";

const claimedAt = (at: number, rest: Parameters<typeof claim>[0] = {}) =>
  event(claim({ leaseUntil: at + 30, ...rest }), { at, by: "w1", nonce: `claim${at}` });
const running = reached(absent, claimedAt(10));

describe("whether an effect in doubt may be started again", () => {
  const lost = (terms: EffectTerms) =>
    reached(absent, claimedAt(10, { terms }), event(doubt(1), { at: 20 })) as InDoubt;
  test.each<[string, EffectTerms, at: number, boolean]>([
    ["opaque", opaque, 20, false],
    ["probeable", probeable(5), 1_000, false],
    ["idempotent", idempotent, 1e15, true],
    ["keyed, while the key lives", keyed(100), 109, true],
    ["keyed, when it ends", keyed(100), 110, false],
    ["keyed, by a clock that is no number", keyed(100), Number.NaN, false],
  ])("%s", (_name, terms, at, may) => expect(mayRunAgain(lost(terms), at)).toBe(may));

  test("transactional: never in doubt, and a record that says so is for a person", () => {
    const wrong = lost(idempotent);
    const kase = { ...wrong, claim: { ...wrong.claim, terms: transactional } };
    expect(mayRunAgain(kase, 20)).toBe(false);
  });
});

describe("a re-run: a claim given while an earlier one is in doubt", () => {
  const first = (terms: EffectTerms) =>
    reached(absent, claimedAt(10, { terms }), event(doubt(1), { at: 20 })) as InDoubt;
  const rerun = (terms: EffectTerms) =>
    reached(first(terms), claimedAt(30, { opens: false, terms }));
  const classes = [keyed(100), keyed(100, 10), idempotent];

  test.each(classes)("carries that doubt: $class", (terms) => {
    expect(rerun(terms)).toMatchObject({
      state: "EXECUTING",
      claim: { fence: 2, terms, earlierDoubt: first(terms).doubt },
    });
  });

  test.each(classes)(
    "says of itself only that it did not happen, final or not: $class",
    (terms) => {
      for (const final of [false, true]) {
        const now = reached(rerun(terms), event(release(2, final)));
        const later = reached(rerun(terms), event(doubt(2), { at: 40 }), event(release(2, final)));
        for (const kase of [now, later]) {
          expect(kase).toMatchObject({
            state: "IN_DOUBT",
            claim: { fence: 2 },
            doubt: first(terms).doubt,
          });
        }
      }
    },
  );

  test("is followed by another, which carries the latest doubt", () => {
    const lost = reached(rerun(idempotent), event(doubt(2), { at: 40 })) as InDoubt;
    const third = reached(lost, claimedAt(50, { opens: false }));
    expect(third).toMatchObject({ claim: { fence: 3, earlierDoubt: lost.doubt } });
    expect(reached(third, event(release(3)))).toMatchObject({
      state: "IN_DOUBT",
      claim: { fence: 3 },
      doubt: { since: 40 },
    });
  });

  test("is cleared with what came before it by a probe", () => {
    const back = reached(rerun(keyed(100, 10)), event(release(2), { at: 25 }));
    const absentAt = (at: number) =>
      event({ type: "probed", fence: 2, found: { answer: "absent" } }, { at });
    expect(refusal(back, absentAt(29))).toBe("too_early");
    expect(reached(back, absentAt(30))).toMatchObject({
      state: "FINAL",
      past: { claim: { fence: 2, earlierDoubt: null } },
    });
  });

  test("is cleared with what came before it by a person", () => {
    const back = reached(rerun(idempotent), event(release(2)));
    expect(reached(back, event(happened(2))).state).toBe("SETTLED");
    const free = reached(back, event(notHappened(2)));
    expect(free).toMatchObject({ state: "FINAL", past: { claim: { earlierDoubt: null } } });
    // Nothing is in doubt any more: the next claim stands for itself, on its own terms.
    const next = reached(free, claimedAt(60, { terms: opaque }));
    expect(next).toMatchObject({ claim: { fence: 3, terms: opaque, earlierDoubt: null } });
    expect(reached(next, event(release(3, true))).state).toBe("VOID");
  });

  test("is settled by what it returns", () => {
    expect(reached(rerun(keyed(100)), event(settle(2)))).toMatchObject({
      state: "SETTLED",
      receipt: { source: "effect", fence: 2 },
    });
  });

  test("keeps the terms of the first claim, whatever it declares", () => {
    for (const terms of [keyed(1e9), idempotent, opaque, probeable(0), transactional]) {
      const second = reached(first(keyed(100)), claimedAt(30, { opens: false, terms }));
      expect(second).toMatchObject({ claim: { terms: keyed(100) } });
      const lost = reached(second, event(doubt(2), { at: 40 }));
      expect(lost).toMatchObject({ doubt: { probeAt: null } });
      expect(refusal(lost, claimedAt(110, { opens: false, terms }))).toBe("in_doubt");
    }
  });
});

describe("a person's word", () => {
  test("is about the claim that was looked into: it says nothing once somebody ran again", () => {
    const looked = reached(absent, claimedAt(10, { terms: idempotent }), event(doubt(1)));
    const again = reached(looked, claimedAt(30, { opens: false }), event(doubt(2)));
    for (const word of [happened(1), notHappened(1), happened(3), notHappened(0)])
      expect(refusal(again, event(word))).toBe("stale_fence");
    expect(reached(again, event(notHappened(2))).state).toBe("FINAL");
  });
});

test("a probe that finds nothing out never brings the next one nearer", () => {
  const lost = reached(
    absent,
    claimedAt(10, { terms: probeable(50) }),
    event(doubt(1), { at: 20 }),
  );
  for (const probeAt of [-1e15, 0, 69, 70]) {
    const found = { answer: "unknown", probeAt } as const;
    const asked = reached(lost, event({ type: "probed", fence: 1, found }, { at: 21 }));
    expect(asked).toMatchObject({ doubt: { probes: 1, probeAt: 70 } });
    const nothing = event({ type: "probed", fence: 1, found: { answer: "absent" } }, { at: 69 });
    expect(refusal(asked, nothing)).toBe("too_early");
  }
});

// A defect, reported: an earlier run's settling time is cut short by the doubt about a re-run, where the clock went back.
test("the doubt about a re-run never brings the next probe nearer", () => {
  const terms = keyed(1_000, 50);
  const lost = reached(absent, claimedAt(10, { terms }), event(doubt(1), { at: 100 }));
  expect(lost).toMatchObject({ doubt: { probeAt: 150 } });
  const again = reached(lost, claimedAt(101, { opens: false, terms }), event(doubt(2), { at: 60 }));
  const nothing = event({ type: "probed", fence: 2, found: { answer: "absent" } }, { at: 149 });
  expect(refusal(again, nothing)).toBe("too_early");
});

describe("a late result is for claims that can't settle any more", () => {
  const late = (fence: number) =>
    event({ type: "late_result", fence, value: "x", valueForm: "exact" });
  const second = reached(running, event(release(1)), claimedAt(50));
  const cases: readonly (readonly [string, Case, latest: number, otherwise: string])[] = [
    ["EXECUTING", second, 1, "busy"],
    ["IN_DOUBT", reached(second, event(doubt(2))), 1, "in_doubt"],
    ["FINAL", reached(second, event(release(2))), 1, "not_executing"],
    ["SETTLED", reached(second, event(settle(2))), 2, "stale_fence"],
    ["VOID", reached(second, event(release(2, true))), 2, "stale_fence"],
    [
      "VOID, withdrawn",
      reached(second, event(release(2)), event({ type: "withdraw", note: "" })),
      2,
      "stale_fence",
    ],
  ];
  test.each(cases)("%s", (_name, kase, latest, otherwise) => {
    for (const fence of [0, 1, 2, 3]) {
      const isKept = fence >= 1 && fence <= latest;
      expect(refusal(kase, late(fence)), `fence ${fence}`).toBe(isKept ? "accepted" : otherwise);
    }
  });

  test("a case that was never claimed has none", () => {
    const withdrawn = reached(
      absent,
      event(open(immediate())),
      event({ type: "withdraw", note: "" }),
    );
    expect(withdrawn).toMatchObject({ state: "VOID", fence: 0 });
    expect(refusal(withdrawn, late(1))).toBe("stale_fence");
  });
});
