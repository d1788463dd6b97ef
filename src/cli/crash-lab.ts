import { randomInt } from "node:crypto";
import { Command, InvalidArgumentError } from "commander";
import { paintFor } from "./colour.ts";
import { interruptOn } from "./crash-lab/interrupt.ts";
import type { LabResult } from "./crash-lab/lab.ts";
import { isHeld, reportOf } from "./crash-lab/report.ts";
import { shownAddress } from "./crash-lab/store.ts";
import { exits } from "./failure.ts";
import { createProgress } from "./progress.ts";

interface CrashLabOptions {
  readonly store?: string;
  readonly kills: number;
  readonly zombies: number;
  readonly seed?: number;
  readonly json?: boolean;
}

/** How it is started, in a clone and from the package. */
const verb = import.meta.url.endsWith(".ts") ? "npm run crash-lab --" : "npx safeagent crash-lab";

/** `safeagent crash-lab`: kills and stops real workers around a store, and judges what came of it. */
export function crashLab(): Command {
  return new Command("crash-lab")
    .summary("kill and stop real workers around your store, and judge what came of it (1 min)")
    .description(
      "Real processes around a real store: killed at named points and at random times, stopped past their leases. A process outside counts what really happened, and a checker that knows nothing of the guard judges. Three naive registries go through the same, and have to fail.",
    )
    .option(
      "--store <address>",
      "the store to try: a file's path, or postgres://… (default: a temporary file)",
    )
    .option("--kills <n>", "kills at named points, and as many at random times", count, 100)
    .option("--zombies <n>", "workers stopped past their lease, then woken", count, 30)
    .option("--seed <n>", "what is done to which case comes from it", count)
    .option("--json", "print one JSON object instead of the table")
    .action(async (options: CrashLabOptions) => {
      const interrupt = interruptOn(process);
      try {
        process.exitCode = await perform(options, interrupt.signal);
      } catch (error) {
        if (interrupt.exit === undefined) throw error;
        process.stderr.write(
          "safeagent: stopped; what the lab had started is ended and removed.\n",
        );
        process.exitCode = interrupt.exit;
      } finally {
        interrupt.release();
      }
    });
}

async function perform(options: CrashLabOptions, signal: AbortSignal): Promise<number> {
  if (process.platform === "win32") {
    throw new Error("the crash lab stops processes by signal, which Windows doesn't have");
  }
  const { kills, zombies, store, json = false } = options;
  const shown = store === undefined ? undefined : shownAddress(store);
  const seed = options.seed ?? randomInt(1_000_000);
  const started = performance.now();
  const paint = paintFor(process.stdout, process.env);
  const bar = createProgress("crash lab", process.stderr);
  const say = (text: string) => void (json || process.stdout.write(text));
  say(head(shown, seed));
  // Loaded when it is wanted: the other verbs start faster without it.
  const { runLab } = await import("./crash-lab/lab.ts");
  let result: LabResult;
  try {
    result = await runLab({
      store: store ?? null,
      named: kills,
      random: kills,
      zombies,
      controls: Math.min(50, Math.max(4, Math.ceil(kills / 20))),
      seed,
      signal,
      progress: bar.show,
      again: `${verb} --seed ${seed} --kills ${kills} --zombies ${zombies}`,
    });
  } finally {
    bar.end();
  }
  const { findings, namespace } = result;
  const seconds = (performance.now() - started) / 1_000;
  const ok = isHeld(findings);
  const where = shown === undefined ? {} : { store: shown, namespace };
  const failure = ok ? {} : { code: "crash_lab_failed", message: says };
  if (json) {
    const data = { seed, ...where, seconds, findings };
    process.stdout.write(`${JSON.stringify({ ok, data, ...failure }, null, 2)}\n`);
    return ok ? 0 : exits.failed;
  }
  say(reportOf(findings, paint));
  if (shown !== undefined)
    say(
      `  The cases of this run stay in ${shown}, in namespaces that begin with\n  ${namespace}.\n`,
    );
  say(`  ${seconds.toFixed(0)} s, seed ${seed}\n\n`);
  if (!ok) process.stderr.write(`safeagent: ${says}\n`);
  return ok ? 0 : exits.failed;
}

const says = "The crash lab did not show what it must; what was wrong is listed above.";

function head(store: string | undefined, seed: number): string {
  const where =
    store === undefined
      ? "a temporary SQLite file, removed at the end"
      : `${store}, in namespaces of this run's own: no other data in it is read or changed`;
  return `\n  The crash lab, seed ${seed}. Store: ${where}.\n\n`;
}

function count(text: string): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && number <= 1_000_000) return number;
  throw new InvalidArgumentError("It must be a whole number up to 1,000,000.");
}
