import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { reasonNotToWrite, treeHere } from "../../proof/tree.ts";

let folder = "";

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "safeagent-tree-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const git = (...args: readonly string[]) =>
  execFileSync("git", ["-c", "user.name=t", "-c", "user.email=t@localhost", ...args], {
    cwd: folder,
    stdio: "pipe",
  });

function commit(): void {
  git("init", "-q");
  mkdirSync(join(folder, "docs"));
  for (const file of ["a.ts", "docs/proof.md", "docs/proof.json"])
    writeFileSync(join(folder, file), "first");
  git("add", ".");
  git("-c", "commit.gpgsign=false", "commit", "-q", "-m", "first");
}

const reason = () => reasonNotToWrite(treeHere(folder));

describe("figures may be published", () => {
  test("from a commit", () => {
    commit();
    expect(treeHere(folder).commit).toMatch(/^[0-9a-f]{40}$/);
    expect(reason()).toBeUndefined();
  });

  test("where only the page and its figures differ", () => {
    commit();
    writeFileSync(join(folder, "docs/proof.md"), "second");
    writeFileSync(join(folder, "docs/proof.json"), "second");
    expect(reason()).toBeUndefined();
  });

  test("but not where a file was changed", () => {
    commit();
    writeFileSync(join(folder, "a.ts"), "second");
    expect(reason()).toContain("(a.ts)");
  });

  test("nor where one was added", () => {
    commit();
    for (const name of ["b", "c", "d", "e"]) writeFileSync(join(folder, `${name}.ts`), "new");
    expect(reason()).toContain("(b.ts, c.ts, d.ts and 1 more)");
  });

  test("nor from what is no repository", () => {
    expect(treeHere(folder)).toEqual({ commit: null, changed: [] });
    expect(reason()).toContain("no commit");
  });
});
