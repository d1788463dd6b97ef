import { describe, expect, test } from "vitest";
import { ownFolder } from "../support/folder.ts";
import { shop } from "../support/http-servers.ts";
import { calm, inspect, storm } from "../support/inspector.ts";
import { guardedUrl } from "../support/safeagent.ts";
import { order, payments } from "../support/shop.ts";

const pay = { tool: "pay", args: order };

describe.each([
  ["2026-07-28", "modern"],
  ["before it", "legacy"],
])("over Streamable HTTP, by the revision %s,", (_, era) => {
  const eraFlag = ["--protocol-era", era];

  test("50 equal calls run 50 times", async () => {
    const home = ownFolder();
    const url = await shop(home);
    expect(await storm({ url }, home, pay, ...eraFlag)).toEqual(calm);
    expect(payments(home)).toHaveLength(50);
  });

  test("behind the guard they run once, and the lists stay as they are", async () => {
    const home = ownFolder();
    const url = await shop(home);
    const guarded = await guardedUrl(url, home);
    expect(await storm({ url: guarded }, home, pay, ...eraFlag)).toEqual(calm);
    expect(payments(home)).toEqual(["A1 500"]);

    const list = ["--method", "tools/list", ...eraFlag];
    const direct = await inspect({ url }, home, ...list);
    expect(JSON.parse(direct.stdout).tools).toMatchObject([{ name: "pay" }]);
    expect(await inspect({ url: guarded }, home, ...list)).toEqual(direct);
  });
});

test("a client of each revision asks for one payment: the other gets its result", async () => {
  const home = ownFolder();
  const url = await guardedUrl(await shop(home), home);
  const call = ["--method", "tools/call", "--tool-name", "pay"];
  const said: unknown[] = [];
  for (const era of ["modern", "legacy"]) {
    const args = ["--tool-args-json", JSON.stringify(order), "--protocol-era", era];
    said.push(JSON.parse((await inspect({ url }, home, ...call, ...args)).stdout).content);
  }
  const text = "payment 1 of 500 for A1";
  expect(said).toEqual([[{ type: "text", text }], [{ type: "text", text }]]);
  expect(payments(home)).toEqual(["A1 500"]);
});
