import { expect, test } from "vitest";
import { optionsOf } from "../../bench/options.ts";
import { plan, secondsOf } from "../../bench/plan.ts";

const secondsIn = (args: readonly string[]): number => {
  const options = optionsOf(args);
  if (options === "help") return 0;
  return plan(options, "/nowhere").reduce((sum, task) => sum + secondsOf(task), 0);
};

test("a run takes no longer than it says", () => {
  expect(secondsIn([])).toBeLessThan(12 * 60);
  expect(secondsIn(["--quick"])).toBeLessThan(90);
});

test("parts and stores can be chosen", () => {
  const options = optionsOf(["--only", "replay", "--stores", "memory", "--rounds", "2"]);
  expect(options).toMatchObject({ parts: ["replay"], stores: ["memory"], rounds: 2 });
  const tasks = options === "help" ? [] : plan(options, "/nowhere");
  expect(tasks).toHaveLength(2 * 4);
  expect(tasks.every((task) => task.kind === "measure" && task.system === "memory")).toBe(true);
});

test("each round begins with another system", () => {
  const options = optionsOf(["--only", "fresh", "--rounds", "3"]);
  const tasks = options === "help" ? [] : plan(options, "/nowhere");
  const firsts = [1, 2, 3].map((round) =>
    tasks.find((t) => t.kind === "measure" && t.round === round),
  );
  expect(firsts).toMatchObject([{ system: "memory" }, { system: "sqlite" }, { system: "bare" }]);
});

test.each([
  ["--rounds", "0"],
  ["--rounds", "1.5"],
  ["--seconds", "soon"],
  ["--only", "speed"],
  ["--best"],
])("refuses %s %s", (...args) => expect(() => optionsOf(args)).toThrow());
