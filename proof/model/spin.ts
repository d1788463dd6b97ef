import { execFile, spawnSync } from "node:child_process";
import { copyFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { inFolder } from "../folder.ts";

const run = promisify(execFile);

export const modelFile: string = fileURLToPath(new URL("./claim.pml", import.meta.url));

/** What a search through all states of a model found. */
export interface Search {
  readonly states: number;
  readonly transitions: number;
  readonly errors: number;
  /** Every state was visited: nothing was cut off, by an error, by depth or by memory. */
  readonly complete: boolean;
  /** Lines of the model that no state reached. */
  readonly unreached: readonly number[];
  /** The shortest way to the error, and the line of the assertion it broke; null: there is none. */
  readonly broken: Broken | null;
}

export interface Broken {
  readonly line: number;
  readonly steps: readonly string[];
}

/** Finds the shortest way to an error; or visits all states in little memory. */
export type Order = "breadth-first" | "depth-first";

/** A search for an error is over sooner than a good compilation. */
const ways: Readonly<Record<Order, readonly string[]>> = {
  "breadth-first": ["-O0", "-DBFS"],
  "depth-first": ["-O2", "-DCOLLAPSE"],
};

/** What is missing for a search on this machine; undefined: nothing. */
export function missingProgram(): string | undefined {
  const programs = [
    ["spin", "-V"],
    ["gcc", "--version"],
  ] as const;
  const missing = programs.filter(([name, flag]) => spawnSync(name, [flag]).status !== 0);
  if (missing.length === 0) return undefined;
  const names = missing.map(([name]) => name);
  return `It needs ${names.join(" and ")}: apt-get install ${names.join(" ")}.`;
}

/** Searches the model with these names defined. */
export function search(defines: readonly string[], order: Order): Promise<Search> {
  return inFolder("model", async (folder) => {
    const options = { cwd: folder, maxBuffer: 2 ** 26 };
    const model = basename(modelFile);
    copyFileSync(modelFile, join(folder, model));
    const given = defines.map((name) => `-D${name}`);
    // Without -o3, steps are merged and lines that nothing reaches are missed.
    await run("spin", ["-a", "-o3", ...given, model], options);
    await run("gcc", ["-DSAFETY", ...ways[order], "-o", "pan", "pan.c"], options);
    const { stdout } = await run(join(folder, "pan"), ["-m1000000"], options);
    const found = searchOf(stdout);
    if (found.errors === 0) return found;
    const trail = await run("spin", ["-t", ...given, model], options);
    return { ...found, broken: brokenOf(trail.stdout) };
  });
}

/** Reads what the searching program prints. */
export function searchOf(printed: string): Search {
  const unreached = [...printed.matchAll(/^\t[^\s:]+:(\d+), state \d+, (.*)$/gm)]
    .filter(([, , statement]) => statement !== '"-end-"')
    .map(([, line]) => Number(line));
  return {
    states: figure(printed, /^ *(\d+) states, stored/m),
    transitions: figure(printed, /^ *(\d+) transitions/m),
    errors: figure(printed, /errors: (\d+)$/m),
    complete: !/^(warning|error):|out of memory|too small/im.test(printed),
    unreached: [...new Set(unreached)],
    broken: null,
  };
}

function figure(printed: string, pattern: RegExp): number {
  const text = pattern.exec(printed)?.[1];
  if (text === undefined) throw new Error(`The search said nothing of ${pattern}:\n${printed}`);
  return Number(text);
}

/** Reads the replay of a way to an error: the model's own words, up to the assertion. */
export function brokenOf(printed: string): Broken {
  const lines = printed.split("\n");
  const end = lines.findIndex((line) => line.includes("Error: assertion violated"));
  const line = /:(\d+), Error/.exec(lines[end] ?? "")?.[1];
  if (line === undefined) throw new Error(`The replay ended without an error:\n${printed}`);
  const steps = lines.slice(0, end).filter((text) => / #\d+/.test(text));
  return { line: Number(line), steps: steps.map((text) => text.trim()) };
}
