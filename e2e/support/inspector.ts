import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Command, type Ended, installed, run } from "./run.ts";

/** A server as the inspector reaches it: a program on stdio, or an address. */
export type Target = { readonly command: Command; readonly env?: Env } | { readonly url: string };
type Env = Readonly<Record<string, string>>;

let files = 0;

/** Runs one command of the inspector against a server. */
export function inspect(target: Target, home: string, ...args: string[]): Promise<Ended> {
  return run(installed("mcp-inspector", "--cli", ...reaching(target, home), "-q", ...args), home);
}

function reaching(target: Target, home: string): string[] {
  if ("url" in target) return ["--transport", "http", "--server-url", target.url];
  const [command, ...args] = target.command;
  files += 1;
  const file = join(home, `mcp-${files}.json`);
  writeFileSync(
    file,
    JSON.stringify({ mcpServers: { it: { command, args, env: target.env ?? {} } } }),
  );
  return ["--config", file, "--server", "it"];
}

/** What came of calls made at once, as the inspector counts them. */
export interface Storm {
  readonly requests: number;
  readonly ok: number;
  readonly toolErrors: number;
  readonly errors: number;
}

/** Makes one call of a tool 50 times, 10 at a time. */
export async function storm(
  target: Target,
  home: string,
  call: { readonly tool: string; readonly args: unknown },
  ...flags: readonly string[]
): Promise<Storm> {
  const asked = ["--method", "tools/call", "--tool-name", call.tool];
  const load = ["--load", "--load-requests", "50", "--load-concurrency", "10"];
  const args = ["--tool-args-json", JSON.stringify(call.args)];
  const { stdout, stderr } = await inspect(target, home, ...asked, ...args, ...load, ...flags);
  if (stdout === "") throw new Error(stderr);
  const { requests, ok, toolErrors, errors } = JSON.parse(stdout);
  return { requests, ok, toolErrors, errors };
}

/** All of them answered. */
export const calm: Storm = { requests: 50, ok: 50, toolErrors: 0, errors: 0 };
