import { describe, expect, test } from "vitest";
import { readRecord, recordText, withRuns } from "../../proof/record.ts";
import { arm, campaign, run } from "./campaigns.ts";

const stored = (change: (whole: Record<string, unknown>) => void): string => {
  const whole = JSON.parse(recordText([run()]));
  change(whole.runs[0]);
  return JSON.stringify(whole);
};

describe("the record", () => {
  test("is read as it was written", () => {
    const runs = [
      run(),
      run({
        campaign: "model",
        changed: true,
        findings: { arms: [arm({ role: "control", failures: ["seed 3"] })] },
      }),
    ];
    expect(readRecord(recordText(runs))).toEqual(runs);
    expect(readRecord(recordText([]))).toEqual([]);
  });

  test.each([
    ["[]", "it is not"],
    ['{"runs":{}}', "runs is not"],
    ['{"runs":[1]}', "runs[0] is not"],
    [stored((one) => delete one.seed), "runs[0].seed"],
    [stored((one) => Object.assign(one, { size: "huge" })), "runs[0].size"],
    [stored((one) => Object.assign(one, { changed: "no" })), "runs[0].changed"],
    [stored((one) => Object.assign(one, { findings: { arms: 3 } })), "runs[0].findings.arms"],
    [
      stored((one) => Object.assign(one, { findings: { arms: [{ ...arm(), role: "none" }] } })),
      "runs[0].findings.arms[0].role",
    ],
    // A count that is no number is written as null.
    [
      recordText([run({ findings: { arms: [arm({ counts: { score: Number.NaN } })] } })]),
      "runs[0].findings.arms[0].counts.score",
    ],
  ])("%s is refused", (text, says) => {
    expect(() => readRecord(text)).toThrow(says);
  });

  test("keeps each campaign's latest run, in the order of the campaigns", () => {
    const order = [campaign("model"), campaign("damage"), campaign("mutation")];
    const kept = [
      run({ campaign: "mutation", seed: 1 }),
      run({ campaign: "given-up", seed: 1 }),
      run({ campaign: "model", seed: 1 }),
    ];
    const fresh = [run({ campaign: "model", seed: 2 })];
    const latest = withRuns(kept, fresh, order).map((one) => [one.campaign, one.seed]);
    expect(latest).toEqual([
      ["model", 2],
      ["mutation", 1],
    ]);
  });
});
