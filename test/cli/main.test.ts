import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { paintFor } from "../../src/cli/colour.ts";
import { failureOf } from "../../src/cli/failure.ts";
import { nodeFault } from "../../src/cli/node-version.ts";
import { errorTable, GuardError, type GuardErrorCode } from "../../src/index.ts";
import { safeagent } from "./safeagent.ts";

const manifest = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));

describe("safeagent", () => {
  test.each([[["--help"]], [["help"]], [[]]])("%j prints the help", async (args) => {
    const { code, stdout, stderr } = await safeagent(args);
    expect(stdout).toMatch(/^Usage: safeagent /);
    expect(stdout).toMatch(/^ {2}demo /m);
    expect([code, stderr]).toEqual([0, ""]);
  });

  test("prints the help of a verb", async () => {
    const { code, stdout } = await safeagent(["help", "demo"]);
    expect(stdout).toMatch(/^Usage: safeagent demo /);
    expect(stdout).toContain("--fast");
    expect(code).toBe(0);
  });

  test.each(["--version", "-V"])("%s prints the package's version", async (flag) => {
    expect(await safeagent([flag])).toEqual({
      code: 0,
      stdout: `${manifest.version}\n`,
      stderr: "",
    });
  });

  test.each([
    [["wipe"], "safeagent: unknown command 'wipe'"],
    [["--wipe"], "safeagent: unknown option '--wipe'"],
    [["demo", "--wipe"], "safeagent: unknown option '--wipe'"],
    [["demo", "wipe"], "safeagent: too many arguments for 'demo'. Expected 0 arguments but got 1."],
  ])("%j is wrong usage: 2", async (args, says) => {
    const { code, stdout, stderr } = await safeagent(args);
    expect(stderr.split("\n")[0]).toBe(says);
    expect([code, stdout]).toEqual([2, ""]);
  });

  test("says what failed in a line, without a stack", async () => {
    const env = { TMPDIR: "/nowhere" };
    const { code, stdout, stderr } = await safeagent(["demo", "--fast"], { env });
    expect(stderr).toMatch(/^safeagent: ENOENT: .*\n$/);
    expect([code, stdout]).toEqual([1, ""]);
  });

  test("says it as JSON where JSON was asked for", async () => {
    const env = { TMPDIR: "/nowhere" };
    const { code, stdout, stderr } = await safeagent(["demo", "--json"], { env });
    expect(JSON.parse(stdout)).toMatchObject({ ok: false, code: "failed" });
    expect([code, stderr]).toEqual([1, ""]);
  });
});

describe("a failure", () => {
  test.each(Object.keys(errorTable) as GuardErrorCode[])(
    "%s has the exit code of the table",
    (code) => {
      const failure = failureOf(new GuardError(code, "Facts.", { effect: "unknown" }));
      expect(failure).toMatchObject({ code, exit: errorTable[code].exit, effect: "unknown" });
    },
  );

  test("of another kind is 1", () => {
    expect(failureOf(new Error("no luck"))).toEqual({
      exit: 1,
      code: "failed",
      message: "no luck",
    });
  });
});

describe("Node", () => {
  test.each(["22.13.0", "22.23.3", "23.0.0", "24.21.0", "100.0.0"])("%s will do", (version) => {
    expect(nodeFault(version)).toBeUndefined();
  });

  test.each(["18.20.0", "20.20.2", "22.12.9"])("%s is too old", (version) => {
    expect(nodeFault(version)).toBe(`it needs Node 22.13 or newer, and this is Node ${version}.`);
  });

  test("the oldest one is that of the package", () => {
    expect(manifest.engines.node).toBe(">=22.13");
  });
});

describe("colour", () => {
  const isColoured = (isTTY: boolean, env: Record<string, string>) =>
    paintFor({ isTTY }, env)("good", "yes") !== "yes";

  test.each([
    ["in a terminal", true, {}, true],
    ["not in a pipe", false, {}, false],
    ["not in a dumb terminal", true, { TERM: "dumb" }, false],
    ["not with NO_COLOR", true, { NO_COLOR: "1" }, false],
    ["in a terminal with an empty NO_COLOR", true, { NO_COLOR: "" }, true],
    ["in a pipe with FORCE_COLOR", false, { FORCE_COLOR: "1" }, true],
    ["not in a terminal with FORCE_COLOR=0", true, { FORCE_COLOR: "0" }, false],
    ["not with both: NO_COLOR wins", true, { NO_COLOR: "1", FORCE_COLOR: "1" }, false],
  ])("%s", (_name, isTTY, env, coloured) => {
    expect(isColoured(isTTY, env)).toBe(coloured);
  });
});
