import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";

const examples = fileURLToPath(new URL("../../examples/", import.meta.url));
const temp = mkdtempSync(join(tmpdir(), "safeagent-examples-test-"));
afterAll(() => rmSync(temp, { recursive: true }));

function runAll(...folder: readonly string[]) {
  const args = [join(examples, "run-all.ts"), ...folder];
  const { status, stdout } = spawnSync(process.execPath, args, { encoding: "utf8" });
  return { status, lines: stdout.trim().split("\n") };
}

function folderWith(name: string, programs: Readonly<Record<string, string>>): string {
  const folder = join(temp, name);
  for (const [program, text] of Object.entries(programs)) {
    mkdirSync(join(folder, program), { recursive: true });
    writeFileSync(join(folder, program, "main.ts"), text);
  }
  return folder;
}

const names = readdirSync(examples, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map((entry) => entry.name);

test("every example passes", () => {
  const { status, lines } = runAll();
  expect(lines.at(-1)).toBe(`${names.length} passed, 0 failed`);
  expect(status).toBe(0);
}, 300_000);

test("an example that fails is counted, and its output is shown", () => {
  const { status, lines } = runAll(
    folderWith("mixed", { good: "console.log(1);", bad: 'throw new Error("as meant");' }),
  );
  expect(lines.at(-1)).toBe("1 passed, 1 failed");
  expect(lines.join("\n")).toContain("as meant");
  expect(status).toBe(1);
});

test("a folder without examples is a failure", () => {
  expect(runAll(folderWith("empty", { "": "" })).status).toBe(1);
});

test.each(names)("%s asserts what it shows, and says how to import the library", (name) => {
  const folder = join(examples, name);
  const texts = readdirSync(folder).map((file) => readFileSync(join(folder, file), "utf8"));
  const importing = texts.filter((text) => text.includes("../../src/"));
  expect(importing.length).toBeGreaterThan(0);
  for (const text of importing) {
    expect(text.split("\n")[0]).toMatch(
      /^\/\/ In your project: from "safeagent"(?: and "safeagent\/[\w-]+")?$/,
    );
    expect(text).toMatch(/^import \{.*\} from "\.\.\/\.\.\/src\/index\.ts";$/m);
  }
  expect(texts.some((text) => text.includes("assert"))).toBe(true);
});
