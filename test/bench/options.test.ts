import { expect, test } from "vitest";
import { optionsOf } from "../../bench/options.ts";
import { plan, secondsOf } from "../../bench/plan.ts";

const places = { folder: "/nowhere", server: { url: "postgres://nowhere/postgres", pid: 1 } };

const secondsIn = (args: readonly string[]): number => {
  const options = optionsOf(args);
  if (options === "help") return 0;
  return plan(options, places).reduce((sum, task) => sum + secondsOf(task), 0);
};

test("a run takes no longer than it says", () => {
  expect(secondsIn([])).toBeLessThan(12 * 60);
  expect(secondsIn(["--quick"])).toBeLessThan(90);
});

test("parts and stores can be chosen", () => {
  const options = optionsOf(["--only", "replay", "--stores", "memory", "--rounds", "2"]);
  expect(options).toMatchObject({ parts: ["replay"], stores: ["memory"], rounds: 2 });
  const tasks = options === "help" ? [] : plan(options, places);
  expect(tasks).toHaveLength(2 * 4);
  expect(tasks.every((task) => task.kind === "measure" && task.system === "memory")).toBe(true);
});

test("Postgres is measured on request, and a million receipts on another one", () => {
  const tasksOf = (args: readonly string[]) => {
    const options = optionsOf(args);
    return options === "help" ? [] : plan(options, places);
  };
  const onServer = (args: readonly string[]) =>
    tasksOf(args).filter(({ path }) => path.startsWith("postgres:"));
  expect(onServer([])).toEqual([]);
  const tasks = onServer(["--stores", "postgres"]);
  expect(tasks).toEqual(tasksOf(["--stores", "postgres"]));
  expect(tasks.map((task) => (task.kind === "prefill" ? task.receipts : 0))).toContain(1e5);
  expect(tasks.some((task) => task.kind === "prefill" && task.receipts === 1e6)).toBe(false);
  const million = onServer(["--stores", "postgres", "--only", "growth", "--receipts", "1e6"]);
  expect(million.every((task) => task.kind === "prefill" || task.receipts === 1e6)).toBe(true);
  expect(million).toHaveLength(1 + 3);
  const twice = onServer(["--stores", "postgres", "--only", "processes", "--rounds", "1"]);
  expect(twice).toMatchObject([{ processes: 1 }, { processes: 2 }]);
});

test("each round begins with another system", () => {
  const options = optionsOf(["--only", "fresh", "--rounds", "3"]);
  const tasks = options === "help" ? [] : plan(options, places);
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
