import { expect, test } from "vitest";
import type { Options } from "../../proof/options.ts";
import { runOf, withoutFolders } from "../../proof/run.ts";
import type { Tree } from "../../proof/tree.ts";
import { arm, campaign } from "./campaigns.ts";

const options: Options = { size: "quick", seed: 17, only: [], write: true, anyway: false };
const tree: Tree = { commit: "abc", changed: [] };
const proved = { campaign: "model", seconds: 3.2, findings: { arms: [arm()] } };
const machine = "2 cores";

const run = (change: Partial<Options>, began = tree, now: Tree = tree) =>
  runOf(
    campaign("model"),
    proved,
    { options: { ...options, ...change }, machine, tree: began },
    now,
  );

test("what is kept says how to run the same again", () => {
  expect(run({})).toEqual({
    campaign: "model",
    about: "What model does.",
    size: "quick",
    seed: 17,
    commit: "abc",
    changed: false,
    date: expect.stringMatching(/^\d{4}-\d\d-\d\d$/),
    node: process.version,
    machine,
    seconds: 3.2,
    command: "npm run prove -- --only model --quick --seed 17",
    findings: { arms: [arm()] },
  });
  expect(run({ size: "full" }).command).toBe("npm run prove -- --only model --seed 17");
});

test("nothing is kept of files that were changed, or committed, while it ran", () => {
  expect(() => run({}, tree, { commit: "abc", changed: ["a.ts"] })).toThrow("(a.ts)");
  expect(() => run({}, tree, { commit: "abd", changed: [] })).toThrow("another one");
  expect(() => run({ anyway: true }, tree, { commit: "abd", changed: [] })).toThrow("another one");
});

test("what is kept anyway says so", () => {
  const changed = { commit: "abc", changed: ["a.ts"] };
  expect(run({ anyway: true }, changed, tree).changed).toBe(true);
  expect(run({ anyway: true }, tree, changed).changed).toBe(true);
});

test("what is kept names no folder of the machine", () => {
  const failures = ["node /srv/here/proof/show.ts /scratch/power-3/1 17"];
  const found = withoutFolders({ arms: [arm({ failures })] }, ["/srv/here/", "/scratch"]);
  expect(found).toEqual({ arms: [arm({ failures: ["node …/proof/show.ts …/power-3/1 17"] })] });
});
