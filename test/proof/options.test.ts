import { describe, expect, test } from "vitest";
import { optionsOf, usageOf } from "../../proof/options.ts";

const names = ["model", "simulation", "crash-lab"];
const read = (...args: readonly string[]) => optionsOf(args, names);

const plain = { size: "full", seed: 1, only: names, write: false, anyway: false };

describe("the options of npm run prove", () => {
  test.each([
    [[], plain],
    [["--quick"], { ...plain, size: "quick" }],
    [["--release"], { ...plain, size: "release" }],
    [["--size", "quick"], { ...plain, size: "quick" }],
    [["--seed", "17"], { ...plain, seed: 17 }],
    [["--only", "crash-lab,model"], { ...plain, only: ["model", "crash-lab"] }],
    [["--write", "--anyway"], { ...plain, write: true, anyway: true }],
  ])("%j", (args, options) => {
    expect(read(...args)).toEqual(options);
  });

  test.each([
    [["--size", "huge"], "--size takes quick, full, release."],
    [["--quick", "--release"], "Give one size."],
    [["--seed", "1.5"], "--seed must be a whole number"],
    [["--seed=-1"], "--seed must be a whole number"],
    [["--seed", ""], "--seed must be a whole number"],
    [["--only", "models"], 'No campaign "models": there are model, simulation, crash-lab.'],
    [["--only", ""], 'No campaign ""'],
    [["--fast"], "--fast"],
    [["model"], "model"],
  ])("%j is refused", (args, says) => {
    expect(() => read(...args)).toThrow(says);
  });

  test("help names the campaigns", () => {
    expect(read("--help")).toBe("help");
    expect(usageOf(names)).toContain("model,simulation,crash-lab");
  });
});
