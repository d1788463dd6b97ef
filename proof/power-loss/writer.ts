/** A process that works with a guard on a file, and says to its standard output what it was told. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { isGuardError, type Store } from "../../src/index.ts";
import { chanceOf } from "../../src/testing/chance.ts";
import type { Said } from "./said.ts";
import { type Desk, type WorkloadName, workloads } from "./workloads.ts";

export interface WriterConfig {
  /** Where the sources are that are put to the test. */
  readonly source: string;
  readonly path: string;
  readonly workload: WorkloadName;
  readonly name: string;
  readonly seed: number;
}

const config = JSON.parse(process.argv[2] ?? "{}") as WriterConfig;
const tested = async (file: string) => import(pathToFileURL(join(config.source, file)).href);
const { createGuard } = (await tested("index.ts")) as typeof import("../../src/index.ts");
const { sqliteStore } = (await tested(
  "stores/sqlite.ts",
)) as typeof import("../../src/stores/sqlite.ts");

const say = (said: Said): void => void writeSync(1, `${JSON.stringify(said)}\n`);

/** Says of each step that landed that it did. */
function overheard(inner: Store): Store {
  return {
    ...inner,
    async commit(steps) {
      const landed = await inner.commit(steps);
      for (const { next, head } of landed ? steps : []) {
        say({ said: "committed", caseId: next.caseId, version: next.version, head });
      }
      return landed;
    },
  };
}

/** Where a sync fails while it opens, the next try may do. */
function opened(tries: number): Store | undefined {
  try {
    return sqliteStore({ path: config.path });
  } catch (error) {
    if (!isGuardError(error)) throw error;
    return tries > 1 ? opened(tries - 1) : undefined;
  }
}

const store = opened(3);
// Nothing is told by a process that can't open the file.
if (store === undefined) process.exit();
const guard = createGuard({ store: overheard(store) });

const desk: Desk = {
  guard,
  name: config.name,
  say,
  async execute(caseId, mostChars, requestId = caseId) {
    const chance = chanceOf(config.seed, caseId);
    const payload = { caseId, text: "x".repeat(chance.below(mostChars)) };
    const isSlow = chance.happens(0.2);
    const run = async () => {
      say({ said: "started", caseId });
      // Some effects take a while, so that others commit meanwhile.
      if (isSlow) await new Promise((resolve) => setTimeout(resolve, 1));
      say({ said: "ended", caseId });
      return { done: caseId };
    };
    try {
      const outcome = await guard.execute({ requestId, caseId, action: "pay", payload, run });
      if (outcome.status !== "settled" || !outcome.recorded) return;
      say({ said: "receipt", requestId, caseId, text: JSON.stringify(outcome.receipt) });
    } catch (error) {
      if (!isGuardError(error)) throw error;
    }
  },
  async another(name) {
    const child = spawn(
      process.execPath,
      [...process.execArgv, process.argv[1] ?? "", JSON.stringify({ ...config, name })],
      { stdio: ["ignore", "inherit", "inherit"] },
    );
    const [code] = await once(child, "exit");
    if (code !== 0) throw new Error(`The other process ended with ${String(code)}.`);
  },
};

await workloads[config.workload](desk);
await guard.close();
await store.close();
