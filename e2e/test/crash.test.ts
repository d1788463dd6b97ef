import { expect, test } from "vitest";
import { codex } from "../support/codex.ts";
import { ownFolder } from "../support/folder.ts";
import { inspect } from "../support/inspector.ts";
import { guarded } from "../support/safeagent.ts";
import { direct, type Front, order, payments, shopServer } from "../support/shop.ts";

/** A client calls the tool, and who stands before the server is killed within; then an agent calls it twice. */
async function killedThenAgent(front: Front) {
  const home = ownFolder();
  const command = front(shopServer(home), home);
  const call = ["--method", "tools/call", "--tool-name", "pay", "--tool-args-json"];
  const target = { command, env: { deadly: "1" } };
  const first = await inspect(target, home, ...call, JSON.stringify(order));
  expect(first.stdout).toBe("");
  expect(payments(home)).toEqual(["A1 500"]);
  const results = await codex(front, home);
  return { runs: payments(home), texts: results.map(([, text]) => text) };
}

test("a tool whose client was killed within it runs again at each further call", async () => {
  const { runs } = await killedThenAgent(direct);
  expect(runs).toEqual(Array(3).fill("A1 500"));
});

test("a tool whose guard was killed within it never runs again: the model is told that nobody knows", async () => {
  const { runs, texts } = await killedThenAgent(guarded);
  expect(runs).toEqual(["A1 500"]);
  // The first call may have waited for the killed guard's lease to be over.
  expect(texts).toHaveLength(2);
  expect(texts[1]).toContain("Unknown whether it ran. Do not call it again.");
});
