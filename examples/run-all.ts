import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

// Runs every example of a folder, each in a process and an empty directory of its own.
const [folder = import.meta.dirname] = process.argv.slice(2);
const limitMs = 60_000;

const programOf = (name: string) => resolve(folder, name, "main.ts");
const names = readdirSync(folder)
  .filter((name) => existsSync(programOf(name)))
  .sort();

let failed = 0;
for (const name of names) {
  const { code, seconds, output } = await run(programOf(name));
  console.log(`${code === 0 ? "passed" : "FAILED"}  ${name}  ${seconds.toFixed(1)} s`);
  if (code === 0) continue;
  failed += 1;
  console.log(output.replaceAll(/^/gm, "        "));
}

console.log(`${names.length - failed} passed, ${failed} failed`);
process.exitCode = failed === 0 && names.length > 0 ? 0 : 1;

interface Run {
  /** Null: it was stopped, since it took too long. */
  readonly code: number | null;
  readonly seconds: number;
  readonly output: string;
}

function run(program: string): Promise<Run> {
  const cwd = mkdtempSync(join(tmpdir(), "safeagent-example-"));
  const started = performance.now();
  const child = spawn(process.execPath, [program], {
    cwd,
    stdio: ["ignore", "pipe", "pipe"],
    timeout: limitMs,
    killSignal: "SIGKILL",
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  return new Promise((done) => {
    child.on("close", (code) => {
      rmSync(cwd, { recursive: true, force: true });
      done({ code, seconds: (performance.now() - started) / 1000, output });
    });
  });
}
