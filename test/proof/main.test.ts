import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { campaigns } from "../../proof/campaigns.ts";

const program = fileURLToPath(new URL("../../proof/main.ts", import.meta.url));
const prove = (...args: readonly string[]) =>
  spawnSync(process.execPath, [program, ...args], { encoding: "utf8" });

describe("npm run prove", () => {
  test("tells how it is used", () => {
    const { status, stdout, stderr } = prove("--help");
    expect(stdout).toContain("npm run prove -- [options]");
    for (const { name } of campaigns) expect(stdout).toContain(name);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  });

  test("refuses what it doesn't know, before anything is run", () => {
    const { status, stdout, stderr } = prove("--only", "no-such-campaign");
    expect(stderr).toContain('No campaign "no-such-campaign"');
    expect(stderr).toContain("--only NAMES");
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
  });
});

test("no two campaigns have the same name, and each can stand in a list and in a link", () => {
  const names = campaigns.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  for (const name of names) expect(name).toMatch(/^[a-z]+(-[a-z]+)*$/);
});
