import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly env?: { readonly [name: string]: string };
  /** A signal, sent as soon as the output holds a text. */
  readonly interrupt?: { readonly at: string; readonly signal: NodeJS.Signals };
}

const main = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

/** Runs the CLI as a shell would: in a process of its own, with its output in pipes. */
export function safeagent(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const { env = {}, interrupt } = options;
  const child = spawn(process.execPath, [main, ...args], {
    // What the test runner itself was told about colours is not for the program under test.
    env: { ...process.env, NO_COLOR: undefined, FORCE_COLOR: undefined, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  let sent = false;
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
    if (interrupt === undefined || sent || !stdout.includes(interrupt.at)) return;
    sent = true;
    child.kill(interrupt.signal);
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, stdout, stderr }));
  });
}

/** A folder for temporary files, and its end. */
export function ownFolder(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), "safeagent-test-cli-"));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}
