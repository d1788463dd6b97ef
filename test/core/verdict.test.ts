import { describe, expect, test } from "vitest";
import {
  all,
  any,
  majority,
  manual,
  type Policy,
  threshold,
  unanimous,
} from "../../src/core/policy.ts";
import type { Signal } from "../../src/core/signal.ts";
import { judge } from "../../src/core/verdict.ts";
import { naiveVerdict } from "../../src/testing/simulation/naive-verdict.ts";
import { sources } from "./arbitraries.ts";
import { nobody } from "./samples.ts";
import { brief, deliberationOf, walked } from "./walked.ts";

describe("every permutation of up to 6 signals gives the same verdict", () => {
  const said = (
    source: string,
    outcome: string,
    at: number,
    confidencePpm = 1_000_000,
  ): Signal => ({
    signalId: `${source}${outcome}${at}`,
    source,
    outcome,
    at,
    confidencePpm,
  });
  const sets: readonly (readonly Signal[])[] = [
    [said("a", "YES", 1), said("b", "NO", 1)],
    [said("a", "YES", 1), said("a", "NO", 1), said("b", "NO", 1)],
    [said("a", "YES", 1), said("b", "YES", 1), said("c", "NO", 1), said("c", "YES", 2)],
    [
      said("a", "YES", 1),
      said("b", "YES", 1),
      said("c", "NO", 1),
      said("d", "YES", 1),
      said("e", "NO", 1),
    ],
    [
      said("a", "YES", 1),
      said("a", "NO", 2),
      said("b", "NO", 1),
      said("b", "YES", 2),
      said("c", "YES", 1),
      said("c", "MAYBE", 1),
    ],
    [
      said("a", "YES", 3, 1),
      said("b", "NO", 1, 2),
      said("c", "YES", 1, 1),
      said("d", "NO", 2, 1),
      said("d", "YES", 2, 999_999),
      said("e", "YES", 2, 0),
    ],
  ];
  const policies: readonly Policy[] = [
    threshold({ share: 0.66, quorum: 3 }),
    threshold({ share: 0.6, quorum: 5 }),
    threshold({ share: 0.5, quorum: 2, byConfidence: true }),
    threshold({ share: 0.8, quorum: 1, weights: { a: 5, b: 1, c: 1 } }),
    majority({ quorum: 2 }),
    unanimous({ quorum: 2 }),
    all(majority({ quorum: 3 }), threshold({ share: 0.5, quorum: 1 })),
    any(unanimous({ quorum: 4 }), majority({ quorum: 3 })),
    manual(),
  ];

  test.each(sets.map((set) => ({ set, count: set.length })))("$count signals", ({ set }) => {
    const orders = permutations(set);
    for (const rule of policies) {
      const first = judge(rule, { ...nobody, signals: set });
      expect(brief(first)).toEqual(naiveVerdict(rule, { ...nobody, signals: set }));
      const texts = new Set(
        orders.map((order) => JSON.stringify(judge(rule, { ...nobody, signals: order }))),
      );
      expect([...texts]).toEqual([JSON.stringify(first)]);
    }
  });

  test("and so does the case, where each source speaks once and all are wanted", () => {
    const set = sources.map((source, index) => said(source, index < 4 ? "YES" : "NO", 1));
    const ends = permutations(set).map((order) => {
      const { kase } = walked(threshold({ share: 0.8, quorum: 5 }), [...order, ...order]);
      return JSON.stringify([kase.state, kase.version, deliberationOf(kase)?.verdict]);
    });
    expect(ends).toHaveLength(120);
    expect([...new Set(ends)]).toEqual([expect.stringContaining('"FINAL",6,')]);
  });
});

function permutations<T>(list: readonly T[]): readonly (readonly T[])[] {
  if (list.length === 0) return [[]];
  return list.flatMap((item, index) =>
    permutations([...list.slice(0, index), ...list.slice(index + 1)]).map((rest) => [
      item,
      ...rest,
    ]),
  );
}
