import { cpSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { inFolder } from "../folder.ts";
import { type Patch, patchedSource } from "../patched-source.ts";

/** A bug, as a change of the sources. */
export interface Bug extends Patch {
  readonly name: string;
  /** The promises that it may break. */
  readonly breaks: readonly string[];
}

const here = fileURLToPath(new URL("./", import.meta.url));

/** Plants a bug into a copy of the sources, and hands on the copy's simulating program. */
export function withBug<T>(bug: Bug, work: (worker: URL) => Promise<T>): Promise<T> {
  return inFolder("planted", async (folder) => {
    patchedSource(folder, [bug]);
    const programs = join(folder, "proof", "simulation");
    cpSync(here, programs, { recursive: true });
    return work(pathToFileURL(join(programs, "worker.ts")));
  });
}
