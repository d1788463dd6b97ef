import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { namedPlan, points } from "../../src/cli/crash-lab/plan.ts";
import { isHeld } from "../../src/cli/crash-lab/report.ts";
import type { Kase } from "../../src/cli/crash-lab/scene.ts";
import { controlFinding, type Defended, defenceFinding } from "../../src/cli/crash-lab/verdict.ts";
import { createGuard } from "../../src/index.ts";
import { chanceOf } from "../../src/testing/chance.ts";
import type { BookLine, History, HistoryAnswer, HistoryCall } from "../../src/testing/index.ts";
import { ownFolder, safeagent } from "./safeagent.ts";

const folder = ownFolder();
afterAll(() => folder.remove());

/** A folder for temporary files, to see what is left in it. */
function temporary(name: string): { readonly path: string; readonly env: { TMPDIR: string } } {
  const path = join(folder.path, name);
  mkdirSync(path);
  return { path, env: { TMPDIR: path } };
}

interface Told {
  readonly ok: boolean;
  readonly data: {
    readonly namespace?: string;
    readonly findings: readonly {
      readonly role: string;
      readonly runs: number;
      readonly counts: { readonly [name: string]: number };
      readonly asExpected: boolean;
      readonly failures: readonly string[];
    }[];
  };
}

const small = ["crash-lab", "--kills", "4", "--zombies", "4", "--seed", "1"];

describe("safeagent crash-lab", () => {
  test("shows that the guard holds and that the controls don't, and leaves nothing behind", async () => {
    const { path, env } = temporary("shows");
    const { code, stdout } = await safeagent([...small, "--json"], { env });
    const { ok, data } = JSON.parse(stdout) as Told;
    expect(data.findings.flatMap(({ failures }) => failures)).toEqual([]);
    expect(ok).toBe(true);
    expect(code).toBe(0);
    const [named, random, stopped, ...controls] = data.findings;
    for (const one of [named, random, stopped]) {
      expect(one).toMatchObject({
        role: "defence",
        counts: { "effects doubled": 0, "acknowledged receipts lost": 0, "doubts not listed": 0 },
      });
      expect(one!.runs).toBeGreaterThanOrEqual(4);
      expect(one!.counts["effects that happened"]).toBeGreaterThan(0);
    }
    expect(controls).toHaveLength(4);
    for (const one of controls) {
      expect(one.role).toBe("control");
      expect(one.counts.doubled).toBe(one.runs);
      expect(one.runs).toBeGreaterThan(0);
    }
    expect(readdirSync(path)).toEqual([]);
  }, 180_000);

  test("on a store of one's own: other data is left alone, and the text says where the cases are", async () => {
    const store = join(folder.path, "own.db");
    await using guard = createGuard({ store });
    const call = { requestId: "r1", action: "pay", payload: {}, run: () => "paid" };
    const mine = await guard.execute(call);
    const { code, stdout } = await safeagent([...small, "--store", store]);
    expect(stdout).toContain("no other data in it is read or changed");
    expect(stdout).toMatch(/namespaces that begin with\s+crash-lab-[0-9a-f-]{36}\./);
    expect(stdout).toContain("as it must be");
    expect(code).toBe(0);
    expect((await guard.list()).items).toHaveLength(1);
    expect(await guard.execute(call)).toEqual({ ...mine, replayed: true });
  }, 180_000);

  test("Ctrl-C ends its processes and removes its files", async () => {
    const { path, env } = temporary("stopped");
    const interrupt = { at: "The crash lab", signal: "SIGINT" } as const;
    const { code, stderr } = await safeagent(["crash-lab"], { env, interrupt });
    expect(stderr).toContain("safeagent: stopped; what the lab had started is ended and removed.");
    expect(code).toBe(130);
    expect(readdirSync(path)).toEqual([]);
  });

  test.each([
    ["memory:", /ends with its process/],
    ["redis://localhost", /There is no store for "redis:"/],
  ])("%s: refused before anything is started", async (store, says) => {
    const { code, stdout, stderr } = await safeagent(["crash-lab", "--json", "--store", store]);
    const told = JSON.parse(stdout);
    expect(told).toMatchObject({ ok: false, code: "invalid_request" });
    expect(told.message).toMatch(says);
    expect([code, stderr]).toEqual([2, ""]);
    expect(existsSync(store)).toBe(false);
  });

  test.each(["-1", "many", "1.5"])("--kills %s is wrong usage", async (kills) => {
    const { code, stderr } = await safeagent(["crash-lab", `--kills=${kills}`]);
    expect(stderr).toContain("whole number");
    expect(code).toBe(2);
  });
});

