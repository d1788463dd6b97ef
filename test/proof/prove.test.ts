import { describe, expect, test } from "vitest";
import type { Arm, Campaign, CampaignOptions } from "../../proof/campaign.ts";
import { holds, type Proved, scoreOf } from "../../proof/judge.ts";
import { prove } from "../../proof/prove.ts";
import { arm, campaign } from "./campaigns.ts";

async function proved(campaigns: readonly Campaign[]) {
  const lines: string[] = [];
  const told: string[] = [];
  const all = await prove(campaigns, {
    size: "quick",
    seed: 17,
    print: (line) => void lines.push(line),
    screen: { write: () => true },
    done: ({ name }, { campaign }) => void told.push(`${name} ${campaign}`),
  });
  return { all, told, printed: lines.join("\n"), score: scoreOf(all) };
}

const withArms = (...arms: readonly Arm[]) => campaign("some", { run: async () => ({ arms }) });

describe("the harness", () => {
  test("runs campaigns one after the other, each with the size and the seed", async () => {
    const seen: string[] = [];
    const one = (name: string) =>
      campaign(name, {
        run: async ({ size, seed }: CampaignOptions) => {
          seen.push(`${name} from ${size} ${seed}`);
          await new Promise((resolve) => setImmediate(resolve));
          seen.push(`${name} ended`);
          return { arms: [arm()] };
        },
      });
    const { score, told } = await proved([one("a"), one("b")]);
    expect(seen).toEqual(["a from quick 17", "a ended", "b from quick 17", "b ended"]);
    expect(told).toEqual(["a a", "b b"]);
    expect(score).toEqual({ passed: 2, failed: 0 });
  });

  test("counts a campaign that breaks off as failed, and goes on", async () => {
    const breaks = campaign("breaks", { run: () => Promise.reject(new Error("no disk")) });
    const throws = campaign("throws", {
      run: () => {
        throw new Error("at once");
      },
    });
    const { score, printed } = await proved([breaks, throws, campaign("goes on")]);
    expect(score).toEqual({ passed: 1, failed: 2 });
    expect(printed).toContain("FAILED  broke off: Error: no disk");
    expect(printed).toContain("at once");
  });

  test("counts a campaign that can't run here as failed, and doesn't start it", async () => {
    let started = 0;
    const hindered = campaign("hindered", {
      hindrance: () => "install spin",
      run: async () => {
        started += 1;
        return { arms: [arm()] };
      },
    });
    const { score, printed } = await proved([hindered]);
    expect(score).toEqual({ passed: 0, failed: 1 });
    expect(printed).toContain("FAILED  can't run here: install spin");
    expect(started).toBe(0);
  });

  test("counts an error that a campaign left unhandled as its failure", async () => {
    const careless = campaign("careless", {
      run: async () => {
        void Promise.reject(new Error("nobody looks"));
        return { arms: [arm()] };
      },
    });
    const hangs = campaign("hangs", {
      run: () => {
        void Promise.reject(new Error("and then waits"));
        return new Promise(() => {});
      },
    });
    const { score, printed } = await proved([careless, hangs, campaign("next")]);
    expect(score).toEqual({ passed: 1, failed: 2 });
    expect(printed).toContain("nobody looks");
    expect(printed).toContain("and then waits");
  });

  test("names every failure of an arm that is not as expected, and one of a control that is", async () => {
    const { printed, score } = await proved([
      withArms(
        arm({ asExpected: false, failures: ["seed 17", "seed 19"] }),
        arm({ role: "control", failures: ["doubled", "doubled again"] }),
      ),
    ]);
    expect(score).toEqual({ passed: 1, failed: 1 });
    expect(printed).toContain("FAILED  defence  killed at a named point: 2,000 kills");
    expect(printed).toContain("seed 17");
    expect(printed).toContain("seed 19");
    expect(printed).toContain("doubled");
    expect(printed).not.toContain("doubled again");
  });
});

describe("the score", () => {
  const found = (...arms: readonly Arm[]): Proved => ({
    campaign: "some",
    seconds: 1,
    findings: { arms },
  });

  test("is counted by arms", () => {
    const all = [found(arm(), arm(), arm({ asExpected: false })), found(arm())];
    expect(scoreOf(all)).toEqual({ passed: 3, failed: 1 });
  });

  test("takes an arm that ran nothing for a failure, whatever it says", () => {
    expect(holds(arm({ runs: 0 }))).toBe(false);
    expect(scoreOf([found(arm({ runs: 0 }))])).toEqual({ passed: 0, failed: 1 });
  });

  test("takes a campaign without arms for a failure", () => {
    expect(scoreOf([found()])).toEqual({ passed: 0, failed: 1 });
  });
});
