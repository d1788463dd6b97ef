import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, expect, test } from "vitest";
import { withServer } from "../postgres/servers/with-server.ts";

const program = fileURLToPath(new URL("../../examples/any-store/main.ts", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "safeagent-any-store-"));
afterAll(() => rmSync(folder, { recursive: true }));
const ground = withServer();

async function run(store: string): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [program, store]);
  return stdout;
}

test("one program does the same in memory, in a file and on Postgres: only the address differs", async () => {
  const { url } = ground.server;
  const address = `${url}${url.includes("?") ? "&" : "?"}schema=${ground.freshSchema()}`;
  const inMemory = await run("memory:");
  expect(inMemory).toContain(
    "the same receipt; open, approve, claim, doubt, resolve, claim, settle",
  );
  expect(await run(join(folder, "store.db"))).toBe(inMemory);
  expect(await run(address)).toBe(inMemory);
  // What is there is kept: the same program finds its refund settled, and says so where it wanted it held.
  for (const store of [join(folder, "store.db"), address]) {
    await expect(run(store)).rejects.toThrow(/'settled'/);
  }
});
