import { existsSync, readdirSync, readFileSync } from "node:fs";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { countOf, judged } from "../../src/cli/demo/judge.ts";
import { createGuard } from "../../src/index.ts";
import { ownFolder, type Ran, safeagent } from "./safeagent.ts";

/** Runs the demo with its temporary files where the test can see them. */
const demo = (folder: { path: string }, ...args: string[]) =>
  safeagent(["demo", ...args], { env: { TMPDIR: folder.path } });

let folder: ReturnType<typeof ownFolder>;
beforeEach(() => {
  folder = ownFolder();
});
afterEach(() => folder.remove());

describe("the demo", () => {
  let ran: Ran;
  let left: string[];
  beforeAll(async () => {
    const temporary = ownFolder();
    ran = await demo(temporary, "--fast");
    left = readdirSync(temporary.path);
    temporary.remove();
  });

  test("ends with 5 irreversible actions without the guard and 2 with it, by the help desk's count", () => {
    expect(ran.stderr).toBe("");
    expect(ran.stdout).toMatch(/^ {2}Irreversible actions +5 +2 +wanted: 2$/m);
    expect(ran.code).toBe(0);
  });

  test("shows on each side what became of each failure", () => {
    const rows = ran.stdout.split("\n").map((line) => line.trim().split(/ {2,}/));
    const row = (label: string) => rows.find(([first]) => first === label)?.slice(1);
    expect(row("agent calls the tool")).toEqual([
      "TCK-1 created, reply cut",
      "TCK-1 created, reply cut",
    ]);
    const [told = "", found, receipt] = row("agent is told") ?? [];
    expect([told, found]).toEqual(["an error", "TCK-1 found, not run again"]);
    expect(receipt).toMatch(/^st_[0-9a-f]{6}$/);
    // The same receipt for both calls of the agent.
    expect(row("agent calls it again")).toEqual([
      "TCK-2 created again",
      "TCK-1 replayed, not run again",
      receipt,
    ]);
    expect(row("worker killed (SIGKILL)")).toEqual(["TCK-3 created", "TCK-2 created"]);
    expect(row("next worker finds")).toEqual(["no trace of it", "a claim without end: IN_DOUBT"]);
    expect(row("next worker does")?.slice(0, 2)).toEqual([
      "TCK-4 created again",
      "TCK-2 found, not run again",
    ]);
    expect(row("triage: close, 62 % sure")).toEqual([
      "account closed",
      "held: not FINAL, nothing ran",
    ]);
  });

  test("is plain text in a pipe, at most 100 columns wide", () => {
    expect(ran.stdout).not.toContain("\u001b");
    const widths = ran.stdout.split("\n").map((line) => line.length);
    expect(Math.max(...widths)).toBeLessThanOrEqual(100);
  });

  test("leaves no file behind", () => expect(left).toEqual([]));

  test("gives the same as one JSON object, and with --keep leaves the guard's file", async () => {
    const { code, stdout, stderr } = await demo(folder, "--json", "--keep");
    expect([code, stderr]).toEqual([0, ""]);
    const { ok, data } = JSON.parse(stdout);
    expect(ok).toBe(true);
    expect(data).toMatchObject({
      counted: { without: 5, with: 2 },
      wanted: { without: 5, with: 2 },
    });
    expect(data.acts.map((act: { rows: unknown[] }) => act.rows.length)).toEqual([3, 3, 3]);
    expect(data.journal).toMatchObject({ cases: 3, unbroken: true });
    await using guard = createGuard({ store: data.kept });
    const { items } = await guard.list();
    expect(items.map(({ state }) => state)).toEqual(["SETTLED", "SETTLED", "IN_RECONCILIATION"]);
  });

  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("ended by %s leaves no process and no file behind", async (signal, exit) => {
    const { code, stderr } = await safeagent(["demo"], {
      env: { TMPDIR: folder.path },
      interrupt: { at: "next worker finds", signal },
    });
    expect(stderr.trim()).toBe(
      "safeagent: stopped; what the demo had started is ended and removed.",
    );
    expect(code).toBe(exit);
    expect(readdirSync(folder.path)).toEqual([]);
    expect(processesNaming(folder.path)).toEqual([]);
  });
});

describe("the judgement", () => {
  const unbroken = { unbroken: true };

  test("is right only for 5 and 2", () => {
    expect(judged({ without: 5, with: 2 }, unbroken).ok).toBe(true);
  });

  test.each([
    { without: 5, with: 3 },
    { without: 5, with: 1 },
    { without: 4, with: 2 },
    { without: 2, with: 5 },
    { without: 0, with: 0 },
  ])("refuses $without without and $with with the guard", (counted) => {
    const { ok, says } = judged(counted, unbroken);
    expect(ok).toBe(false);
    expect(says).toBe(
      `The help desk counted ${counted.without} irreversible actions without the guard and ${counted.with} with it; 5 and 2 were expected.`,
    );
  });

  test("refuses a broken journal", () => {
    const says = "A hash chain of the journal is broken.";
    expect(judged({ without: 5, with: 2 }, { unbroken: false })).toEqual({ ok: false, says });
  });

  test("counts tickets and closed accounts", () => {
    expect(countOf({ tickets: ["TCK-1", "TCK-2"], closures: ["A-789"] })).toBe(3);
  });
});

/** Processes with a text on their command line, where the system tells of them in /proc. */
function processesNaming(text: string): string[] {
  if (!existsSync("/proc/self/cmdline")) return [];
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(text);
      } catch {
        return false; // it has ended since
      }
    });
}
