import { existsSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { choiceOf } from "./choice.ts";
import { emptyDisk, type Image } from "./disk.ts";
import { judge, type Wrong } from "./judge.ts";
import { database, type Recorded, readRecording } from "./record.ts";
import type { Recording } from "./recordings.ts";
import { nothingTold, type Said } from "./said.ts";

/** What came of one image. */
export interface Examined {
  readonly number: number;
  readonly cut: number;
  /** Changes whose fate was open. */
  readonly unsynced: number;
  /** What had been acknowledged, and was looked for. */
  readonly receipts: number;
  readonly claims: number;
  /** Signals and decisions. */
  readonly voices: number;
  readonly wrongs: readonly Wrong[];
}

export interface Examination {
  readonly recording: Recording;
  /** Where its logs are. */
  readonly logs: string;
  /** Where images may be laid out. */
  readonly folder: string;
  readonly seed: number;
  /** The numbers of the images to look at. */
  readonly numbers: readonly number[];
}

/** Builds images of one recording, opens each, and tells of each what is wrong with it. */
export async function examine(
  { recording, logs, folder, seed, numbers }: Examination,
  tell: (examined: Examined) => void,
): Promise<{ readonly failedSyncs: number }> {
  const { traced, from } = recordedIn(recording, logs);
  const span = { from, to: traced.length };
  const chosen = numbers
    .map((number) => ({ number, ...choiceOf(seed, recording.name, number, span) }))
    .sort((one, other) => one.cut - other.cut);
  const disk = emptyDisk();
  const told = nothingTold();
  let at = 0;
  for (const { number, cut, fate, leavesSharedMemory, chance } of chosen) {
    for (; at < cut; at += 1) {
      const entry = traced[at];
      if (entry === undefined) break;
      disk.apply(entry);
      if (entry.does === "say") told.hear(JSON.parse(entry.text) as Said);
    }
    layOut(folder, disk.image(fate, chance));
    if (leavesSharedMemory && existsSync(join(folder, database))) {
      const leftovers = Buffer.alloc(32_768, chance.below(256));
      writeFileSync(join(folder, `${database}-shm`), leftovers);
    }
    const unsynced = disk.unsynced();
    const wrongs = await judge(folder, told, chance);
    const receipts = told.receipts.size;
    const claims = told.started.size;
    const voices = told.signals.size + told.decisions.length;
    tell({ number, cut, unsynced, receipts, claims, voices, wrongs });
  }
  return { failedSyncs: traced.filter((entry) => entry.does === "sync" && entry.failed).length };
}

let latest: (Recorded & { readonly logs: string }) | undefined;

/** Reading a long log takes a second: the next images are of the same one, as a rule. */
function recordedIn(recording: Recording, logs: string): Recorded {
  if (latest?.logs !== logs) latest = { logs, ...readRecording(recording, logs) };
  return latest;
}

/** Puts an image in the place of whatever the folder had. */
export function layOut(folder: string, image: Image): void {
  for (const name of readdirSync(folder)) if (!image.has(name)) rmSync(join(folder, name));
  for (const [name, content] of image) writeFileSync(join(folder, name), content);
}
