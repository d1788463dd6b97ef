import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Case, Final } from "../../src/core/case.ts";
import type { Event } from "../../src/core/event.ts";
import { approval, immediate, manual } from "../../src/core/policy.ts";
import { dueAt } from "../../src/core/store.ts";
import { instants } from "./clocks.ts";
import {
  absent,
  approve,
  claim,
  doubt,
  event,
  intent,
  notHappened,
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

const opened = event(open(immediate(), { intent: queued() }), { at: 5 });
const decided: Event = event({ type: "decide", outcome: "YES", reason: "seen" }, { at: 7 });
const undecided = event(open(manual(), { outcomes: ["YES"], intent: queued() }), { at: 5 });
const running = reached(absent, opened, event(claim({ intent: queued() }), { at: 10 }));

describe("a queued case that becomes FINAL is due for its workers from that instant on", () => {
  const lost = reached(
    absent,
    event(claim({ intent: queued(), terms: probeable(5) }), { at: 5 }),
    event(doubt(1), { at: 10 }),
  );
  test.each<[string, Case, runAt: number]>([
    ["opened", reached(absent, opened), 5],
    ["decided by a person", reached(absent, undecided, decided), 7],
    [
      "approved",
      reached(
        absent,
        event(open(approval(), { intent: queued() })),
        event(approve(right), { by: "ann", at: 8 }),
      ),
      8,
    ],
    ["given back", reached(running, event(release(1), { at: 12 })), 12],
    [
      "found absent",
      reached(lost, event({ type: "probed", fence: 1, found: { answer: "absent" } }, { at: 15 })),
      15,
    ],
    ["resolved as not happened", reached(lost, event(notHappened(1), { at: 16 })), 16],
    [
      "queued after it was decided",
      reached(
        absent,
        event(open(manual(), { outcomes: ["YES"] })),
        decided,
        event(open(manual(), { intent: queued() }), { at: 20 }),
      ),
      20,
    ],
    ["given back by a clock that went back", reached(running, event(release(1), { at: 1 })), 1],
  ])("%s", (_name, kase, runAt) => {
    expect(kase).toMatchObject({ state: "FINAL", runAt });
    expect(dueAt(kase)).toBe(runAt);
  });

  test("and is listed nowhere before, while it runs, and after", () => {
    expect(dueAt(reached(absent, undecided))).toBe(null);
    expect(dueAt(running)).toBe(100);
    expect(dueAt(reached(running, event(settle(1))))).toBe(null);
    expect(dueAt(reached(running, event(release(1, true, 50))))).toBe(null);
  });

  test("what else it is told moves nothing", () => {
    const kase = reached(absent, undecided, decided);
    const { fingerprint } = intent();
    const told = [
      event({ type: "ask", requestId: requestId("r9"), fingerprint }, { at: 90 }),
      event(vote("a", "YES"), { at: 90 }),
    ];
    expect(reached(kase, ...told)).toMatchObject({ state: "FINAL", runAt: 7 });
  });
});

describe("a case that nobody queued is never due for workers", () => {
  test.each<[string, Case]>([
    ["opened", reached(absent, event(open(immediate(), { intent: intent() })))],
    ["opened, without an action", reached(absent, event(open(immediate())))],
    ["given back", reached(absent, event(claim()), event(release(1, false, 50), { at: 12 }))],
  ])("%s", (_name, kase) => {
    expect(kase).toMatchObject({ state: "FINAL", runAt: null });
    expect(dueAt(kase)).toBe(null);
  });
});

describe("a release puts the next try off", () => {
  const freed = (at: number, retryAt: number | null) =>
    reached(running, event(release(1, false, retryAt), { at })) as Final;

  test.each([
    [12, null, 12],
    [12, 50, 50],
    [12, 12, 12],
    [12, 11, 12],
    [12, -1, 12],
    [12, Number.NaN, 12],
    [12, Number.POSITIVE_INFINITY, 12],
    [12, Number.NEGATIVE_INFINITY, 12],
  ])("given back at %j, to be tried at %j: due at %i", (at, retryAt, runAt) => {
    expect(freed(at, retryAt).runAt).toBe(runAt);
  });

  test("by no instant for ever, nor to before it was given back", () => {
    const property = fc.property(fc.integer(), instants, (at, retryAt) => {
      const { runAt } = freed(at, retryAt);
      expect(Number.isFinite(runAt)).toBe(true);
      expect(runAt).toBeGreaterThanOrEqual(at);
    });
    fc.assert(property, { numRuns: 2_000 });
  });

  test("and not where the effect is in doubt: a worker has nothing to try", () => {
    const lost = reached(running, event(doubt(1), { at: 20 }));
    expect(dueAt(lost)).toBe(null);
    expect(reached(lost, event(release(1, false, 50), { at: 21 }))).toMatchObject({ runAt: 50 });
  });
});

describe("who queued it is settled with what is to run", () => {
  test("a second opening by another request, or by none, is a repeat, and not a conflict", () => {
    const kase = reached(absent, opened);
    for (const other of [queued("p", "r2"), intent(), queued()])
      expect(refusal(kase, event(open(immediate(), { intent: other })))).toBe("unchanged");
    const plain = reached(absent, event(open(immediate(), { intent: intent() })));
    expect(refusal(plain, opened)).toBe("unchanged");
    expect(refusal(kase, event(open(immediate(), { intent: queued("q") })))).toBe(
      "payload_conflict",
    );
  });

  test("a claim keeps what the case holds, whatever it brings", () => {
    for (const brought of [intent(), queued("p", "r2")]) {
      const claimed = reached(absent, opened, event(claim({ intent: brought })));
      expect(claimed).toMatchObject({ state: "EXECUTING", intent: queued() });
    }
    const plain = event(open(immediate(), { intent: intent() }));
    const claimed = reached(absent, plain, event(claim({ intent: queued() })));
    expect(reached(claimed, event(release(1, false, 50)))).toMatchObject({
      intent: { queued: null },
      runAt: null,
    });
  });

  test("a claim that opens the case brings it", () => {
    const claimed = reached(absent, event(claim({ intent: queued() })));
    expect(claimed).toMatchObject({ state: "EXECUTING", intent: queued() });
    expect(reached(claimed, event(release(1), { at: 9 }))).toMatchObject({ runAt: 9 });
  });
});
