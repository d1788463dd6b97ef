import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Absent, Case } from "../../src/core/case.ts";
import type { Happening } from "../../src/core/event.ts";
import type { EffectTerms } from "../../src/core/receipt.ts";
import { transition } from "../../src/core/transition.ts";
import { fences, happenings, instants } from "./clocks.ts";
import {
  absent,
  claim,
  doubt,
  event,
  idempotent,
  intent,
  keyed,
  opaque,
  probeable,
  reached,
  release,
  requestId,
  transactional,
} from "./samples.ts";
import { asIf, isHeld, leading } from "./search/planting.ts";
import type { Machine } from "./search/world.ts";

type Told = readonly [happening: Happening, at: number];

/** What an effect of any class may be told, under any clock. */
const histories: fc.Arbitrary<readonly Told[]> = fc.array(
  fc.tuple(
    fc.oneof(
      {
        weight: 3,
        arbitrary: fc
          .constantFrom(
            opaque,
            idempotent,
            keyed(100),
            keyed(1e15, 10),
            probeable(10),
            transactional,
          )
          .map((terms) => claim({ terms })),
      },
      {
        weight: 3,
        arbitrary: fc.oneof(
          fences.map((fence) => doubt(fence)),
          fc.tuple(fences, fc.boolean()).map(([fence, final]) => release(fence, final)),
        ),
      },
      happenings,
    ),
    instants,
  ),
  { maxLength: 40, size: "max" },
);

/** Says what is wrong with a history: which claims nobody has proved to be without effect, and on what terms. */
function wrong(machine: Machine, history: readonly Told[], met = { reruns: 0, back: 0 }) {
  let kase: Case | Absent = absent;
  let unproved = new Set<number>();
  let terms: EffectTerms = opaque;
  for (const [happening, at] of history) {
    const answer = machine(kase, event(happening, { at }));
    if (!answer.ok) continue;
    const { next } = answer;
    if (happening.type === "claim" && next.state === "EXECUTING") {
      const isRerun = unproved.size > 0;
      if (isRerun && (terms.class === "opaque" || terms.class === "probeable"))
        return `${terms.class} ran again`;
      if (!isRerun) terms = happening.terms;
      if (JSON.stringify(next.claim.terms) !== JSON.stringify(terms)) return "other terms";
      unproved.add(next.claim.fence);
      if (isRerun) met.reruns += 1;
    }
    // A claim speaks for itself; a probe and a person speak for all.
    if (happening.type === "release") unproved.delete(happening.fence);
    // What a transaction wrote is committed with its receipt, or not at all.
    if (terms.class === "transactional" && next.state !== "SETTLED") unproved.clear();
    if (terms.class === "transactional" && next.state === "IN_DOUBT")
      return "a transactional effect in doubt";
    if (happening.type === "resolve") unproved = new Set();
    if (happening.type === "probed" && happening.found.answer === "absent") unproved = new Set();
    if (happening.type === "release" && unproved.size > 0) met.back += 1;
    if ((next.state === "FINAL" || next.state === "VOID") && unproved.size > 0)
      return `${happening.type} freed a claim that may have had its effect`;
    if (next.state === "SETTLED" || next.state === "VOID") return undefined;
    kase = next;
  }
  return undefined;
}

describe("P9, for an effect of any class", () => {
  test("10,000 histories under any clock: what one claim says of itself never clears the doubt about another", () => {
    const met = { reruns: 0, back: 0 };
    const property = fc.property(histories, (history) => {
      expect(wrong(transition, history, met)).toBeUndefined();
    });
    fc.assert(property, { numRuns: 10_000 });
    console.log(`walked 10,000 histories of any class: ${JSON.stringify(met)}`);
    expect(Math.min(...Object.values(met))).toBeGreaterThan(100);
  });

  test.each<[string, Machine]>([
    [
      "a re-run that did not happen frees the case",
      asIf((before, event) =>
        isHeld(before) && event.type === "release"
          ? { ...before, claim: { ...before.claim, earlierDoubt: null } }
          : undefined,
      ),
    ],
    [
      "the terms change on a re-claim",
      leading((next, event) =>
        next.state === "EXECUTING" && event.type === "claim"
          ? { ...next, claim: { ...next.claim, terms: event.terms } }
          : undefined,
      ),
    ],
  ])("finds the planted bug: %s", (_name, machine) => {
    const property = fc.property(histories, (history) => wrong(machine, history) === undefined);
    expect(fc.check(property, { numRuns: 10_000 }).failed).toBe(true);
  });
});

describe("a key that the case knows to be dead stays dead, whatever a clock says", () => {
  const between: fc.Arbitrary<readonly Told[]> = fc.array(
    fc.tuple(
      fc.oneof(
        happenings.filter(({ type }) => type !== "resolve" && type !== "release"),
        fc.constant<Happening>({
          type: "ask",
          requestId: requestId("r9"),
          fingerprint: intent().fingerprint,
        }),
      ),
      instants,
    ),
    { minLength: 1, maxLength: 4 },
  );
  const staysDead = (machine: Machine, meanwhile: fc.Arbitrary<readonly Told[]>) =>
    fc.property(
      fc.nat(100),
      fc.nat(1_000),
      meanwhile,
      instants,
      (started, over, history, again) => {
        const running = reached(absent, event(claim({ terms: keyed(100) }), { at: started }));
        let kase = reached(running, event(doubt(1), { at: started + 100 + over }));
        for (const [happening, at] of history) {
          const answer = machine(kase, event(happening, { at }));
          if (answer.ok) kase = answer.next;
        }
        if (kase.state === "SETTLED") return;
        // Whatever happened meanwhile, nobody has run again, and nobody does.
        expect(kase).toMatchObject({ state: "IN_DOUBT", claim: { fence: 1 } });
        expect(machine(kase, event(claim(), { at: again }))).toEqual({
          ok: false,
          refusal: "in_doubt",
        });
      },
    );

  test("at once", () => fc.assert(staysDead(transition, fc.constant([])), { numRuns: 5_000 }));

  // A defect, reported: an ask, a late signal or a probe at an earlier instant makes the case forget what it knew.
  test("and after whatever else it was told", () => {
    fc.assert(staysDead(transition, between), { numRuns: 5_000 });
  });

  test("finds the planted bug: a clock that goes back revives a key", () => {
    const machine = asIf((before, event) =>
      before.state === "IN_DOUBT" && event.type === "claim"
        ? {
            ...before,
            updatedAt: Number.NEGATIVE_INFINITY,
            doubt: { ...before.doubt, since: Number.NEGATIVE_INFINITY },
          }
        : undefined,
    );
    expect(fc.check(staysDead(machine, fc.constant([])), { numRuns: 5_000 }).failed).toBe(true);
  });
});
