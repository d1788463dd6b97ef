import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ownFolder } from "../support/folder.ts";
import { conformance, everything, type HttpServer } from "../support/http-servers.ts";
import { installed, run } from "../support/run.ts";
import { guardedUrl } from "../support/safeagent.ts";

interface Check {
  readonly id: string;
  readonly status: "SUCCESS" | "FAILURE" | "WARNING" | "INFO";
}

/** What the suite found about the server at an address: a line per check. */
async function found(url: string, home: string, name: string): Promise<string[]> {
  const out = join(home, name);
  const ended = await run(installed("conformance", "server", "--url", url, "-o", out), home);
  expect(ended.stdout, ended.stderr).toContain("=== SUMMARY ===");
  return readdirSync(out)
    .flatMap((folder) => {
      const [, scenario] = /^server-(.+)-\d{4}-\d\d-\d\dT/.exec(folder) ?? [];
      const checks: readonly Check[] = JSON.parse(
        readFileSync(join(out, folder, "checks.json"), "utf8"),
      );
      return checks.map(({ id, status }) => `${status} ${scenario} ${id}`);
    })
    .sort();
}

const counted = (lines: readonly string[], status: Check["status"]) =>
  lines.filter((line) => line.startsWith(status)).length;

// The guard itself refuses a client that names another host, whether or not its server does.
const rebinding = "dns-rebinding-protection localhost-host-rebinding-rejected";
const guardedAlike = (line: string) =>
  line === `FAILURE ${rebinding}` ? `SUCCESS ${rebinding}` : line;

const servers: readonly (readonly [name: string, server: HttpServer, [number, number]])[] = [
  ["a server that has all it asks for", conformance, [40, 0]],
  ["the reference server, which lacks most of it", everything, [13, 19]],
];

test.each(servers)("the suite finds the same in %s", async (_, server, [passes, failures]) => {
  const home = ownFolder();
  const url = await server(home);
  const direct = await found(url, home, "direct");
  expect([counted(direct, "SUCCESS"), counted(direct, "FAILURE")]).toEqual([passes, failures]);
  expect(await found(await guardedUrl(url, home), home, "guarded")).toEqual(
    direct.map(guardedAlike).sort(),
  );
});
