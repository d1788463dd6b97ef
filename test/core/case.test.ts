import { describe, expect, test } from "vitest";
import { fenceOf } from "../../src/core/advance.ts";
import {
  type Case,
  type Retired,
  retired,
  type Settled,
  summaryOf,
  type Void,
} from "../../src/core/case.ts";
import { entryText, readEntry } from "../../src/core/entry.ts";
import { all, approval, immediate, majority, manual } from "../../src/core/policy.ts";
import { dueAt } from "../../src/core/store.ts";
import {
  absent,
  approve,
  claim,
  doubt,
  event,
  idempotent,
  intent,
  keyed,
  opaque,
  open,
  probeable,
  queued,
  reached,
  refusal,
  release,
  requestId,
  right,
  settle,
  vote,
} from "./samples.ts";

const claimedAt = (at: number, rest: Parameters<typeof claim>[0] = {}) =>
  event(claim({ leaseUntil: at + 30, ...rest }), { at, by: "w1", nonce: `claim${at}` });
const running = reached(absent, claimedAt(10));

const remains = {
  receiptHash: "receipt",
  journalHash: "journal",
  requests: [requestId("r1"), requestId("r2")],
};

describe("a tombstone", () => {
  const settled = reached(running, event(settle(1), { at: 20, nonce: "s" })) as Settled;
  const stone = retired(settled, remains);

  test("keeps what refuses the id for ever, and nothing else", () => {
    expect(stone).toEqual({
      namespace: "ns",
      caseId: "case-1",
      version: 3,
      entries: 2,
      createdAt: 10,
      updatedAt: 20,
      state: "RETIRED",
      fingerprint: intent().fingerprint,
      effect: "once",
      outcome: null,
      settlementId: "st_s",
      ...remains,
    });
  });

  test("never runs again", () => {
    expect(refusal(stone, event(claim()))).toBe("retired");
    expect(refusal(stone, event(claim({ intent: intent("q") })))).toBe("payload_conflict");
    expect(refusal(stone, event(open(approval())))).toBe("retired");
  });

  test("of a case without an intent refuses every payload", () => {
    const rejected = reached(
      absent,
      event(open(majority({ quorum: 1 }), { allow: [] })),
      event(vote("a", "NO")),
    ) as Void;
    const bare = retired(rejected, remains);
    expect(bare).toMatchObject({ fingerprint: null, effect: "none", outcome: "NO" });
    expect(refusal(bare, event(claim()))).toBe("retired");
  });

  test("another payload is a conflict for every way to ask (P3)", () => {
    const ask = event({
      type: "ask",
      requestId: requestId("r9"),
      fingerprint: intent("q").fingerprint,
    });
    expect(refusal(stone, ask)).toBe("payload_conflict");
    const same = { ...ask, fingerprint: intent().fingerprint };
    expect(refusal(stone, same)).toBe("retired");
  });

  test("has a summary without payload or value", () => {
    expect(summaryOf(stone)).toEqual({
      caseId: "case-1",
      state: "RETIRED",
      action: null,
      verdict: null,
      updatedAt: 20,
    });
    expect(summaryOf(settled)).toEqual({
      caseId: "case-1",
      state: "SETTLED",
      action: "pay",
      verdict: null,
      updatedAt: 20,
    });
    expect(summaryOf(absent)).toMatchObject({ caseId: "case-1", state: "ABSENT", updatedAt: null });
  });

  test("has a summary before it holds an action, with the verdict so far", () => {
    const waiting = reached(absent, event(open(majority({ quorum: 2 }))), event(vote("a", "YES")));
    expect(summaryOf(waiting)).toMatchObject({
      state: "RESOLVED_PROVISIONAL",
      action: null,
      verdict: { status: "undecided", tally: [{ outcome: "YES", sources: ["a"] }] },
    });
  });
});

