import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { testFolder } from "../crash/folder.ts";
import { strace } from "./trace.ts";

const program = fileURLToPath(new URL("../crash/programs/serial.ts", import.meta.url));
const executions = 20;

/** What an execution asks of the kernel, in order: its own marks, and syncs of the write-ahead log where they end. */
function asked(trace: string): string[] {
  const steps: string[] = [];
  // A call that another thread's interrupts is printed in two lines, the second without its file.
  const syncing = new Set<string>();
  for (const line of trace.split("\n")) {
    const thread = line.split(" ", 1)[0]!;
    const mark = /write\(1<.*>, "((?:call|effect|return) \d+)\\n"/.exec(line)?.[1];
    if (mark !== undefined) steps.push(mark);
    const isSync = /f(?:data)?sync\(\d+<.*-wal>/.test(line);
    const isRest = /<\.\.\. f(?:data)?sync resumed>/.test(line) && syncing.delete(thread);
    if (isSync && line.includes("<unfinished")) syncing.add(thread);
    else if (isSync || isRest) steps.push(line.endsWith("= 0") ? "sync" : line);
  }
  return steps;
}

test("a fresh execution is two syncs: one before its effect, one before its answer", () => {
  const folder = testFolder();
  const log = join(folder, "trace");
  const [command, ...options] = strace("-y", "-e", "trace=fsync,fdatasync,write", "-o", log);
  const args = [process.execPath, program, join(folder, "safeagent.db"), "40", `${executions}`];
  execFileSync(command!, [...options, ...args]);
  const expected = Array.from({ length: executions }, (_, index) => [
    `call ${index + 1}`,
    "sync",
    `effect ${index + 1}`,
    "sync",
    `return ${index + 1}`,
  ]).flat();
  const all = asked(readFileSync(log, "utf8"));
  const from = all.indexOf("call 1");
  expect(all.slice(from, all.indexOf(`return ${executions}`) + 1)).toEqual(expected);
});
