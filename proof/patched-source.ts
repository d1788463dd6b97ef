import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** One place of the sources, and what stands there instead: a defence that is off, or a bound that is reached sooner. */
export interface Patch {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** The sources as they are. */
export const realSource: string = fileURLToPath(new URL("../src", import.meta.url));

/**
 * A copy of the sources with some places changed. A place that is not found exactly once is an error:
 * else a control would run the defence, and nobody would know.
 */
export function patchedSource(folder: string, patches: readonly Patch[]): string {
  const source = join(folder, "src");
  cpSync(realSource, source, { recursive: true });
  // The copy lies outside the package that says so.
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
  for (const { file, from, to } of patches) {
    const path = join(source, file);
    const parts = readFileSync(path, "utf8").split(from);
    if (parts.length !== 2) {
      throw new Error(`src/${file} has ${parts.length - 1} times, and not once: ${from}`);
    }
    writeFileSync(path, parts.join(to));
  }
  return source;
}
