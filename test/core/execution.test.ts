import { describe, expect, test } from "vitest";
import type { Settled } from "../../src/core/case.ts";
import { majority } from "../../src/core/policy.ts";
import {
  absent,
  claim,
  doubt,
  event,
  happened,
  idempotent,
  intent,
  keyed,
  notHappened,
  opaque,
  open,
  probeable,
  reached,
  refusal,
  release,
  requestId,
  settle,
  vote,
} from "./samples.ts";

const claimedAt = (at: number, rest: Parameters<typeof claim>[0] = {}) =>
  event(claim({ leaseUntil: at + 30, ...rest }), { at, by: "w1", nonce: `claim${at}` });
const running = reached(absent, claimedAt(10));
const leaseEnded = (at: number) => event({ type: "lease_ended" }, { at });

describe("a fresh claim", () => {
  test("is one commit: the case is born FINAL and claimed", () => {
    expect(running).toEqual({
      namespace: "ns",
      caseId: "case-1",
      version: 1,
      entries: 1,
      createdAt: 10,
      updatedAt: 10,
      state: "EXECUTING",
      deliberation: null,
      intent: intent(),
      claim: {
        fence: 1,
        holder: "claim10",
        by: "w1",
        requestId: "r1",
        terms: opaque,
        startedAt: 10,
        firstStartedAt: 10,
        earlierDoubt: null,
      },
      leaseUntil: 40,
    });
  });

  test("needs leave to open", () => {
    expect(refusal(absent, event(claim({ opens: false })))).toBe("absent");
  });
});

describe("a settlement", () => {
  const settled = reached(running, event(settle(1, { id: 7 }), { at: 20, by: "w1", nonce: "s" }));

  test("is the proof of how it ended", () => {
    expect(settled).toMatchObject({ state: "SETTLED", version: 2, entries: 2 });
    expect((settled as Settled).receipt).toEqual({
      settlementId: "st_s",
      effect: "once",
      namespace: "ns",
      caseId: "case-1",
      requestId: "r1",
      action: "pay",
      fingerprint: intent().fingerprint,
      outcome: null,
      value: { id: 7 },
      valueForm: "exact",
      source: "effect",
      effectClass: "opaque",
      fence: 1,
      startedAt: 10,
      settledAt: 20,
      by: "w1",
      evidence: null,
    });
  });

  test("without a value has none, rather than null", () => {
    const kase = reached(running, event({ type: "settle", fence: 1, valueForm: "omitted" }));
    expect("value" in (kase as Settled).receipt).toBe(false);
  });

  test("never changes: late signals, results, requests and clocks leave every byte of it", () => {
    const voted = reached(
      absent,
      event(open(majority({ quorum: 1 }))),
      event(vote("a", "YES")),
      event(claim()),
      event(settle(1)),
    );
    const later = reached(
      voted,
      event(vote("b", "NO"), { at: -5 }),
      event({ type: "late_result", fence: 1, value: "other", valueForm: "exact" }, { at: 1e15 }),
      event({ type: "ask", requestId: requestId("r9"), fingerprint: intent().fingerprint }),
    );
    expect(JSON.stringify((later as Settled).receipt)).toBe(
      JSON.stringify((voted as Settled).receipt),
    );
  });
});

describe("a lease", () => {
  test("never gets shorter by a renewal, and is not journaled", () => {
    const renew = (leaseUntil: number) =>
      event({ type: "renew", fence: 1, leaseUntil }, { at: 12 });
    expect(reached(running, renew(90))).toMatchObject({ leaseUntil: 90, version: 2, entries: 1 });
    expect(reached(running, renew(20))).toMatchObject({ leaseUntil: 40, version: 2, entries: 1 });
  });

  test("moves what the case knows of time by a renewal, and never back", () => {
    const renewedAt = (at: number) =>
      reached(running, event({ type: "renew", fence: 1, leaseUntil: 90 }, { at }));
    expect(renewedAt(12)).toMatchObject({ updatedAt: 12 });
    expect(renewedAt(9)).toMatchObject({ updatedAt: 10 });
  });

  test("ends in its time, in doubt", () => {
    expect(refusal(running, leaseEnded(39))).toBe("lease_running");
    expect(reached(running, leaseEnded(40))).toMatchObject({
      state: "IN_DOUBT",
      doubt: { since: 40, reason: "lease_ended", error: null, probes: 0, probeAt: null },
    });
  });
});

