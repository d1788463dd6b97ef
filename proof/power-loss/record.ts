import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { patchedSource, realSource } from "../patched-source.ts";
import type { Recording } from "./recordings.ts";
import { readTrace, type Traced, tracing } from "./trace.ts";
import type { WriterConfig } from "./writer.ts";

/** The database's name in a recording's folder, and in each image. */
export const database = "safeagent.db";

const writer = fileURLToPath(new URL("./writer.ts", import.meta.url));

/** A watch-dog: recordings take seconds. */
const longestMs = 120_000;

/**
 * Runs a recording's writers one after the other on one folder, and leaves the kernel's log of each.
 * Fails where one of them ended otherwise than it should.
 *
 * @param compiled where compiled programs are kept: starting is most of what a recording costs
 */
export async function record(
  recording: Recording,
  folder: string,
  seed: number,
  compiled: string,
): Promise<void> {
  const files = filesOf(folder);
  mkdirSync(files, { recursive: true });
  // The logs name files by it, also when they are kept elsewhere.
  writeFileSync(whereOf(folder), realpathSync(files));
  const { patches = [], runs } = recording;
  const source =
    patches.length === 0 ? realSource : patchedSource(join(folder, "patched"), patches);
  for (const [index, run] of runs.entries()) {
    const path = join(realpathSync(files), database);
    const config: WriterConfig = {
      source,
      path,
      workload: run.workload,
      name: `run ${index + 1}`,
      seed,
    };
    const inject = run.inject === undefined ? [] : [...only(path), "-e", `inject=${run.inject}`];
    const log = logOf(folder, index);
    // The faster way of tracing lets no signal in.
    const way = run.inject?.includes("signal=") === true ? [] : ["--seccomp-bpf"];
    const args = ["-f", "-qq", ...way, ...tracing, ...inject, "-o", log];
    const ended = await end(
      [...args, process.execPath, writer, JSON.stringify(config)],
      `${log}.err`,
      compiled,
    );
    if (ended !== (run.ends ?? "0")) {
      const said = readFileSync(`${log}.err`, "utf8").slice(-2_000);
      throw new Error(`"${recording.name}", run ${index + 1}, ended with ${ended}: ${said}`);
    }
  }
  // Images are built from the logs alone.
  rmSync(files, { recursive: true });
}

/** Injections count calls on the database's files and folder alone; what the writer says stays in the log. */
function only(path: string): string[] {
  const paths = [path, `${path}-wal`, `${path}-journal`, dirname(path), "/dev/null"];
  return paths.flatMap((one) => ["-P", one]);
}

async function end(args: readonly string[], errors: string, compiled: string): Promise<string> {
  const stderr = openSync(errors, "w");
  const env = { ...process.env, NODE_COMPILE_CACHE: compiled };
  const child = spawn("strace", args, { stdio: ["ignore", "ignore", stderr], env });
  const timer = setTimeout(() => child.kill("SIGKILL"), longestMs);
  const [code, signal] = (await once(child, "exit")) as [number | null, string | null];
  clearTimeout(timer);
  closeSync(stderr);
  return signal ?? String(code);
}

export interface Recorded {
  /** What the logs say, all runs in one line. */
  readonly traced: readonly Traced[];
  /** Where in it the power goes at the earliest. */
  readonly from: number;
}

export function readRecording({ runs, calmRuns = 0 }: Recording, folder: string): Recorded {
  const files = readFileSync(whereOf(folder), "utf8");
  const traced: Traced[] = [];
  let from = 0;
  for (const index of runs.keys()) {
    if (index === calmRuns) from = traced.length;
    const before = index * longestLog;
    for (const entry of readTrace(readFileSync(logOf(folder, index)), files)) {
      traced.push({ ...entry, began: entry.began + before, ended: entry.ended + before });
    }
  }
  return { traced, from };
}

/** In lines: the numbers of one run lie behind all of the last one. */
const longestLog = 1_000_000_000;

const whereOf = (folder: string): string => join(folder, "where");
const filesOf = (folder: string): string => join(folder, "files");
const logOf = (folder: string, index: number): string => join(folder, `run-${index + 1}.log`);
