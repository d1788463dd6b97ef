import fc from "fast-check";
import type { Policy } from "../../src/core/policy.ts";
import type { Signal } from "../../src/core/signal.ts";
import type { Evidence } from "../../src/core/verdict.ts";
import { fingerprint } from "./samples.ts";

/** Random policies and evidence, small enough that agreement, ties and boundaries are common. */

export const sources = ["a", "b", "c", "d", "e"] as const;
export const outcomes = ["YES", "NO", "MAYBE"] as const;
const people = ["ann", "ben", "pat", "eve"] as const;

const quorum = fc.integer({ min: 1, max: 5 });
const share = fc.oneof(
  fc.constantFrom(
    1,
    333_333,
    333_334,
    500_000,
    500_001,
    600_000,
    666_666,
    666_667,
    750_000,
    800_000,
    1_000_000,
  ),
  fc.integer({ min: 1, max: 1_000_000 }),
);
const weight = fc.oneof(fc.integer({ min: 1, max: 4 }), fc.constantFrom(999_999, 1_000_000));
const weights = fc
  .uniqueArray(fc.constantFrom(...sources), { minLength: 1 })
  .chain((names) => fc.tuple(...names.map((name) => fc.tuple(fc.constant(name), weight))))
  .map((pairs): { readonly [source: string]: number } => Object.fromEntries(pairs));

const threshold: fc.Arbitrary<Policy> = fc.record({
  kind: fc.constant("threshold" as const),
  sharePpm: share,
  quorum,
  weights: fc.option(weights, { nil: null }),
  byConfidence: fc.boolean(),
});

/** Policies that ask for votes and nothing else. */
export const votePolicy: fc.Arbitrary<Policy> = fc.oneof(
  { weight: 3, arbitrary: threshold },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("majority" as const), quorum }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("unanimous" as const), quorum }) },
);

const approval: fc.Arbitrary<Policy> = fc.record({
  kind: fc.constant("approval" as const),
  need: fc.integer({ min: 1, max: 2 }),
  from: fc.option(fc.uniqueArray(fc.constantFrom(...people), { minLength: 2 }), { nil: null }),
  expiresInMs: fc.option(fc.integer({ min: 1, max: 4 }), { nil: null, freq: 2 }),
});

const simple = fc.oneof(
  { weight: 6, arbitrary: votePolicy },
  { weight: 2, arbitrary: approval },
  { weight: 1, arbitrary: fc.constant<Policy>({ kind: "manual" }) },
  { weight: 1, arbitrary: fc.constant<Policy>({ kind: "immediate" }) },
);

const nested = (part: fc.Arbitrary<Policy>): fc.Arbitrary<Policy> =>
  fc.record({
    kind: fc.constantFrom("all" as const, "any" as const),
    of: fc.array(part, { minLength: 1, maxLength: 3 }),
  });

export const policy: fc.Arbitrary<Policy> = fc.oneof(
  { weight: 3, arbitrary: simple },
  { weight: 2, arbitrary: nested(simple) },
  { weight: 1, arbitrary: nested(fc.oneof(simple, nested(simple))) },
);

/** Signals of different ids; several of one source, some at one instant. */
export const signals: fc.Arbitrary<readonly Signal[]> = fc
  .array(
    fc.record({
      source: fc.constantFrom(...sources),
      outcome: fc.constantFrom("YES", "YES", "NO", "MAYBE"),
      confidencePpm: fc.oneof(
        fc.constantFrom(0, 1, 500_000, 999_999, 1_000_000),
        fc.integer({ min: 0, max: 1_000_000 }),
      ),
      at: fc.integer({ min: 0, max: 2 }),
    }),
    { maxLength: 9 },
  )
  // Ids whose order is neither that of the times nor that of the list.
  .map((list) => list.map((said, index) => ({ ...said, signalId: `${(index * 7) % 10}` })));

/** A list in another order, with some of it twice. */
export function scattered<T>(list: readonly T[]): fc.Arbitrary<readonly T[]> {
  if (list.length === 0) return fc.constant(list);
  return fc.array(fc.integer({ min: 0, max: list.length - 1 }), { maxLength: 4 }).chain((again) => {
    const all = [...list, ...again.map((index) => list[index]!)];
    return fc.shuffledSubarray(all, { minLength: all.length });
  });
}

export const evidence: fc.Arbitrary<Evidence> = fc.record({
  signals,
  approvals: fc.uniqueArray(fc.constantFrom(...people)).chain((actors) =>
    fc.tuple(
      ...actors.map((actor) =>
        fc.record({
          actor: fc.constant(actor),
          approved: fc.constantFrom(true, true, true, false),
          fingerprint: fc.constantFrom(fingerprint("p"), fingerprint("p"), fingerprint("q")),
          note: fc.constant(null),
          at: fc.integer({ min: 9, max: 14 }),
        }),
      ),
    ),
  ),
  decision: fc.option(
    fc.record({
      outcome: fc.constantFrom(...outcomes),
      by: fc.constant("ana"),
      reason: fc.constant("seen"),
      at: fc.constant(0),
    }),
    { nil: null, freq: 3 },
  ),
  fingerprint: fc.constant(fingerprint("p")),
  proposer: fc.constant("pat"),
  openedAt: fc.constant(10),
});
