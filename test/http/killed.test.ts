import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, expect, test } from "vitest";

const program = fileURLToPath(new URL("./programs/server.ts", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "safeagent-http-"));
const store = join(folder, "guard.db");
const ledger = join(folder, "ledger.txt");
const children: ChildProcess[] = [];

afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});

async function start(mode: "hangs" | "answers") {
  const child = fork(program, [store, ledger, mode], { execArgv: [], stdio: "inherit" });
  children.push(child);
  const [{ port }] = (await once(child, "message")) as [{ port: number }];
  return { child, url: `http://127.0.0.1:${port}/refunds` };
}

const refund = (url: string, key: string) =>
  fetch(url, {
    method: "POST",
    headers: { "idempotency-key": key, "content-type": "application/json" },
    body: JSON.stringify({ order: "A1" }),
  });

test("a server killed in its handler: the same key is in doubt, and not executed again", async () => {
  writeFileSync(ledger, "");
  const first = await start("hangs");
  const lost = refund(first.url, "k1").catch((error: unknown) => error);
  await once(first.child, "message");
  first.child.kill("SIGKILL");
  expect(await lost).toBeInstanceOf(Error);

  const second = await start("answers");
  // Until its lease is over, the dead server is taken for a slow one.
  let response = await refund(second.url, "k1");
  while (response.status === 409) {
    expect(response.headers.get("retry-after")).toBe("1");
    await new Promise((done) => setTimeout(done, 50));
    response = await refund(second.url, "k1");
  }
  expect(response.status).toBe(423);
  expect(await response.json()).toMatchObject({ code: "in_doubt", effect: "unknown" });
  expect(response.headers.get("x-should-retry")).toBe("false");
  expect((await refund(second.url, "k1")).status).toBe(423);
  expect(readFileSync(ledger, "utf8")).toBe("refunded by hangs\n");

  // The second server does work: another key is executed.
  expect((await refund(second.url, "k2")).status).toBe(201);
  expect(readFileSync(ledger, "utf8")).toBe("refunded by hangs\nrefunded by answers\n");
});
