import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { approval, createGuard, type Json } from "../../src/index.ts";
import { ownFolder, safeagent } from "./safeagent.ts";

const folder = ownFolder();
afterAll(folder.remove);

let stores = 0;

/** A store with a case that waits for ana. */
async function waiting(payload: Json = { cents: 500 }) {
  stores += 1;
  const store = join(folder.path, `${stores}.db`);
  const ask = async () => {
    await using guard = createGuard({ store, actor: "agent" });
    return guard.execute({
      requestId: "refund:A1",
      action: "refund",
      payload,
      policy: approval({ from: ["ana"] }),
      run: () => "paid",
    });
  };
  expect((await ask()).status).toBe("pending");
  const kase = async () => {
    await using guard = createGuard({ store });
    return guard.case("refund:A1").get();
  };
  return { store, ask, kase };
}

const args = (store: string, ...more: string[]) => ["refund:A1", "--store", store, ...more];

describe("safeagent approve", () => {
  test("shows what the case holds, and lets it run", async () => {
    const { store, ask } = await waiting();
    const ran = await safeagent(["approve", ...args(store, "--by", "ana", "--yes")]);
    expect(ran).toMatchObject({ code: 0, stderr: "" });
    expect(ran.stdout).toMatch(/^action {7}refund$/m);
    expect(ran.stdout).toMatch(/^asked for by agent$/m);
    expect(ran.stdout).toContain('"cents": 500');
    expect(ran.stdout).toMatch(/\nApproved\. It runs when it is asked for again\.\n$/);
    expect((await ask()).status).toBe("settled");
  });

  test("keeps the note and the name", async () => {
    const { store, kase } = await waiting();
    await safeagent(["approve", ...args(store, "--by", "ana", "--yes", "--note", "seen")]);
    expect(JSON.stringify(await kase())).toMatch(/"actor":"ana".*"note":"seen"/);
  });

  test("by its fingerprint: what was shown, and nothing else", async () => {
    const { store, ask, kase } = await waiting();
    const shown = (await kase()) as { readonly intent: { readonly fingerprint: string } };
    const wrong = await safeagent([
      "approve",
      ...args(store, "--by", "ana", "--fingerprint", "0".repeat(64)),
    ]);
    expect(wrong.code).toBe(4);
    expect((await ask()).status).toBe("pending");
    const { fingerprint } = shown.intent;
    const right = await safeagent([
      "approve",
      ...args(store, "--by", "ana", "--fingerprint", fingerprint, "--json"),
    ]);
    expect(JSON.parse(right.stdout)).toEqual({
      ok: true,
      data: { caseId: "refund:A1", state: "FINAL", by: "ana", action: "refund", fingerprint },
    });
    expect((await ask()).status).toBe("settled");
  });

  test("agrees to nothing where nobody can be asked", async () => {
    const { store, ask } = await waiting();
    const ran = await safeagent(["approve", ...args(store, "--by", "ana")]);
    expect(ran.code).toBe(2);
    // Whoever can't see it isn't told how to do without seeing it.
    expect(ran.stderr).toContain("in a terminal");
    expect(ran.stderr).not.toContain("--yes");
    expect((await ask()).status).toBe("pending");
  });

  test("refuses who may not", async () => {
    const { store, ask } = await waiting();
    for (const by of ["agent", "mallory"]) {
      const ran = await safeagent(["approve", ...args(store, "--by", by, "--yes")]);
      expect(ran.code).toBe(4);
      expect(ran.stderr).toMatch(/^safeagent: Nothing was executed\./);
    }
    expect((await ask()).status).toBe("pending");
  });

  test("a payload can't speak to the terminal", async () => {
    const { store } = await waiting({ note: "\u001b[2J\u202eevil\r\u3164\u{e0041}" });
    const { stdout } = await safeagent(["approve", ...args(store, "--by", "ana", "--yes")]);
    expect(stdout).toContain("\\u202eevil");
    expect(stdout).toContain("\\u3164\\udb40\\udc41");
    for (const char of ["\u001b", "\u202e", "\r", "\u3164", "\u{e0041}"])
      expect(stdout).not.toContain(char);
  });

  test("a wrong path makes no store", async () => {
    const store = join(folder.path, "none.db");
    const ran = await safeagent(["approve", ...args(store, "--by", "ana", "--yes")]);
    expect([ran.code, existsSync(store)]).toEqual([3, false]);
  });

  test("an unknown case is told as such", async () => {
    const { store } = await waiting();
    const ran = await safeagent(["approve", "refund:B7", "--store", store, "--yes"]);
    expect(ran.code).toBe(3);
  });
});

test("safeagent deny: it never runs", async () => {
  const { store, ask } = await waiting();
  const ran = await safeagent(["deny", ...args(store, "--by", "ana", "--yes")]);
  expect(ran).toMatchObject({ code: 0, stderr: "" });
  expect(await ask()).toMatchObject({ status: "void", receipt: { reason: "denied" } });
});
