import { createProgress, type Screen, span } from "../src/cli/progress.ts";
import type { Campaign, Size } from "./campaign.ts";
import { holds, type Proved } from "./judge.ts";
import { countsText, runsText } from "./words.ts";

export interface ProveOptions {
  readonly size: Size;
  readonly seed: number;
  /** For findings: what a reader may keep. */
  readonly print: (line: string) => void;
  /** For the progress, which nobody keeps. */
  readonly screen: Screen;
  /** Told of each campaign as soon as it is done. */
  readonly done: (campaign: Campaign, proved: Proved) => void;
}

/** Runs campaigns one after the other; one that breaks off does not stop the next. */
export async function prove(
  campaigns: readonly Campaign[],
  options: ProveOptions,
): Promise<readonly Proved[]> {
  const all: Proved[] = [];
  for (const campaign of campaigns) {
    options.print(`\n${campaign.name}: ${campaign.about}`);
    const proved = await proveOne(campaign, options);
    for (const line of linesOf(proved)) options.print(line);
    options.done(campaign, proved);
    all.push(proved);
  }
  return all;
}

async function proveOne(campaign: Campaign, { size, seed, screen }: ProveOptions): Promise<Proved> {
  const { name } = campaign;
  const startedMs = performance.now();
  const seconds = () => Math.round((performance.now() - startedMs) / 100) / 10;
  const progress = createProgress(name, screen);
  const stray = Promise.withResolvers<never>();
  // Without this, an error that a campaign lets go would end the whole run, and its last line.
  process.on("unhandledRejection", stray.reject);
  process.on("uncaughtException", stray.reject);
  try {
    const hindrance = campaign.hindrance?.();
    if (hindrance !== undefined)
      return { campaign: name, seconds: seconds(), trouble: `can't run here: ${hindrance}` };
    const running = campaign.run({ size, seed, progress: progress.show });
    const findings = await Promise.race([running, stray.promise]);
    // What was let go last is told of only in a later turn.
    const later = new Promise((resolve) => setImmediate(resolve));
    await Promise.race([later, stray.promise]);
    return { campaign: name, seconds: seconds(), findings };
  } catch (error) {
    return { campaign: name, seconds: seconds(), trouble: `broke off: ${stackOf(error)}` };
  } finally {
    progress.end();
    process.removeListener("unhandledRejection", stray.reject);
    process.removeListener("uncaughtException", stray.reject);
  }
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

function linesOf(proved: Proved): readonly string[] {
  const took = `  ${span(proved.seconds)}`;
  if ("trouble" in proved) return [`  FAILED  ${proved.trouble}`, took];
  const { arms } = proved.findings;
  if (arms.length === 0) return ["  FAILED  it found nothing", took];
  const lines = arms.flatMap((arm) => {
    const says = holds(arm) ? "ok    " : "FAILED";
    const isVoid = arm.runs === 0 ? " (void: nothing was run)" : "";
    const told = holds(arm) ? arm.failures.slice(0, 1) : arm.failures;
    const counts = [runsText(arm), countsText(arm)].filter((text) => text !== "").join("; ");
    return [
      `  ${says}  ${arm.role}  ${arm.name}: ${counts}${isVoid}`,
      ...told.map((failure) => `            ${failure}`),
    ];
  });
  return [...lines, took];
}
