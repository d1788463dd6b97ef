import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, cpSync, existsSync, mkdirSync, openSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chanceOf } from "../../src/testing/chance.ts";
import { emptyDisk } from "../power-loss/disk.ts";
import { layOut } from "../power-loss/examine.ts";
import { readTrace, tracing } from "../power-loss/trace.ts";
import { type Answer, closingLine, lastLine } from "./answer.ts";
import { type Fault, faults, injection, type Lasting } from "./fault.ts";
import { type Effect, judge, kept, type Wrong } from "./judge.ts";
import type { Scenario } from "./scenarios.ts";
import type { SubjectConfig } from "./subject.ts";

/** Where trials take place. */
export interface Ground {
  /** A folder with the sources of a scenario. */
  sourceOf(scenario: Scenario): string;
  /** A database with cases in it, as a trial finds it. */
  readonly template: string;
  /** A folder for one trial at a time. */
  readonly folder: string;
  /** Where compiled programs are kept between trials: starting is most of what a trial costs. */
  readonly compiled: string;
}

export interface Result {
  /** Calls that were made to fail. */
  readonly fired: number;
  readonly answers: readonly Answer[];
  readonly wrongs: readonly Wrong[];
}

const subject = fileURLToPath(new URL("./subject.ts", import.meta.url));

/** A watch-dog: a trial takes a second; one that waits out leases and tries again, a few. */
const longestMs = 90_000;

const database = "safeagent.db";

/** One process through one scenario, its n-th call of a kind failing. */
export async function trial(
  scenario: Scenario,
  fault: Fault,
  lasting: Lasting,
  nth: number,
  ground: Ground,
): Promise<Result> {
  const shown = fault.kind === "sync" ? tracing : ["-e", `trace=${fault.calls}`];
  const run = await runSubject(scenario, ground, [...shown, "-e", injection(fault, lasting, nth)]);
  const lines = run.output.split("\n").filter((line) => line.startsWith("{"));
  const answers = lines.map((line) => JSON.parse(line) as Answer);
  const { effects } = run;
  const path = join(run.files, database);
  const wrongs = await judge({ path, lasting, answers, effects });
  if (fault.kind === "sync") wrongs.push(...(await afterPowerLoss(run, answers, ground)));
  if (run.ended !== "0" || !run.output.includes(`\n${lastLine}\n`)) {
    const what = `it ended with ${run.ended}: ${run.output.slice(-1_000)}`;
    wrongs.push({ kind: "broken", what });
  }
  const fired = run.log.toString("latin1").split("(INJECTED)").length - 1;
  return { fired, answers, wrongs };
}

/** How many calls of each kind the busiest thread makes of a process to which nothing is done: strace counts by thread. */
export async function countCalls(
  scenario: Scenario,
  ground: Ground,
): Promise<(fault: Fault) => number> {
  const all = faults.map(({ calls }) => calls).join(",");
  const { log } = await runSubject(scenario, ground, ["-e", `trace=${all}`]);
  const begun = [...log.toString("latin1").matchAll(/^(\d+) +(\w+)\(/gm)];
  return ({ calls }) => {
    const counts = new Map<string, number>();
    for (const [, thread = "", name = ""] of begun) {
      if (calls.split(",").includes(name)) counts.set(thread, (counts.get(thread) ?? 0) + 1);
    }
    return Math.max(0, ...counts.values());
  };
}

/**
 * A sync that failed leaves what it should have covered in the kernel's memory, where every process
 * finds it, and on no disk: what was told before the closing is looked for in what is certainly there.
 */
async function afterPowerLoss(
  run: Run,
  answers: readonly Answer[],
  ground: Ground,
): Promise<Wrong[]> {
  const { log, files, effects } = run;
  const traced = readTrace(log, files);
  const end = traced.findIndex((entry) => entry.does === "say" && entry.text === closingLine);
  if (end < 0) return [];
  const disk = emptyDisk();
  if (run.had !== undefined) disk.hold(database, run.had);
  for (const entry of traced.slice(0, end)) disk.apply(entry);
  const folder = join(ground.folder, "image");
  mkdirSync(folder);
  layOut(folder, disk.image("none", chanceOf(0)));
  const found = await kept({ path: join(folder, database), answers, effects });
  return found.map(({ kind, what }) => ({ kind, what: `after a power loss, ${what}` }));
}

interface Run {
  /** The folder with the database. */
  readonly files: string;
  /** The database that was there before. */
  readonly had: Buffer | undefined;
  /** What the subject said; and what was wrong where it ended badly. */
  readonly output: string;
  /** "0" where it came to its end. */
  readonly ended: string;
  /** What strace logged. */
  readonly log: Buffer;
  readonly effects: readonly Effect[];
}

async function runSubject(
  scenario: Scenario,
  { folder, template, sourceOf, compiled }: Ground,
  options: readonly string[],
): Promise<Run> {
  rmSync(folder, { recursive: true, force: true });
  const files = join(folder, "db");
  mkdirSync(files, { recursive: true });
  const path = join(files, database);
  if (scenario.starts === "with cases") cpSync(template, path);
  const [ledger, log, out] = ["ledger", "log", "out"].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  const config: SubjectConfig = { source: sourceOf(scenario), path, ledger, steps: scenario.steps };
  // Calls are counted on these alone.
  const own = [files, path, ...["-wal", "-shm", "-journal"].map((end) => path + end), out];
  const only = own.flatMap((one) => ["-P", one]);
  const program = [process.execPath, subject, JSON.stringify(config)];
  const args = ["-f", "-qq", "--seccomp-bpf", ...only, ...options, "-o", log, ...program];
  const ended = await strace(args, out, compiled);
  if (!existsSync(log)) throw new Error(`strace did not start: ${readFileSync(out, "utf8")}`);
  const lines = existsSync(ledger) ? readFileSync(ledger, "utf8").trimEnd().split("\n") : [];
  return {
    files,
    had: scenario.starts === "with cases" ? readFileSync(template) : undefined,
    output: readFileSync(out, "utf8"),
    ended,
    log: readFileSync(log),
    effects: lines.map((line) => JSON.parse(line) as Effect),
  };
}

async function strace(args: readonly string[], out: string, compiled: string): Promise<string> {
  const env = { ...process.env, NODE_COMPILE_CACHE: compiled };
  const output = openSync(out, "a");
  const child = spawn("strace", args, { stdio: ["ignore", output, output], env, detached: true });
  closeSync(output);
  let isOver = false;
  // All of its group: strace passes no signal on.
  const timer = setTimeout(() => {
    isOver = true;
    if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
  }, longestMs);
  const [code, signal] = (await once(child, "exit")) as [number | null, string | null];
  clearTimeout(timer);
  return isOver ? "a hang" : (signal ?? String(code));
}
