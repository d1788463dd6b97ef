import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { approval, createGuard } from "../../src/index.ts";
import { ownFolder, safeagent } from "./safeagent.ts";

const folder = ownFolder();
afterAll(folder.remove);

let stores = 0;

/** A store with a case in doubt and one that waits for an approval. */
async function troubled() {
  stores += 1;
  const store = join(folder.path, `${stores}.db`);
  const refund = async () => {
    await using guard = createGuard({ store });
    let ran = false;
    const outcome = await guard.execute({
      requestId: "refund:A1",
      action: "refund",
      payload: { cents: 500 },
      run: () => {
        ran = true;
        throw new Error("socket hang up");
      },
    });
    return { ran, outcome };
  };
  expect((await refund()).outcome.status).toBe("in_doubt");
  await using guard = createGuard({ store });
  await guard.execute({
    requestId: "mail:A1",
    action: "mail",
    payload: null,
    policy: approval({ from: ["ana"] }),
    run: () => "sent",
  });
  await guard.execute({ requestId: "done", action: "note", payload: null, run: () => 1 });
  return { store, refund };
}

describe("safeagent cases", () => {
  test("lists what waits for a person, and nothing else", async () => {
    const { store } = await troubled();
    const { code, stdout, stderr } = await safeagent(["cases", "--store", store]);
    const lines = stdout.trimEnd().split("\n");
    expect(lines.map((line) => line.split(/ {2,}/).slice(1))).toEqual([
      ["IN_DOUBT", "refund", "refund:A1"],
      ["OPEN", "mail", "mail:A1"],
    ]);
    expect([code, stderr]).toEqual([0, ""]);
  });

  test("of the states that are named, as JSON, a page", async () => {
    const { store } = await troubled();
    const args = ["cases", "--store", store, "--json", "--limit", "1"];
    const named = JSON.parse((await safeagent([...args, "--state", "settled"])).stdout);
    expect(named).toMatchObject({ ok: true, data: { cases: [{ caseId: "done" }], more: false } });
    const first = JSON.parse((await safeagent(args)).stdout);
    expect(first).toMatchObject({ data: { cases: [{ caseId: "refund:A1" }], more: true } });
  });

  test("says where there is none", async () => {
    const { store } = await troubled();
    const ran = await safeagent(["cases", "--store", store, "--state", "void"]);
    expect(ran).toEqual({ code: 0, stdout: "There is none.\n", stderr: "" });
  });

  test("keeps namespaces apart", async () => {
    const { store } = await troubled();
    const ran = await safeagent(["cases", "--store", store, "--namespace", "other"]);
    expect(ran.stdout).toBe("There is none.\n");
  });

  test.each([
    ["--state", "lost"],
    ["--limit", "0"],
  ])("%s %s is wrong usage", async (...more) => {
    const { store } = await troubled();
    expect((await safeagent(["cases", "--store", store, ...more])).code).toBe(2);
  });

  test("a wrong path makes no store", async () => {
    const store = join(folder.path, "none.db");
    const ran = await safeagent(["cases", "--store", store]);
    expect([ran.code, existsSync(store)]).toEqual([3, false]);
  });
});

describe("safeagent resolve", () => {
  const word = (store: string, ...more: string[]) => [
    "resolve",
    "refund:A1",
    ...["--store", store, "--by", "ana", "--evidence", "provider log: re_77", ...more],
  ];

  test("it happened: repeats get the receipt, with its value", async () => {
    const { store, refund } = await troubled();
    const ran = await safeagent(word(store, "--happened", "--value", '{"id":"re_77"}'));
    expect(ran).toMatchObject({ code: 0, stderr: "" });
    expect(ran.stdout).toMatch(/^Settled: repeats get receipt st_/);
    const again = await refund();
    expect(again.ran).toBe(false);
    expect(again.outcome).toMatchObject({
      status: "settled",
      receipt: { value: { id: "re_77" }, by: "ana", evidence: "provider log: re_77" },
    });
  });

  test("it did not happen: it runs when it is asked for again", async () => {
    const { store, refund } = await troubled();
    const ran = await safeagent(word(store, "--not-happened", "--json"));
    expect(JSON.parse(ran.stdout)).toMatchObject({ ok: true, data: { effect: "none" } });
    expect((await refund()).ran).toBe(true);
  });

  test.each([
    { name: "neither", more: [] },
    { name: "both", more: ["--happened", "--not-happened"] },
    { name: "a value of what did not happen", more: ["--not-happened", "--value", "1"] },
    { name: "a value that is not JSON", more: ["--happened", "--value", "re_77"] },
  ])("$name is refused, and the doubt stays", async ({ more }) => {
    const { store, refund } = await troubled();
    expect((await safeagent(word(store, ...more))).code).toBe(2);
    expect(await refund()).toMatchObject({ ran: false, outcome: { status: "in_doubt" } });
  });

  test("a case that is not in doubt is left alone", async () => {
    const { store } = await troubled();
    const args = ["--store", store, "--evidence", "seen", "--happened"];
    const ran = await safeagent(["resolve", "mail:A1", ...args]);
    expect(ran.code).toBe(4);
    const unknown = await safeagent(["resolve", "refund:B7", ...args]);
    expect(unknown.code).toBe(3);
  });
});
