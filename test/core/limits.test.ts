import { describe, expect, test } from "vitest";
import type { Case, Final, InDoubt } from "../../src/core/case.ts";
import { isName } from "../../src/core/identity.ts";
import { canonicalJson } from "../../src/core/json.ts";
import { limits } from "../../src/core/limits.ts";
import { all, any, approval, majority, manual, policyFault } from "../../src/core/policy.ts";
import {
  absent,
  approve,
  claim,
  deny,
  doubt,
  event,
  happened,
  idempotent,
  intent,
  open,
  probeable,
  reached,
  refusal,
  release,
  requestId,
  right,
  settle,
  vote,
} from "./samples.ts";

/** Every bound that core enforces by itself is reached here, from both sides. */

const ask = event({ type: "ask", requestId: requestId("r9"), fingerprint: intent().fingerprint });
const withEntries = <T extends Case>(kase: T, entries: number): T => ({ ...kase, entries });

describe("signalsPerCase", () => {
  test("bounds the signals, late ones included", () => {
    let kase = reached(absent, event(open(majority({ quorum: limits.signalsPerCase }))));
    const count = limits.signalsPerCase;
    for (let index = 0; index < count - 1; index += 1) {
      kase = reached(kase, event(vote("a", "YES", { signalId: `a${index}`, at: index })));
    }
    expect(refusal(kase, event(vote("b", "YES")))).toBe("accepted");
    const final = reached(kase, event({ type: "decide", outcome: "YES", reason: "x" }));
    const full = reached(final, event(vote("b", "NO")));
    expect(refusal(full, event(vote("c", "YES")))).toBe("too_many");
    expect(refusal(full, event(vote("b", "NO")))).toBe("unchanged");
    expect(refusal(reached(kase, event(vote("b", "YES"))), event(vote("c", "YES")))).toBe(
      "too_many",
    );
  });
});

describe("approvalsPerCase", () => {
  test("bounds the people who spoke, not how often", () => {
    let kase = reached(
      absent,
      event(open(any(approval({ need: limits.approvalsPerCase }), manual()), { intent: intent() })),
    );
    for (let index = 0; index < limits.approvalsPerCase; index += 1) {
      expect(kase.state).toBe("OPEN");
      kase = reached(kase, event(index === 0 ? deny(right) : approve(right), { by: `p${index}` }));
    }
    expect(refusal(kase, event(approve(right), { by: "one more" }))).toBe("too_many");
    expect(refusal(kase, event(approve(right), { by: "p0" }))).toBe("accepted");
  });
});

describe("claimsPerCase", () => {
  const past = (fence: number): Final => {
    const kase = reached(absent, event(claim({ terms: idempotent })), event(release(1))) as Final;
    return { ...kase, past: { ...kase.past!, claim: { ...kase.past!.claim, fence } } };
  };
  const inDoubt = (fence: number): InDoubt => {
    const kase = reached(absent, event(claim({ terms: idempotent })), event(doubt(1))) as InDoubt;
    return { ...kase, claim: { ...kase.claim, fence } };
  };

  test.each([
    ["FINAL", past],
    ["IN_DOUBT", inDoubt],
  ])("bounds the claims from %s", (_name, make) => {
    expect(reached(make(limits.claimsPerCase - 1), event(claim()))).toMatchObject({
      claim: { fence: limits.claimsPerCase },
    });
    expect(refusal(make(limits.claimsPerCase), event(claim()))).toBe("too_many");
  });

  test("leaves a way out: withdrawn, or resolved by a person", () => {
    expect(
      reached(past(limits.claimsPerCase), event({ type: "withdraw", note: "enough" })).state,
    ).toBe("VOID");
    const resolve = event(happened(limits.claimsPerCase));
    expect(reached(inDoubt(limits.claimsPerCase), resolve).state).toBe("SETTLED");
  });
});