describe("the plan of named kills", () => {
  const plan = (kills: number, seed = 1) => namedPlan(kills, 400, chanceOf(seed));
  const killsOf = (kills: number) =>
    plan(kills).reduce((sum, { setup }) => sum + (setup === null ? 1 : 2), 0);

  test("reaches every point once, before it reaches one twice", () => {
    expect(new Set(plan(38).map(({ point }) => point))).toEqual(new Set(points));
    expect(plan(38)).toHaveLength(points.length);
  });

  test("reaches every point with every class that has it", () => {
    const pairs = new Set(plan(400).map((item) => `${item.class} ${item.point}`));
    for (const kind of ["opaque", "keyed", "probeable", "idempotent"]) {
      expect(pairs).toContain(`${kind} in the effect, after it happened`);
      expect(pairs).toContain(`${kind} after the lease's end is written`);
    }
    const second = plan(400).filter(
      ({ point, setup }) => point.includes("claim") && setup !== null,
    );
    expect(second.length).toBeGreaterThan(0);
  });

  test("kills as often as it is told to, and comes from the seed", () => {
    for (const kills of [1, 30, 100, 2_000]) {
      expect(killsOf(kills) - kills).toBeLessThanOrEqual(1);
      expect(killsOf(kills)).toBeGreaterThanOrEqual(kills);
    }
    expect(plan(100)).toEqual(plan(100));
    expect(plan(100)).not.toEqual(plan(100, 2));
  });
});

describe("a part with the guard", () => {
  const kase = (caseId: string, steps: Kase["steps"] = null): Kase => {
    const payload = { caseId, cents: 1 };
    return { caseId, class: "opaque", requestId: caseId, payload, steps, asks: 0 };
  };
  const call = (caseId: string, answer: HistoryAnswer): HistoryCall => {
    const end = { at: 2, answer };
    return { callId: caseId, caseId, requestId: caseId, payload: "{}", began: 1, end };
  };
  const settled: HistoryAnswer = { status: "settled", receipt: "A", recorded: true };
  const line: BookLine = { class: "opaque", calls: 1, effects: 1, keys: ["k"], happenedAt: 1 };
  const arm: Defended = {
    name: "killed",
    runs: 2,
    wanted: 2,
    unit: "kills",
    counts: {},
    void: [],
    again: "again",
  };
  const good: History = {
    calls: [call("case 1", settled)],
    book: { "case 1": line },
    doubts: [],
    resolved: [],
  };
  const found = (history: History, more: Partial<Defended> = {}, cases = [kase("case 1")]) =>
    defenceFinding(cases, { history, listed: 0 }, { ...arm, ...more });

  test("is as it must be where nothing is wrong", () => {
    expect(found(good)).toMatchObject({ asExpected: true, failures: [], runs: 2 });
  });

  test("names what was wrong, and how to see it again", () => {
    const { asExpected, counts, failures } = found({
      ...good,
      book: { "case 1": { ...line, effects: 2 } },
    });
    expect([asExpected, counts["effects doubled"]]).toEqual([false, 1]);
    expect(failures).toEqual(["P1, case case 1: opaque, happened 2 times in 1 calls; again"]);
  });

  test("has shown nothing where a point was never reached, or little came to an end", () => {
    expect(found(good, { void: ["void: never killed"] }).asExpected).toBe(false);
    const few = found(good, { runs: 3 });
    expect(few).toMatchObject({ asExpected: false });
    expect(few.failures).toEqual(["void: only 1 cases got a receipt"]);
    expect(found(good, { wanted: 3 }).failures).toEqual(["void: only 2 of 3 kills"]);
  });

  test("sees a vote that was acknowledged and lost", () => {
    const calls = [...good.calls, call("case 2", { status: "pending" })];
    const withSteps = (steps: Kase["steps"]) =>
      found({ ...good, calls }, {}, [kase("case 1"), kase("case 2", steps)]);
    expect(withSteps([])).toMatchObject({ asExpected: false });
    expect(withSteps([]).failures[0]).toMatch(
      /^P4, case case 2: votes and decision were acknowledged/,
    );
    const left = { step: "decide", outcome: "go" } as const;
    expect(withSteps([left])).toMatchObject({ asExpected: true });
  });
});

describe("a control", () => {
  const ids = Array.from({ length: 20 }, (_, index) => `case ${index}`);
  const lineOf = (effects: number): BookLine => {
    return { class: "opaque", calls: effects, effects, keys: ["k"], happenedAt: 1 };
  };
  /** The first `doubled` of them are doubled. */
  const history = (doubled: number): History => ({
    calls: [],
    book: Object.fromEntries(ids.map((id, index) => [id, lineOf(index < doubled ? 2 : 1)])),
    doubts: [],
    resolved: [],
  });

  const held = { ...controlFinding("guard", history(20), ids), role: "defence" as const };

  test.each([
    [20, true],
    [19, true],
    [18, false],
    [0, false],
  ])("that doubles %i of 20 has shown something: %s", (doubled, asExpected) => {
    const found = controlFinding("control", history(doubled), ids);
    expect(found).toMatchObject({ runs: 20, counts: { doubled }, asExpected });
    expect(isHeld([held, found])).toBe(asExpected);
  });

  test("in which nothing happened has shown nothing", () => {
    const nothing = { ...history(0), book: {} };
    expect(controlFinding("control", nothing, ids).asExpected).toBe(false);
    expect(isHeld([held, controlFinding("control", nothing, ids)])).toBe(false);
  });

  test("shows nothing without the guard beside it", () => {
    expect(isHeld([controlFinding("control", history(20), ids)])).toBe(false);
    expect(isHeld([])).toBe(false);
  });
});
