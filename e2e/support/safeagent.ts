import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Command } from "./run.ts";
import { serve } from "./serve.ts";

const main = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

/** An MCP server behind the guard, as an MCP client's configuration would start it. */
export const guarded = (server: Command, home: string): Command => [
  process.execPath,
  main,
  "mcp",
  ...store(home),
  "--",
  ...server,
];

/** An MCP server at an address behind the guard, for the running test; resolves with the guard's address. */
export async function guardedUrl(url: string, home: string): Promise<string> {
  const where = ["--url", url, "--listen", "127.0.0.1:0"];
  const command: Command = [process.execPath, main, "mcp", ...store(home), ...where];
  return (await serve(command, home, /(?<= at )http:\S+(?=\n)/)).said;
}

const store = (home: string) => ["--store", join(home, "safeagent.db")];