describe("entriesPerCase", () => {
  const running = reached(absent, event(claim()));
  const full = withEntries(running, limits.entriesPerCase);
  const late = event({ type: "late_result", fence: 1, valueForm: "omitted" });

  test("bounds what only adds evidence", () => {
    expect(refusal(withEntries(running, limits.entriesPerCase - 1), ask)).toBe("accepted");
    expect(refusal(full, ask)).toBe("too_many");
    const settled = withEntries(reached(running, event(settle(1))), limits.entriesPerCase);
    expect(refusal(settled, late)).toBe("too_many");
  });

  test("never keeps an effect from being settled, given back or doubted", () => {
    for (const happening of [
      settle(1),
      release(1),
      release(1, true),
      doubt(1),
      { type: "lease_ended" } as const,
    ]) {
      expect(refusal(full, event(happening, { at: 100 }))).toBe("accepted");
    }
  });

  test("bounds decisions that are made again and again", () => {
    const waiting = reached(
      absent,
      event(open(all(manual(), approval()), { outcomes: ["YES", "NO"] })),
    );
    const decide = event({ type: "decide", outcome: "YES", reason: "x" });
    const decided = reached(waiting, decide);
    expect(refusal(decided, decide)).toBe("unchanged");
    const other = event({ type: "decide", outcome: "NO", reason: "x" });
    expect(refusal(withEntries(decided, limits.entriesPerCase - 1), other)).toBe("accepted");
    expect(refusal(withEntries(decided, limits.entriesPerCase), other)).toBe("too_many");
  });

  test("bounds votes, and leaves a way out", () => {
    const waiting = reached(absent, event(open(majority({ quorum: 2 }))));
    const fullOne = withEntries(waiting, limits.entriesPerCase);
    expect(refusal(fullOne, event(vote("a", "YES")))).toBe("too_many");
    expect(refusal(fullOne, event({ type: "withdraw", note: "enough" }))).toBe("accepted");
  });

  test("bounds probes that find nothing out, and not those that do", () => {
    const lost = reached(
      absent,
      event(claim({ terms: probeable(10) })),
      event(doubt(1), { at: 20 }),
    );
    const probed = (answer: "unknown" | "absent") => {
      const found = answer === "unknown" ? ({ answer, probeAt: 90 } as const) : { answer };
      return event({ type: "probed", fence: 1, found }, { at: 30 });
    };
    expect(refusal(withEntries(lost, limits.entriesPerCase - 1), probed("unknown"))).toBe(
      "accepted",
    );
    const worn = withEntries(lost, limits.entriesPerCase);
    expect(refusal(worn, probed("unknown"))).toBe("too_many");
    expect(refusal(worn, probed("absent"))).toBe("accepted");
  });

  // A defect, reported: the word changes nothing the second time, and is journaled for ever.
  test("bounds a re-run's word that it did not happen", () => {
    const said = reached(
      absent,
      event(claim({ terms: idempotent })),
      event(doubt(1)),
      event(claim()),
      event(release(2)),
    );
    expect(said.state).toBe("IN_DOUBT");
    expect(["unchanged", "too_many"]).toContain(
      refusal(withEntries(said, limits.entriesPerCase), event(release(2))),
    );
  });

  test("bounds changes of mind", () => {
    const waiting = reached(absent, event(open(any(approval(), manual()), { intent: intent() })));
    const denied = withEntries(
      reached(waiting, event(deny(right), { by: "ann" })),
      limits.entriesPerCase,
    );
    expect(refusal(denied, event(deny(right), { by: "ben" }))).toBe("too_many");
  });
});

test("idChars bounds names, jsonDepth, jsonNodes and payloadChars a payload", () => {
  expect([isName("x".repeat(limits.idChars)), isName("x".repeat(limits.idChars + 1))]).toEqual([
    true,
    false,
  ]);
  const nested = (levels: number): unknown => (levels === 0 ? 1 : [nested(levels - 1)]);
  expect([
    canonicalJson(nested(limits.jsonDepth)).ok,
    canonicalJson(nested(limits.jsonDepth + 1)).ok,
  ]).toEqual([true, false]);
  const list = (count: number) => Array(count).fill(0);
  expect([
    canonicalJson(list(limits.jsonNodes - 1)).ok,
    canonicalJson(list(limits.jsonNodes)).ok,
  ]).toEqual([true, false]);
  const text = (chars: number) => "x".repeat(chars - 2);
  expect([
    canonicalJson(text(limits.payloadChars)).ok,
    canonicalJson(text(limits.payloadChars + 1)).ok,
  ]).toEqual([true, false]);
});

test("policyNodes, policyNames, weight and spanMsMax bound a policy: see policy.test.ts", () => {
  const parts = (count: number) => all(...Array(count).fill(manual()));
  expect(policyFault(parts(limits.policyNodes - 1))).toBeUndefined();
  expect(policyFault(parts(limits.policyNodes))).toContain(String(limits.policyNodes));
});
