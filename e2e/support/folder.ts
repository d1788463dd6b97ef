import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";

/** A folder of the running test's own, gone when the test is over. */
export function ownFolder(): string {
  const path = mkdtempSync(join(tmpdir(), "safeagent-e2e-"));
  // A program that was just ended may still be writing its last file.
  onTestFinished(() => rmSync(path, { recursive: true, force: true, maxRetries: 5 }));
  return path;
}