describe("when a case needs attention", () => {
  const doubted = (terms: Parameters<typeof claim>[0]) =>
    reached(absent, claimedAt(10, terms), event(doubt(1), { at: 20 }));
  const votesAndApproval = [
    event(open(all(majority({ quorum: 3 }), approval({ expiresIn: 5 }))), { at: 1 }),
  ];
  test.each<[string, Case, number | null]>([
    [
      "waiting for approval: when it expires",
      reached(absent, event(open(approval({ expiresIn: 5 })), { at: 1 })),
      6,
    ],
    ["waiting for votes: never", reached(absent, event(open(majority({ quorum: 1 })))), null],
    [
      "some have voted: when the approval that is wanted too expires",
      reached(absent, ...votesAndApproval, event(vote("a", "YES"))),
      6,
    ],
    [
      "the votes disagree: the same",
      reached(absent, ...votesAndApproval, event(vote("a", "YES")), event(vote("b", "NO"))),
      6,
    ],
    ["executing: when the lease ends", running, 40],
    ["probeable: when it may be probed", doubted({ terms: probeable(50) }), 70],
    ["idempotent, in doubt: at once", doubted({ terms: idempotent }), 20],
    ["keyed, in doubt: at once", doubted({ terms: keyed(100) }), 20],
    ["FINAL: never", reached(running, event(release(1))), null],
    [
      "FINAL, queued: when a worker may run it",
      reached(absent, event(claim({ intent: queued() })), event(release(1, false, 70), { at: 60 })),
      70,
    ],
    ["settled: never", reached(running, event(settle(1))), null],
    ["void: never", reached(running, event(release(1, true))), null],
    ["retired: never", retired(reached(running, event(settle(1))) as Settled, remains), null],
    // No sweep can do anything for it, and it would fill the pages of those that it can.
    ["opaque, in doubt: never by itself", doubted({ terms: opaque }), null],
    [
      "approved in time, and waiting for a person's decision: never",
      reached(
        absent,
        event(open(all(approval({ expiresIn: 5 }), manual()), { intent: intent() }), { at: 1 }),
        event(approve(right), { at: 5, by: "ann" }),
      ),
      null,
    ],
  ])("%s", (_name, kase, at) => expect(dueAt(kase)).toBe(at));
});

describe("the latest claim of a case", () => {
  const bare = reached(absent, event(open(majority({ quorum: 3 }))));
  const second = reached(running, event(release(1)), claimedAt(20));
  test.each<[string, Case, number]>([
    ["OPEN", bare, 0],
    ["RESOLVED_PROVISIONAL", reached(bare, event(vote("a", "YES"))), 0],
    ["IN_RECONCILIATION", reached(bare, event(vote("a", "YES")), event(vote("b", "NO"))), 0],
    ["FINAL, never claimed", reached(absent, event(open(immediate()))), 0],
    ["FINAL, given back", reached(running, event(release(1))), 1],
    ["EXECUTING", second, 2],
    ["IN_DOUBT", reached(second, event(doubt(2))), 2],
    ["SETTLED", reached(second, event(settle(2))), 2],
    ["VOID, claimed before", reached(second, event(release(2, true))), 2],
    ["VOID, never claimed", reached(bare, event({ type: "withdraw", note: "no" })), 0],
  ])("%s", (_name, kase, fence) => {
    expect(fenceOf(kase as Exclude<Case, Retired>)).toBe(fence);
  });
});

test("an entry says what happened, and reads back as it was written", () => {
  const next = reached(running, event(settle(1)));
  const said = event(settle(1, { b: [1, "é"] }), { at: 20, by: "w1", nonce: "s" });
  const text = entryText(next, said, "hash");
  expect(readEntry(text)).toEqual({
    v: 1,
    sequence: 2,
    namespace: "ns",
    caseId: "case-1",
    version: 2,
    state: "SETTLED",
    previous: "hash",
    event: said,
  });
  expect(JSON.stringify(readEntry(text))).toBe(text);
});
