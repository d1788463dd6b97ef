import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Absent, Case } from "../../src/core/case.ts";
import type { Happening } from "../../src/core/event.ts";
import { approval, threshold } from "../../src/core/policy.ts";
import { transition } from "../../src/core/transition.ts";
import { happenings, instants } from "./clocks.ts";
import {
  absent,
  approve,
  claim,
  deny,
  doubt,
  event,
  intent,
  keyed,
  opaque,
  open,
  probeable,
  reached,
  right,
  settle,
  vote,
} from "./samples.ts";

/** P9: no clock value can break P1–P8. Every event carries any instant at all, in any order. */

/** What is so outside, of an opaque case: how many claims were given that nobody has proved to be without effect. */
interface Model {
  unproved: number;
  ended: boolean;
}
interface Real {
  kase: Case | Absent;
}

class Happens implements fc.Command<Model, Real> {
  readonly happening: Happening;
  readonly at: number;
  constructor(happening: Happening, at: number) {
    this.happening = happening;
    this.at = at;
  }
  check(): boolean {
    return true;
  }
  run(model: Model, real: Real): void {
    const { happening, at } = this;
    const answer = transition(real.kase, event(happening, { at }));
    if (!answer.ok) return;
    const before = real.kase;
    real.kase = answer.next;
    expect(model.ended && answer.next.state !== before.state, "an end was left").toBe(false);
    if (happening.type === "claim") {
      expect(model.unproved, "a second claim beside one that may have had its effect").toBe(0);
      model.unproved += 1;
    }
    // What proves that nothing happened, and nothing else does. An opaque case can't be probed.
    if (happening.type === "release" || happening.type === "resolve") model.unproved = 0;
    if (answer.next.state === "FINAL" || answer.next.state === "VOID") {
      expect(model.unproved, `${happening.type} freed a claim that may have had its effect`).toBe(
        0,
      );
    }
    if (answer.next.state === "SETTLED" && !model.ended) expect(happening.type).toBe("settle");
    model.ended = answer.next.state === "SETTLED" || answer.next.state === "VOID";
  }
  toString(): string {
    return `${JSON.stringify(this.happening)} at ${this.at}`;
  }
}

describe("P9: no clock value can break P1–P8", () => {
  test("10,000 histories under any clock: an opaque case is claimed again only once it is proved that nothing happened", () => {
    const commands = fc.commands(
      [fc.tuple(happenings, instants).map(([happening, at]) => new Happens(happening, at))],
      { maxCommands: 40, size: "max" },
    );
    const met = { claims: 0, doubts: 0, again: 0 };
    const property = fc.property(commands, (list) => {
      const setup = () => ({
        model: { unproved: 0, ended: false },
        real: { kase: absent as Case | Absent },
      });
      const real: Real = { kase: absent };
      fc.modelRun(() => ({ ...setup(), real }), list);
      if (real.kase.state === "ABSENT") return;
      met.claims += 1;
      if (real.kase.state === "IN_DOUBT") met.doubts += 1;
      if ("claim" in real.kase && real.kase.claim.fence > 1) met.again += 1;
    });
    fc.assert(property, { numRuns: 10_000 });
    console.log(`walked 10,000 histories under any clock: ${JSON.stringify(met)}`);
    expect(Math.min(...Object.values(met))).toBeGreaterThan(100);
  });

  test("a lease that has ended never frees an opaque case, at any instant", () => {
    const property = fc.property(instants, instants, instants, (leaseUntil, over, later) => {
      const running = reached(absent, event(claim({ leaseUntil, terms: opaque })));
      const ended = transition(running, event({ type: "lease_ended" }, { at: over }));
      const kase = ended.ok ? ended.next : running;
      expect(["EXECUTING", "IN_DOUBT"]).toContain(kase.state);
      expect(transition(kase, event(claim(), { at: later })).ok).toBe(false);
      expect(transition(kase, event({ type: "lease_ended" }, { at: later }))).not.toMatchObject({
        next: { state: "FINAL" },
      });
    });
    fc.assert(property, { numRuns: 5_000 });
  });

  test("a verdict, an end and a receipt are the same under every clock", () => {
    const property = fc.property(fc.infiniteStream(instants), (clock) => {
      const at = () => ({ at: clock.next().value ?? 0 });
      const voted = reached(
        absent,
        event(open(threshold({ share: 0.8, quorum: 2 }), { outcomes: ["YES", "NO"] }), at()),
        event(vote("a", "YES"), at()),
        event(vote("b", "YES"), at()),
        event(claim(), at()),
        event(settle(1), at()),
      );
      expect(voted).toMatchObject({
        state: "SETTLED",
        deliberation: { verdict: { outcome: "YES" } },
        receipt: { effect: "once", fence: 1, outcome: "YES" },
      });
    });
    fc.assert(property, { numRuns: 2_000 });
  });

  test("no instant gives an approval that nobody gave, or takes a denial back", () => {
    const words = fc.constantFrom<Happening>(
      deny(right),
      { type: "expire" },
      { type: "lease_ended" },
      approve('"q"'),
    );
    const property = fc.property(
      fc.array(fc.tuple(words, instants), { maxLength: 6 }),
      instants,
      (list, opening) => {
        let kase: Case | Absent = reached(
          absent,
          event(open(approval({ expiresIn: 50 }), { intent: intent() }), { at: opening }),
        );
        for (const [happening, at] of list) {
          const answer = transition(kase, event(happening, { at, by: "ann" }));
          if (answer.ok) kase = answer.next;
          expect(["OPEN", "VOID"]).toContain(kase.state);
        }
      },
    );
    fc.assert(property, { numRuns: 2_000 });
  });

  test("a key or a settling time that a clock jumps over ends in a claim with a new fence, or in none", () => {
    const property = fc.property(
      fc.constantFrom(keyed(100), keyed(100, 10), probeable(10)),
      instants,
      instants,
      (terms, doubtAt, at) => {
        const kase = reached(absent, event(claim({ terms })), event(doubt(1), { at: doubtAt }));
        const answer = transition(kase, event(claim(), { at }));
        if (!answer.ok) {
          expect(answer.refusal).toBe("in_doubt");
          return;
        }
        expect(terms.class).toBe("keyed");
        expect(answer.next).toMatchObject({
          state: "EXECUTING",
          claim: { fence: 2, firstStartedAt: 0 },
        });
      },
    );
    fc.assert(property, { numRuns: 2_000 });
  });
});
