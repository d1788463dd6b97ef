import { type Arm, type Campaign, namedFailures, type Size } from "./campaign.ts";
import { bugs } from "./simulation/bugs.ts";
import { runSeeds } from "./simulation/crew.ts";
import { hunt } from "./simulation/hunt.ts";
import type { Bug } from "./simulation/plant.ts";
import { fewestFaults, totalOf, unlike } from "./simulation/total.ts";

interface Amount {
  readonly seeds: number;
  /** Seeds that are run a second time. */
  readonly twice: number;
  /** Bugs that are planted; the quick run takes a few, others with each seed. */
  readonly bugs: number;
}

const amounts: { readonly [Name in Size]: Amount } = {
  quick: { seeds: 2_000, twice: 100, bugs: 3 },
  full: { seeds: 150_000, twice: 1_000, bugs: bugs.length },
  release: { seeds: 1_000_000, twice: 1_000, bugs: bugs.length },
};

/** A planted bug must be found within so many seeds. */
const huntedSeeds = 50_000;

export const simulation: Campaign = {
  name: "simulation",
  about:
    "The real guard in simulated worlds of two or three processes, a store, clocks and callees, in which everything that can go wrong does by chance. One seed decides everything in a world; the promises P1 to P9 are asserted after each step by a checker that shares no code with the guard. Bugs that are planted into a copy of the sources must be found.",

  async run({ size, seed, progress }) {
    const amount = amounts[size];
    const planted = chosen(amount.bugs, seed);
    const all = amount.seeds + amount.twice;
    const told = (base: number, note: string) => (done: number) => progress(base + done, all, note);
    const arms: Arm[] = [
      await manySeeds(seed, amount.seeds, told(0, "seeds")),
      await twice(seed, amount.twice, told(amount.seeds, "seeds, twice")),
    ];
    for (const bug of planted) {
      progress(all, all, `planted: ${bug.name}`);
      arms.push(await plantedBug(bug, seed));
    }
    return { arms };
  },
};

async function manySeeds(
  from: number,
  seeds: number,
  progress: (done: number) => void,
): Promise<Arm> {
  const total = totalOf(await runSeeds({ from, seeds, stopsAtFault: false, progress }));
  const { broken, neverFired } = total;
  return {
    name: "the guard",
    role: "defence",
    runs: total.seeds,
    unit: "seeds",
    counts: {
      "promises broken": broken.length,
      faults: total.faults,
      "fewest faults in a seed": total.fewestFaults,
      "effects started": total.starts,
      "calls answered with a receipt": total.settled,
      "kinds of faults that never fired": neverFired.length,
    },
    asExpected:
      broken.length === 0 && neverFired.length === 0 && total.fewestFaults >= fewestFaults,
    failures: [
      ...broken.map((one) => `${one.fault}: npm run simulate -- --seed ${one.seed}`),
      ...neverFired.map((kind) => `never fired: ${kind}`),
    ].slice(0, namedFailures),
  };
}

async function twice(from: number, seeds: number, progress: (done: number) => void): Promise<Arm> {
  const options = { from, seeds, stopsAtFault: false };
  const half = (base: number) => (done: number) => progress((base + done) / 2);
  const once = await runSeeds({ ...options, progress: half(0) });
  const again = await runSeeds({ ...options, progress: half(seeds) });
  const differing = unlike(once, again, from);
  return {
    name: "each seed run twice, in two processes",
    role: "defence",
    runs: seeds,
    unit: "seeds",
    counts: { "seeds whose second run was another": differing.length },
    asExpected: differing.length === 0,
    failures: differing
      .slice(0, namedFailures)
      .map((seed) => `two runs differ: npm run simulate -- --from ${seed} --seeds 1 --twice`),
  };
}

async function plantedBug(bug: Bug, from: number): Promise<Arm> {
  const { seed, fault, seeds, seconds } = await hunt(bug, { from, seeds: huntedSeeds });
  const promise = fault?.split(":", 1)[0] ?? "";
  return {
    name: `planted: ${bug.name}`,
    role: "control",
    runs: seeds,
    unit: "seeds",
    counts: {
      ...(seed === null ? {} : { "found by seed": seed }),
      seconds: Math.round(seconds),
    },
    asExpected: seed !== null && bug.breaks.includes(promise),
    failures: seed !== null && bug.breaks.includes(promise) ? [] : [fault ?? "not found"],
  };
}

/** So many of the bugs; which ones, the seed says. */
function chosen(count: number, seed: number): readonly Bug[] {
  return Array.from(
    { length: count },
    (_, index) => bugs[(seed * count + index) % bugs.length] as Bug,
  );
}
