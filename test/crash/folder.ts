import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";

/** A folder of this test's own, gone when the test is over. */
export function testFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "safeagent-crash-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A database path in a folder of this test's own. */
export function testFile(): string {
  return join(testFolder(), "safeagent.db");
}
