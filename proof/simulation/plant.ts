import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

/** A bug as a change of the source. */
export interface Bug {
  readonly name: string;
  /** The file, below `src`. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
  /** The promises that it may break. */
  readonly breaks: readonly string[];
}

const root = fileURLToPath(new URL("../../", import.meta.url));

/**
 * Plants a bug into a copy of the sources and hands on the copy's simulating program. A bug whose text
 * isn't found exactly once can't be planted: the sources have moved on, and it must be written anew.
 */
export async function withBug<T>(bug: Bug, work: (worker: URL) => Promise<T>): Promise<T> {
  const copy = mkdtempSync(join(tmpdir(), "safeagent-planted-"));
  try {
    for (const folder of ["src", "proof"]) {
      cpSync(join(root, folder), join(copy, folder), { recursive: true });
    }
    writeFileSync(join(copy, "package.json"), '{ "type": "module" }');
    const path = join(copy, "src", bug.file);
    const text = readFileSync(path, "utf8");
    const found = text.split(bug.from).length - 1;
    if (found !== 1)
      throw new Error(`"${bug.name}": its text stands ${found} times in ${bug.file}.`);
    writeFileSync(
      path,
      text.replace(bug.from, () => bug.to),
    );
    return await work(pathToFileURL(join(copy, "proof", "simulation", "worker.ts")));
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}
