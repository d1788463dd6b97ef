import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { createDatabase, dropDatabase, isAddress } from "./database.ts";
import { removeDatabase } from "./folder.ts";
import type { Measurement } from "./measurement.ts";
import { quietMoment, quietShare } from "./neighbours.ts";
import { secondsOf } from "./plan.ts";
import type { Task, TaskResult } from "./task.ts";
import { together } from "./together.ts";

const script = fileURLToPath(new URL("./child.ts", import.meta.url));
const triesMost = 5;
const running = new Set<ChildProcess>();

/** Runs the tasks one after the other, each in a process of its own. */
export async function runAll(
  tasks: readonly Task[],
  isPatient: boolean,
  onMeasured: (measurement: Measurement) => void,
): Promise<Measurement[]> {
  const all: Measurement[] = [];
  const expected = tasks.map(secondsOf);
  const started = performance.now();
  for (const [index, task] of tasks.entries()) {
    const spent = (performance.now() - started) / 1_000;
    progress(
      `${index + 1}/${tasks.length} ${nameOf(task)}, ${timeLeft(expected, index, spent)} left`,
    );
    const isShared = isReused(task, tasks);
    if (isPatient) await quietMoment();
    let best = await once(task, isShared);
    for (
      let tries = 1;
      isPatient && tries < triesMost && disturbance(best) > quietShare;
      tries += 1
    ) {
      await quietMoment();
      const next = await once(task, isShared);
      if (disturbance(next) < disturbance(best)) best = next;
    }
    for (const measurement of best) onMeasured(measurement);
    all.push(...best);
  }
  progress("");
  return all;
}

async function once(task: Task, keepFile: boolean): Promise<TaskResult> {
  const { path } = task;
  const processes = task.kind === "measure" ? task.processes : 1;
  if (isAddress(path) && !(task.kind === "measure" && keepFile)) {
    await createDatabase(path, task.kind === "measure" ? task.copyOf : undefined);
  }
  const measured = await Promise.all(Array.from({ length: processes }, () => inChild(task)));
  if (!keepFile) await remove(path);
  return together(measured);
}

async function remove(path: string): Promise<void> {
  if (isAddress(path)) await dropDatabase(path);
  else removeDatabase(path);
}

function disturbance(measured: TaskResult): number {
  return Math.max(0, ...measured.map(({ othersShare }) => othersShare));
}

/** Ends the children that are under way. */
export function stop(): void {
  for (const child of running) child.kill("SIGKILL");
}

function inChild(task: Task): Promise<TaskResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [script, JSON.stringify(task)], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    running.add(child);
    let text = "";
    child.stdout.setEncoding("utf8").on("data", (part: string) => {
      text += part;
    });
    child.on("error", reject).on("close", (code, signal) => {
      running.delete(child);
      if (code === 0) return resolve(JSON.parse(text) as TaskResult);
      reject(new Error(`${nameOf(task)} ended with ${signal ?? code}.`));
    });
  });
}

function isReused(task: Task, tasks: readonly Task[]): boolean {
  return tasks.some((other) => other.kind === "prefill" && other.path === task.path);
}

function nameOf(task: Task): string {
  if (task.kind === "prefill") return `filling a store with ${task.receipts} receipts`;
  const { system, callers, processes, receipts, round } = task;
  const store = receipts === 0 ? "" : ` on ${receipts} receipts`;
  const times = processes === 1 ? "" : `${processes} times `;
  return `round ${round}: ${system}${store}, ${times}${callers} callers`;
}

/** By the plan, corrected by how long its first part really took. */
function timeLeft(expected: readonly number[], done: number, spent: number): string {
  const sum = (parts: readonly number[]): number => parts.reduce((left, right) => left + right, 0);
  const before = sum(expected.slice(0, done));
  const pace = before > 0 ? spent / before : 1;
  const seconds = Math.round(sum(expected.slice(done)) * pace);
  return `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, "0")} s`;
}

function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[2K${text}`);
  else if (text !== "") process.stderr.write(`${text}\n`);
}
