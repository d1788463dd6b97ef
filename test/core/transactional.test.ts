import { describe, expect, test } from "vitest";
import { mayRunAgain } from "../../src/core/advance.ts";
import type { Case, Executing, InDoubt } from "../../src/core/case.ts";
import { limits } from "../../src/core/limits.ts";
import { dueAt } from "../../src/core/store.ts";
import {
  absent,
  claim,
  doubt,
  event,
  happened,
  intent,
  keyed,
  notHappened,
  opaque,
  queued,
  reached,
  refusal,
  release,
  requestId,
  settle,
  transactional,
} from "./samples.ts";

const claimedAt = (at: number, rest: Parameters<typeof claim>[0] = {}) =>
  event(claim({ leaseUntil: at + 30, terms: transactional, ...rest }), { at, by: "w1" });
const leaseEnded = (at: number) => event({ type: "lease_ended" }, { at });
const running = reached(absent, claimedAt(10)) as Executing;
const doubtedOpaque = reached(reached(absent, event(claim({ terms: opaque }))), event(doubt(1)));

/** Every way in which a claim ends without a word on what happened. */
const losses = [
  ["its lease ended", leaseEnded(40), "its lease ended; what it wrote was not committed"],
  ["it threw", event(doubt(1), { at: 40 }), "boom"],
  [
    "it threw nothing that has words",
    event({ type: "doubt", fence: 1, reason: "threw", error: null }, { at: 40 }),
    "it threw; what it wrote was not committed",
  ],
  [
    "its time was over",
    event({ type: "doubt", fence: 1, reason: "timed_out", error: null }, { at: 40 }),
    "it did not end in its time; what it wrote was not committed",
  ],
] as const;

describe("P2: A transactional effect commits if and only if its receipt does", () => {
  test("returned: its receipt says so", () => {
    expect(reached(running, event(settle(1, { id: 7 }), { at: 20 }))).toMatchObject({
      state: "SETTLED",
      receipt: { effect: "once", effectClass: "transactional", source: "effect", fence: 1 },
    });
  });

  test.each(losses)(
    "%s: the case is FINAL again, and nobody is in doubt",
    (_name, loss, reason) => {
      expect(reached(running, loss)).toEqual({
        namespace: "ns",
        caseId: "case-1",
        version: 2,
        entries: 2,
        createdAt: 10,
        updatedAt: 40,
        state: "FINAL",
        deliberation: null,
        intent: intent(),
        past: { claim: running.claim, reason },
        runAt: null,
      });
    },
  );

  describe("it ended its transaction itself", () => {
    const doubted = reached(
      running,
      event({ type: "doubt", fence: 1, reason: "ended_itself", error: "25P01" }, { at: 40 }),
    );

    test("nobody knows what was committed: in doubt, for a person, and never repeated", () => {
      expect(doubted).toMatchObject({
        state: "IN_DOUBT",
        doubt: { reason: "ended_itself", error: "25P01", since: 40, probeAt: null },
      });
      expect(dueAt(doubted as Case)).toBe(null);
      expect(mayRunAgain(doubted as InDoubt, 1e12)).toBe(false);
      expect(refusal(doubted, claimedAt(50))).toBe(refusal(doubtedOpaque, event(claim())));
    });

    test("a person clears it", () => {
      expect(reached(doubted, event(happened(1)))).toMatchObject({
        state: "SETTLED",
        receipt: { source: "resolved", effectClass: "transactional" },
      });
      expect(reached(doubted, event(notHappened(1)))).toMatchObject({ state: "FINAL" });
    });
  });

  test.each(losses)(
    "%s: its transaction can settle only what nobody has claimed since",
    (_n, loss) => {
      const free = reached(running, loss);
      expect(reached(free, event(settle(1)))).toMatchObject({
        state: "SETTLED",
        receipt: { source: "late", effectClass: "transactional", fence: 1 },
      });
      const second = reached(free, claimedAt(50, { requestId: requestId("r2") }));
      expect(second).toMatchObject({ state: "EXECUTING", claim: { fence: 2, earlierDoubt: null } });
      for (const word of [settle(1), doubt(1), release(1)])
        expect(refusal(second, event(word))).toBe("stale_fence");
      expect(refusal(reached(second, event(settle(2))), event(settle(1)))).toBe("stale_fence");
    },
  );

  test("a person has no doubt to resolve", () => {
    for (const [, loss] of losses) {
      for (const word of [happened(1), notHappened(1)])
        expect(refusal(reached(running, loss), event(word))).toBe("not_in_doubt");
    }
  });

  test("a lease ends in its time, and by an instant that is a number", () => {
    for (const at of [39, Number.NaN])
      expect(refusal(running, leaseEnded(at))).toBe("lease_running");
  });

  test("an earlier doubt is that of another class, and its terms hold: nothing frees it", () => {
    const lost = reached(absent, claimedAt(10, { terms: keyed(100) }), event(doubt(1), { at: 20 }));
    const again = reached(lost, claimedAt(30, { opens: false }));
    expect(again).toMatchObject({ claim: { fence: 2, terms: keyed(100) } });
    for (const loss of [leaseEnded(60), event(doubt(2), { at: 60 })])
      expect(reached(again, loss)).toMatchObject({ state: "IN_DOUBT", claim: { fence: 2 } });
    expect(reached(again, event(release(2)))).toMatchObject({
      state: "IN_DOUBT",
      doubt: { fence: 1 },
    });
  });

  test("what follows it stands for itself, on its own terms", () => {
    const next = reached(running, leaseEnded(40), claimedAt(50, { terms: opaque }));
    expect(reached(next, leaseEnded(80))).toMatchObject({ state: "IN_DOUBT", claim: { fence: 2 } });
  });

  test("a full journal never keeps it from being given back", () => {
    const full = { ...running, entries: limits.entriesPerCase };
    expect(reached(full, leaseEnded(40)).state).toBe("FINAL");
  });

  test("queued, it is due again at once", () => {
    for (const [, loss] of losses) {
      const lost = reached(absent, claimedAt(10, { intent: queued() }), loss);
      expect(lost).toMatchObject({ state: "FINAL", runAt: 40 });
    }
  });
});
