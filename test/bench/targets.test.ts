import { expect, test } from "vitest";
import { type Measurement, pairedRatio, summarize } from "../../bench/measurement.ts";
import { judge, type Target, targets } from "../../bench/targets.ts";

const one: Measurement = {
  phase: "fresh",
  system: "sqlite",
  callers: 256,
  processes: 1,
  receipts: 0,
  round: 1,
  calls: 1_000,
  perSecond: 600,
  p50Ms: 1,
  p99Ms: 2,
  cpuMicros: 50,
  serverCpuMicros: 0,
  walBytes: 0,
  delayP50Ms: 1,
  delayP99Ms: 6.5,
  delayFloorMs: 1,
  othersShare: 0,
};
const bare: Measurement = { ...one, system: "bare", perSecond: 1_000 };

function judged(says: RegExp, measurements: readonly Measurement[]) {
  const target = targets.find((candidate) => says.test(candidate.says)) as Target;
  const { measured, verdict } = judge(target, measurements);
  return [measured, verdict];
}

test("a ratio is met from its bound on", () => {
  const atLeast = /256 callers: SQLite \/ \(a\)/;
  expect(judged(atLeast, [one, bare])).toEqual(["0.60", "met"]);
  expect(judged(atLeast, [{ ...one, perSecond: 599 }, bare])).toEqual(["0.60", "NOT MET"]);
  expect(judged(atLeast, [one])).toEqual(["", "not measured"]);
});

test("a delay is met up to its bound, above the meter's floor", () => {
  const atMost = /delay p99, SQLite fresh, 256/;
  expect(judged(atMost, [one])).toEqual(["5.5 ms", "met"]);
  expect(judged(atMost, [{ ...one, delayP99Ms: 7.1 }])).toEqual(["6.1 ms", "NOT MET"]);
});

test("growth compares stores of different sizes", () => {
  const rounds = [
    { ...one, receipts: 1e3 },
    { ...one, receipts: 1e6, perSecond: 300 },
  ];
  expect(judged(/fresh, 256 callers: at 10\^6/, rounds)).toEqual(["0.50", "NOT MET"]);
});

test("ratios are taken round by round, then their median", () => {
  const rounds = [1, 2, 3].flatMap((round) => [
    { ...one, round, perSecond: 100 * round },
    { ...bare, round, perSecond: 100 * round * round },
  ]);
  expect(pairedRatio([...rounds, { ...one, round: 4 }], one, bare)).toBe(1 / 2);
});

test("a summary has medians and the spread", () => {
  const rounds = [500, 900, 600].map((perSecond, index) => ({
    ...one,
    perSecond,
    round: index + 1,
  }));
  expect(summarize(rounds, one)).toMatchObject({
    rounds: 3,
    perSecond: 600,
    perSecondLeast: 500,
    perSecondMost: 900,
    delayP99Ms: 5.5,
  });
  expect(summarize(rounds, bare)).toBeUndefined();
});