describe("what a doubt means, by class", () => {
  const doubted = (terms: Parameters<typeof claim>[0]) =>
    reached(absent, claimedAt(10, terms), event(doubt(1), { at: 20 }));
  const again = (at: number) => claimedAt(at, { opens: false });

  test("opaque: never again by itself, at any time", () => {
    for (const at of [-1e15, 0, 20, 1e15])
      expect(refusal(doubted({ terms: opaque }), again(at))).toBe("in_doubt");
  });

  test("keyed: again while the key lives, counted from the first claim, then as opaque", () => {
    const kase = doubted({ terms: keyed(100) });
    expect(refusal(kase, again(110))).toBe("in_doubt");
    const second = reached(kase, again(109));
    expect(second).toMatchObject({
      state: "EXECUTING",
      claim: { fence: 2, startedAt: 109, firstStartedAt: 10 },
    });
    expect(refusal(reached(second, event(doubt(2), { at: 109 })), again(110))).toBe("in_doubt");
  });

  test("keyed: what the case itself knows of the time keeps a clock that went back from using a dead key", () => {
    const kase = reached(
      absent,
      claimedAt(10, { terms: keyed(100) }),
      event(doubt(1), { at: 500 }),
    );
    expect(refusal(kase, again(50))).toBe("in_doubt");
  });

  test("keyed: a second claim can't give the key a longer life, or make the effect another class", () => {
    const second = reached(
      doubted({ terms: keyed(100) }),
      claimedAt(20, { opens: false, terms: idempotent }),
    );
    expect(refusal(reached(second, event(doubt(2), { at: 30 })), again(1_000))).toBe("in_doubt");
  });

  test("idempotent: again at any time", () => {
    expect(reached(doubted({ terms: idempotent }), again(1e15))).toMatchObject({
      state: "EXECUTING",
      claim: { fence: 2 },
    });
  });

  test("probeable: only after a probe that found nothing, in its time", () => {
    const kase = doubted({ terms: probeable(50) });
    const found = (answer: "absent", at: number) =>
      event({ type: "probed", fence: 1, found: { answer } }, { at });
    expect(kase).toMatchObject({ doubt: { probeAt: 70 } });
    expect(refusal(kase, again(1e15))).toBe("in_doubt");
    expect(refusal(kase, found("absent", 69))).toBe("too_early");
    expect(reached(kase, found("absent", 70))).toMatchObject({
      state: "FINAL",
      past: { claim: { fence: 1 }, reason: "the probe found that it did not happen" },
    });
  });

  test("a probe that found out that it happened needs no patience", () => {
    const found = { answer: "happened", value: "seen", valueForm: "exact" } as const;
    const kase = reached(
      doubted({ terms: probeable(50) }),
      event({ type: "probed", fence: 1, found }, { at: 21 }),
    );
    expect(kase).toMatchObject({
      state: "SETTLED",
      receipt: { source: "probe", value: "seen", fence: 1 },
    });
  });

  test("a probe that found nothing out counts, and is asked again later", () => {
    const found = { answer: "unknown", probeAt: 200 } as const;
    const kase = reached(
      doubted({ terms: probeable(50) }),
      event({ type: "probed", fence: 1, found }, { at: 70 }),
    );
    expect(kase).toMatchObject({ state: "IN_DOUBT", doubt: { probes: 1, probeAt: 200 } });
  });

  test("a person's word settles it or gives it back, with the evidence", () => {
    const kase = doubted({ terms: opaque });
    const yes = event(happened(1, "bank says so"), { by: "ana" });
    expect(reached(kase, yes)).toMatchObject({
      state: "SETTLED",
      receipt: { source: "resolved", evidence: "bank says so", by: "ana" },
    });
    const no = event(notHappened(1, "bank says no"), { by: "ana" });
    expect(reached(kase, no)).toMatchObject({
      state: "FINAL",
      past: { claim: { fence: 1 }, reason: "resolved as not happened: bank says no" },
    });
  });
});

describe("P8: a worker that lost its claim", () => {
  const lost = reached(running, leaseEnded(40));

  test("settles the doubt, where nobody ran again", () => {
    expect(reached(lost, event(settle(1)))).toMatchObject({
      state: "SETTLED",
      receipt: { source: "late", fence: 1 },
    });
  });

  test("settles what was given back on another's word, where nobody ran again", () => {
    const freed = reached(lost, event(notHappened(1)));
    expect(reached(freed, event(settle(1)))).toMatchObject({
      state: "SETTLED",
      receipt: { source: "late" },
    });
  });

  test("has no say where somebody ran again: its result is evidence", () => {
    const second = reached(lost, event(notHappened(1)), claimedAt(50));
    for (const happening of [
      settle(1),
      release(1),
      release(1, true),
      doubt(1),
      { type: "renew", fence: 1, leaseUntil: 999 } as const,
    ]) {
      expect(refusal(second, event(happening))).toBe("stale_fence");
    }
    const late = reached(
      second,
      event({ type: "late_result", fence: 1, value: "x", valueForm: "exact" }),
    );
    expect(late).toEqual({
      ...second,
      version: second.version + 1,
      entries: second.entries + 1,
      updatedAt: second.updatedAt,
    });
  });

  test("its result is never kept as mere evidence where it could settle a case that is FINAL", () => {
    const freed = reached(lost, event(notHappened(1)));
    const late = event({ type: "late_result", fence: 1, value: "x", valueForm: "exact" });
    expect(refusal(freed, late)).toBe("not_executing");
    expect(reached(freed, event(settle(1))).state).toBe("SETTLED");
  });

  test("may still say that it was not performed", () => {
    expect(reached(lost, event(release(1)))).toMatchObject({
      state: "FINAL",
      past: { claim: { fence: 1 } },
    });
    expect(reached(lost, event(release(1, true), { nonce: "v" }))).toMatchObject({
      state: "VOID",
      fence: 1,
      receipt: {
        settlementId: "st_v",
        effect: "none",
        reason: "not_performed",
        note: "refused",
      },
    });
  });
});
