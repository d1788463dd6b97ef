import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { ownFolder } from "../support/folder.ts";
import { calm, storm, type Target } from "../support/inspector.ts";
import { type Command, fixture, installed } from "../support/run.ts";
import { guarded } from "../support/safeagent.ts";
import { direct, type Front } from "../support/shop.ts";

/** One server, one call of it, and a file in which its effect is seen. */
interface Scene {
  readonly server: (home: string) => {
    readonly command: Command;
    readonly env?: { readonly [name: string]: string };
  };
  readonly call: (home: string) => { readonly tool: string; readonly args: unknown };
  readonly file: (home: string) => string;
  readonly before: string;
  readonly once: string;
}

const ana = (observations: readonly string[]) =>
  JSON.stringify({ type: "entity", name: "ana", entityType: "person", observations });

const scenes: Readonly<Record<string, Scene>> = {
  "add_observations of server-memory": {
    server: (home) => ({
      command: installed("mcp-server-memory"),
      env: { MEMORY_FILE_PATH: join(home, "memory.jsonl") },
    }),
    call: () => ({
      tool: "add_observations",
      args: { observations: [{ entityName: "ana", contents: ["paid"] }] },
    }),
    file: (home) => join(home, "memory.jsonl"),
    before: ana([]),
    once: ana(["paid"]),
  },
  "edit_file of server-filesystem": {
    server: (home) => ({ command: installed("mcp-server-filesystem", home) }),
    call: (home) => ({
      tool: "edit_file",
      args: { path: join(home, "bill.txt"), edits: [{ oldText: "a", newText: "ab" }] },
    }),
    file: (home) => join(home, "bill.txt"),
    before: "a",
    once: "ab",
  },
};

/** Stands a server up with a tap before it; `flood` calls it 50 times at once, from one client. */
function stage(scene: Scene, front: Front) {
  const home = ownFolder();
  const calls = join(home, "calls.txt");
  const { command, env = {} } = scene.server(home);
  const target: Target = { command: front(fixture("tap.ts", calls, ...command), home), env };
  writeFileSync(calls, "");
  writeFileSync(scene.file(home), scene.before);
  const call = scene.call(home);
  return {
    tool: call.tool,
    flood: () => storm(target, home, call),
    calls: () => readFileSync(calls, "utf8").split("\n").filter(Boolean),
    content: () => readFileSync(scene.file(home), "utf8"),
  };
}

describe.each(Object.entries(scenes))("50 equal calls of %s, 10 at a time", (_, scene) => {
  test("reach the server 50 times", async () => {
    const { flood, calls, tool } = stage(scene, direct);
    expect(await flood()).toEqual(calm);
    expect(calls()).toEqual(Array(50).fill(tool));
  });

  test("behind the guard reach it once, and all are answered", async () => {
    const { flood, calls, content, tool } = stage(scene, guarded);
    expect(await flood()).toEqual(calm);
    expect(calls()).toEqual([tool]);
    expect(content()).toBe(scene.once);
  });

  test("behind two guards on one store, and again later, still once", async () => {
    const { flood, calls, content, tool } = stage(scene, guarded);
    expect(await Promise.all([flood(), flood()])).toEqual([calm, calm]);
    expect(await flood()).toEqual(calm);
    expect(calls()).toEqual([tool]);
    expect(content()).toBe(scene.once);
  });
});

test("edit_file without the guard edits again and again", async () => {
  const scene = scenes["edit_file of server-filesystem"] as Scene;
  const { flood, content } = stage(scene, direct);
  await flood();
  expect(content()).toMatch(/^ab{2,}$/);
});
