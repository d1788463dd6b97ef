import { describe, expect, test } from "vitest";
import { memoryStore, type Store } from "../../src/index.ts";
import { chanceOf } from "../../src/testing/chance.ts";
import { shrink } from "../../src/testing/simulation/shrink.ts";
import { simulate } from "../../src/testing/simulation/simulate.ts";

const seeds = Array.from({ length: 200 }, (_, index) => index + 1);

/** A store that takes any commit, whatever it was compared with: the defence off. */
function forgetful(clock: () => number): Store {
  const store = memoryStore({ clock });
  return {
    ...store,
    async commit(steps) {
      if (await store.commit(steps)) return true;
      const now = await Promise.all(
        steps.map(({ next: { namespace, caseId } }) =>
          store.read({ namespace, caseId, requestId: null }),
        ),
      );
      const forced = steps.map((step, index) => {
        const expected = now[index]!.stored?.case.version ?? 0;
        return { ...step, expected, next: { ...step.next, version: expected + 1 } };
      });
      return store.commit(forced);
    },
  };
}

describe("a simulated world", () => {
  test("keeps all promises", async () => {
    let started = 0;
    for (const seed of seeds) {
      const { fault, faults, starts } = await simulate({ seed });
      expect([seed, fault]).toEqual([seed, undefined]);
      expect(faults).toBeGreaterThanOrEqual(20);
      started += starts;
    }
    expect(started).toBeGreaterThan(seeds.length);
  });

  test("is the same for the same seed, and another for another", async () => {
    const hashes = new Set<string>();
    for (const seed of seeds.slice(0, 50)) {
      const { traceHash, trace } = await simulate({ seed, keepsTrace: true });
      const again = await simulate({ seed });
      expect(again.traceHash).toBe(traceHash);
      expect(again.trace).toEqual([]);
      expect(trace.length).toBeGreaterThan(10);
      hashes.add(traceHash);
    }
    expect(hashes.size).toBe(50);
  });

  test("control: a store that doesn't compare breaks them, and the schedule is cut down to what matters", async () => {
    let found = 0;
    for (const seed of seeds.slice(0, 20)) {
      const options = { seed, store: forgetful, keepsTrace: true };
      const run = await simulate(options);
      if (run.fault === undefined) continue;
      found += 1;
      if (found > 3) continue;
      const small = await shrink({ ...options, runs: 300 });
      expect(small.fault?.slice(0, 2)).toBe(run.fault.slice(0, 2));
      expect(small.acts.length).toBeLessThan(run.acts.length);
      const keep = new Set(small.acts.map((act) => act.id));
      const again = await simulate({ ...options, keep });
      expect([again.fault, again.traceHash]).toEqual([small.fault, small.traceHash]);
      // What is left all matters.
      for (const { id } of small.acts) {
        const fewer = new Set([...keep].filter((one) => one !== id));
        if (fewer.size === 0) continue;
        const without = await simulate({ ...options, keep: fewer });
        expect(without.fault?.slice(0, 2)).not.toBe(small.fault!.slice(0, 2));
      }
    }
    expect(found).toBeGreaterThan(10);
  });
});

describe("chance", () => {
  test("is decided by its seed, and streams don't disturb each other", () => {
    const draw = (chance: ReturnType<typeof chanceOf>) =>
      Array.from({ length: 20 }, () => chance.unit());
    expect(draw(chanceOf("a"))).toEqual(draw(chanceOf("a")));
    expect(draw(chanceOf("a"))).not.toEqual(draw(chanceOf("b")));
    const used = chanceOf("a");
    draw(used);
    expect(draw(used.fork("x"))).toEqual(draw(chanceOf("a").fork("x")));
    expect(draw(used.fork("y"))).not.toEqual(draw(used.fork("x")));
  });

  test("is even", () => {
    const chance = chanceOf("even");
    const counts = Array.from({ length: 10 }, () => 0);
    for (let index = 0; index < 100_000; index += 1) counts[chance.between(0, 9)]! += 1;
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(600);
    expect(() => chance.pick([])).toThrow("nothing to pick from");
  });
});
