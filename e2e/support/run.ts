import { spawn } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** A program with its arguments. */
export type Command = readonly [program: string, ...args: string[]];

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const here = fileURLToPath(new URL("../", import.meta.url));

/** A program of this workspace's own install, on the Node that runs the tests. */
export const installed = (name: string, ...args: string[]): Command => [
  process.execPath,
  join(here, "node_modules/.bin", name),
  ...args,
];

/** A program of `fixtures/`. */
export const fixture = (name: string, ...args: string[]): Command => [
  process.execPath,
  join(here, "fixtures", name),
  ...args,
];

/**
 * The whole environment of a program that is started here: nothing of the caller's, a home of its
 * own, and for what it would send elsewhere a proxy that nobody serves.
 */
export function bareEnv(home: string): Record<string, string> {
  const nowhere = "http://127.0.0.1:9";
  return {
    PATH: `${dirname(process.execPath)}:/usr/local/bin:/usr/bin:/bin`,
    HOME: home,
    TMPDIR: home,
    LANG: "C.UTF-8",
    HTTP_PROXY: nowhere,
    HTTPS_PROXY: nowhere,
    NO_PROXY: "127.0.0.1,localhost",
  };
}

/** Runs a program to its end in a home of its own, with nothing on its standard input. */
export function run(
  [program, ...args]: Command,
  home: string,
  env: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: home,
      env: { ...bareEnv(home), ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, stdout, stderr }));
  });
}
