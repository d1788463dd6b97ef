import { cpSync, mkdirSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Campaign, CampaignOptions, Findings, Size } from "./campaign.ts";
import { inScratchFolder } from "./folder.ts";
import { type Account, armsOf, newAccount } from "./power-loss/account.ts";
import { examineAll, type Task } from "./power-loss/examiners.ts";
import { record } from "./power-loss/record.ts";
import { type Recording, recordings } from "./power-loss/recordings.ts";
import { straceHindrance } from "./power-loss/strace.ts";

/** Images of the real store, and of each control. */
const images: { readonly [S in Size]: { readonly defence: number; readonly control: number } } = {
  quick: { defence: 800, control: 60 },
  full: { defence: 8_000, control: 400 },
  release: { defence: 50_000, control: 1_000 },
};

/** A task has at most so many images, so that no process has the last one for long. */
const taskImages = 400;
const recordedAtOnce = 2;

export const powerLoss: Campaign = {
  name: "power-loss",
  about:
    "The power goes at any moment of a recorded run, and of the writes that were not synced then, none, all, some, or torn ones got to the disk: the real store opens each such image and has everything that was acknowledged.",
  hindrance: straceHindrance,
  run,
};

async function run({ size, seed, progress }: CampaignOptions): Promise<Findings> {
  const chosen = recordings.filter(({ long }) => size !== "quick" || long !== true);
  const counted = chosen.map((one) => [one, countOf(one, chosen, size)] as const);
  const total = counted.reduce((sum, [, count]) => sum + count, 0);
  return inScratchFolder(async (scratch) => {
    const logsOf = await recordAll(chosen, scratch, seed, (note) => progress(0, total, note));
    const tasks = counted.flatMap(([one, count]) => tasksOf(one, logsOf(one), count, seed));
    const accounts = new Map<Recording, Account>(chosen.map((one) => [one, newAccount(one)]));
    const accountOf = (one: Recording): Account => accounts.get(one) as Account;
    let done = 0;
    await examineAll(tasks, scratch, {
      examined({ recording }, examined) {
        accountOf(recording).add(examined);
        done += 1;
        progress(done, total, recording.name);
      },
      done: ({ recording }, { failedSyncs }) => accountOf(recording).failedSyncs(failedSyncs),
    });
    const all = [...accounts.values()];
    return { arms: armsOf(all, showing(all, logsOf, seed)) };
  });
}

async function recordAll(
  chosen: readonly Recording[],
  scratch: string,
  seed: number,
  tell: (note: string) => void,
): Promise<(recording: Recording) => string> {
  const folders = new Map(
    chosen.map((one, index) => [one, join(scratch, `recording-${index + 1}`)]),
  );
  const logsOf = (one: Recording): string => folders.get(one) ?? scratch;
  const waiting = [...chosen];
  const lane = async (): Promise<void> => {
    for (let one = waiting.shift(); one !== undefined; one = waiting.shift()) {
      tell(`recording: ${one.name}`);
      await record(one, logsOf(one), seed, join(scratch, "compiled"));
    }
  };
  await Promise.all(Array.from({ length: recordedAtOnce }, lane));
  return logsOf;
}

function countOf(recording: Recording, chosen: readonly Recording[], size: Size): number {
  const { defence, control } = images[size];
  if (recording.role === "control") return control;
  const shares = chosen.filter(({ role }) => role === "defence").map(({ share }) => share);
  const all = shares.reduce((sum, share) => sum + share, 0);
  return Math.ceil((defence * recording.share) / all);
}

function tasksOf(recording: Recording, logs: string, count: number, seed: number): Task[] {
  const pieces = Math.ceil(count / taskImages);
  return Array.from({ length: pieces }, (_, piece) => ({
    recording,
    logs,
    seed,
    // Each piece goes over the whole trace: its images lie close to each other there.
    numbers: Array.from({ length: count }, (_, number) => number).filter(
      (number) => number % pieces === piece,
    ),
  }));
}

/** Keeps the logs of what failed, since no run writes the same ones again, and says how to look at an image of them. */
function showing(
  accounts: readonly Account[],
  logsOf: (recording: Recording) => string,
  seed: number,
): (recording: Recording, number: number) => string {
  const failed = accounts.filter((one) => one.recording.role === "defence" && one.hasFailed());
  if (failed.length === 0) return () => "";
  const kept = mkdtempSync(join(tmpdir(), "safeagent-power-loss-"));
  const folders = new Map(
    failed.map(({ recording }, index) => {
      const folder = join(kept, String(index + 1));
      mkdirSync(folder);
      cpSync(logsOf(recording), folder, { recursive: true });
      return [recording, folder];
    }),
  );
  return (recording, number) =>
    `npx node proof/power-loss/show.ts ${folders.get(recording)} "${recording.name}" ${seed} ${number}`;
}
