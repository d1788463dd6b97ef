import type { Arm, Campaign, Findings, Size } from "./campaign.ts";

/** What one campaign found, and all that is needed to run the same again. */
export interface Run {
  readonly campaign: string;
  readonly about: string;
  readonly size: Size;
  readonly seed: number;
  readonly commit: string;
  /** The files were not those of the commit. */
  readonly changed: boolean;
  readonly date: string;
  readonly node: string;
  readonly machine: string;
  readonly seconds: number;
  readonly command: string;
  readonly findings: Findings;
}

/** The text of docs/proof.json. */
export function recordText(runs: readonly Run[]): string {
  return `${JSON.stringify({ runs }, null, 2)}\n`;
}

/** Reads docs/proof.json. Throws where it is not what `recordText` wrote. */
export function readRecord(text: string): readonly Run[] {
  const all = object(JSON.parse(text), "it");
  return list(all.runs, "runs").map((run, index) => readRun(run, `runs[${index}]`));
}

/** Each campaign's latest run, in the order of the campaigns; those no longer run are dropped. */
export function withRuns(
  kept: readonly Run[],
  fresh: readonly Run[],
  campaigns: readonly Pick<Campaign, "name">[],
): readonly Run[] {
  return campaigns.flatMap(({ name }) => {
    const isIts = (run: Run) => run.campaign === name;
    const latest = fresh.findLast(isIts) ?? kept.findLast(isIts);
    return latest === undefined ? [] : [latest];
  });
}

function readRun(value: unknown, at: string): Run {
  const run = object(value, at);
  const size = text(run.size, `${at}.size`);
  if (size !== "quick" && size !== "full" && size !== "release") throw wrong(`${at}.size`);
  return {
    campaign: text(run.campaign, `${at}.campaign`),
    about: text(run.about, `${at}.about`),
    size,
    seed: figure(run.seed, `${at}.seed`),
    commit: text(run.commit, `${at}.commit`),
    changed: flag(run.changed, `${at}.changed`),
    date: text(run.date, `${at}.date`),
    node: text(run.node, `${at}.node`),
    machine: text(run.machine, `${at}.machine`),
    seconds: figure(run.seconds, `${at}.seconds`),
    command: text(run.command, `${at}.command`),
    findings: readFindings(run.findings, `${at}.findings`),
  };
}

function readFindings(value: unknown, at: string): Findings {
  const arms = list(object(value, at).arms, `${at}.arms`);
  return { arms: arms.map((arm, index) => readArm(arm, `${at}.arms[${index}]`)) };
}

function readArm(value: unknown, at: string): Arm {
  const arm = object(value, at);
  const role = text(arm.role, `${at}.role`);
  if (role !== "defence" && role !== "control") throw wrong(`${at}.role`);
  const counts = Object.entries(object(arm.counts, `${at}.counts`));
  return {
    name: text(arm.name, `${at}.name`),
    role,
    runs: figure(arm.runs, `${at}.runs`),
    unit: text(arm.unit, `${at}.unit`),
    counts: Object.fromEntries(
      counts.map(([name, count]) => [name, figure(count, `${at}.counts.${name}`)]),
    ),
    asExpected: flag(arm.asExpected, `${at}.asExpected`),
    failures: list(arm.failures, `${at}.failures`).map((one) => text(one, `${at}.failures`)),
  };
}

function object(value: unknown, at: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrong(at);
  return value as Record<string, unknown>;
}

function list(value: unknown, at: string): readonly unknown[] {
  if (!Array.isArray(value)) throw wrong(at);
  return value;
}

function text(value: unknown, at: string): string {
  if (typeof value !== "string") throw wrong(at);
  return value;
}

function figure(value: unknown, at: string): number {
  if (typeof value !== "number") throw wrong(at);
  return value;
}

function flag(value: unknown, at: string): boolean {
  if (typeof value !== "boolean") throw wrong(at);
  return value;
}

function wrong(at: string): Error {
  return new Error(`docs/proof.json: ${at} is not what a run writes there.`);
}
