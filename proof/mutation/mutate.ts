import { readFileSync } from "node:fs";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { Stryker } from "@stryker-mutator/core";
import { inFolder } from "../folder.ts";
import { type Told, watched } from "./watch.ts";

/** One small change of a source file, and whether a test failed for it. */
export interface Mutant {
  readonly file: string;
  readonly row: number;
  /** The line of the source that it begins in, without the blanks around it. */
  readonly line: string;
  readonly mutator: string;
  readonly original: string;
  readonly replacement: string;
  readonly fate: Fate;
}

export type Fate =
  | "killed"
  /** It runs on and on. */
  | "timed out"
  /** A file of tests could not even be loaded; Stryker leaves it out of its score. */
  | "not loaded"
  | "survived"
  /** No test gets there. */
  | "not covered";

export interface MutateOptions {
  /** Patterns of files below the root, `file:from-to` for some of its lines. */
  readonly what: readonly string[];
  /** The same tests, and none of them looks at what comes of it: only what throws by itself still fails. */
  readonly blind?: boolean;
  readonly progress: (done: number, of: number) => void;
}

/** Stryker on the sources, in a copy; everything is seen from the root. */
export async function mutate(wanted: MutateOptions): Promise<readonly Mutant[]> {
  const { what, blind = false, progress } = wanted;
  return inFolder("mutation", async (folder) => {
    let done = 0;
    let planned = 0;
    const watcher = {
      planned: (mutants: number) => {
        planned = mutants;
      },
      tested: () => {
        done += 1;
        progress(done, planned);
      },
    };
    const stryker = new Stryker({ ...options(blind, folder), mutate: [...what] });
    const told = await watched(watcher, () => stryker.runMutationTest());
    return told.map(mutantOf);
  });
}

type Options = ConstructorParameters<typeof Stryker>[0];

function options(blind: boolean, folder: string): Options {
  const watch = fileURLToPath(new URL("watch.ts", import.meta.url));
  return {
    testRunner: "vitest",
    vitest: {
      configFile: `proof/mutation/${blind ? "blind" : "vitest"}.config.ts`,
      related: false,
      pool: "threads",
    },
    plugins: ["@stryker-mutator/vitest-runner", watch],
    reporters: ["watch"],
    coverageAnalysis: "perTest",
    concurrency: 2,
    // What the tests of core need, and no more.
    ignorePatterns: ["*", "!src/**", "!test/core/**", "!proof/mutation/**", "!package.json"],
    tempDirName: folder,
    cleanTempDir: "always",
    // Stryker would rewrite it with a TypeScript that has an API; nothing reads it here.
    tsconfigFile: "none.json",
    disableTypeChecks: false,
    // A busy machine must not pass for a mutant that runs on and on.
    timeoutMS: 20_000,
    timeoutFactor: 4,
    warnings: false,
    logLevel: "off" as NonNullable<Options["logLevel"]>,
    thresholds: { break: null },
  };
}

function mutantOf(told: Told): Mutant {
  const { start, end } = told.location;
  const lines = readFileSync(told.fileName, "utf8")
    .split("\n")
    .slice(start.line - 1, end.line);
  const line = lines[0] ?? "";
  lines[lines.length - 1] = (lines.at(-1) ?? "").slice(0, end.column - 1);
  lines[0] = (lines[0] ?? "").slice(start.column - 1);
  return {
    file: relative(process.cwd(), told.fileName).replaceAll("\\", "/"),
    row: start.line,
    line: line.trim(),
    mutator: told.mutatorName,
    original: inOneLine(lines.join("\n")),
    replacement: inOneLine(told.replacement ?? ""),
    fate: fateOf(told),
  };
}

function inOneLine(text: string): string {
  return text.replace(/\s+/g, " ").trim();
}

function fateOf({ status, statusReason }: Told): Fate {
  switch (status) {
    case "Killed":
      return "killed";
    case "Timeout":
      return "timed out";
    case "RuntimeError":
      return "not loaded";
    case "Survived":
      return "survived";
    case "NoCoverage":
      return "not covered";
    case "CompileError":
    case "Ignored":
    case "Pending":
      throw new Error(`a mutant was not tried: ${status}, ${statusReason ?? "for no reason"}`);
  }
}
