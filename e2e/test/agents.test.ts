import { describe, expect, test } from "vitest";
import { claudeCode } from "../support/claude-code.ts";
import { codex } from "../support/codex.ts";
import { ownFolder } from "../support/folder.ts";
import { guarded } from "../support/safeagent.ts";
import { direct, payments } from "../support/shop.ts";

// The texts that a model was handed. Codex puts the time a call took before each.
const texts = (results: readonly (readonly [callId: string, text: string])[]) =>
  results.map(([, text]) => /payment \d+ of \d+ for \w+/.exec(text)?.[0] ?? text);

const agents = [
  ["Claude Code", claudeCode],
  ["Codex", codex],
] as const;

describe.each(agents)("%s, whose model calls a tool twice under new ids,", (_, agent) => {
  test("runs it twice", async () => {
    const home = ownFolder();
    const results = await agent(direct, home);
    expect(payments(home)).toEqual(["A1 500", "A1 500"]);
    expect(new Set(results.map(([callId]) => callId)).size).toBe(2);
    expect(texts(results)).toEqual(["payment 1 of 500 for A1", "payment 2 of 500 for A1"]);
  });

  test("runs it once behind the guard: the second call gets the first one's result", async () => {
    const home = ownFolder();
    const results = await agent(guarded, home);
    expect(payments(home)).toEqual(["A1 500"]);
    expect(new Set(results.map(([callId]) => callId)).size).toBe(2);
    expect(texts(results)).toEqual(["payment 1 of 500 for A1", "payment 1 of 500 for A1"]);
  });
});

describe("both agents, one after the other", () => {
  test("run the tool four times", async () => {
    const home = ownFolder();
    await claudeCode(direct, home);
    await codex(direct, home);
    expect(payments(home)).toHaveLength(4);
  });

  test("run it once behind guards on one store", async () => {
    const home = ownFolder();
    const first = await claudeCode(guarded, home);
    const second = await codex(guarded, home);
    expect(payments(home)).toEqual(["A1 500"]);
    expect(texts(second)).toEqual(texts(first));
  });
});
