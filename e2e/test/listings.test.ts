import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { ownFolder } from "../support/folder.ts";
import { conformance, everything, type HttpServer } from "../support/http-servers.ts";
import { inspect, type Target } from "../support/inspector.ts";
import { type Command, installed } from "../support/run.ts";
import { guarded, guardedUrl } from "../support/safeagent.ts";

const methods = ["tools/list", "resources/list", "resources/templates/list", "prompts/list"];

/** What a client is shown of a server: each list as the inspector prints it, or why it has none. */
async function listings(target: Target, home: string): Promise<Record<string, string>> {
  const shown: Record<string, string> = {};
  for (const method of methods) {
    const { stdout, stderr } = await inspect(target, home, "--method", method);
    shown[method] = stdout || stderr;
  }
  return shown;
}

describe("on stdio", () => {
  const servers: readonly (readonly [name: string, server: (home: string) => Command])[] = [
    ["server-everything", () => installed("mcp-server-everything")],
    ["server-memory", () => installed("mcp-server-memory")],
    ["server-filesystem", (home) => installed("mcp-server-filesystem", home)],
  ];

  test.each(servers)("the lists of %s are the same, byte for byte", async (_, server) => {
    const home = ownFolder();
    const env = { MEMORY_FILE_PATH: join(home, "memory.jsonl") };
    const [direct, behind] = await Promise.all([
      listings({ command: server(home), env }, home),
      listings({ command: guarded(server(home), home), env }, home),
    ]);
    expect(JSON.parse(direct["tools/list"] ?? "").tools.length).toBeGreaterThan(5);
    expect(behind).toEqual(direct);
  });
});

describe("over Streamable HTTP", () => {
  const servers: readonly (readonly [name: string, server: HttpServer])[] = [
    ["server-everything", everything],
    ["the conformance server", conformance],
  ];

  test.each(servers)("the lists of %s are the same, byte for byte", async (_, server) => {
    const home = ownFolder();
    const url = await server(home);
    const [direct, behind] = await Promise.all([
      listings({ url }, home),
      guardedUrl(url, home).then((guarded) => listings({ url: guarded }, home)),
    ]);
    expect(JSON.parse(direct["tools/list"] ?? "").tools.length).toBeGreaterThan(5);
    expect(behind).toEqual(direct);
  });
});

test("another server's lists are told apart", async () => {
  const home = ownFolder();
  const [memory, files] = await Promise.all([
    listings({ command: installed("mcp-server-memory") }, home),
    listings({ command: installed("mcp-server-filesystem", home) }, home),
  ]);
  expect(files).not.toEqual(memory);
});
