import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { inScratchFolder } from "../../proof/folder.ts";
import { examine } from "../../proof/power-loss/examine.ts";
import { readRecording, record } from "../../proof/power-loss/record.ts";
import { recordings } from "../../proof/power-loss/recordings.ts";

/** Images of a recording of the campaign: what is wrong with them, and which syncs had failed. */
function lossesOf(name: string, images: number) {
  return inScratchFolder(async (scratch) => {
    const recording = recordings.find((one) => one.name === name)!;
    const logs = join(scratch, "logs");
    const folder = join(scratch, "image");
    mkdirSync(folder);
    await record(recording, logs, 1, join(scratch, "compiled"));
    const numbers = Array.from({ length: images }, (_, number) => number);
    const losses: string[] = [];
    await examine({ recording, logs, folder, seed: 1, numbers }, ({ cut, wrongs }) => {
      for (const { what } of wrongs) losses.push(`cut ${cut}: ${what}`);
    });
    const failed = readRecording(recording, logs).traced.flatMap((entry) =>
      entry.does === "sync" && entry.failed ? [entry.file] : [],
    );
    return { losses, failed };
  });
}

// A claim, a settle.
test.each([4, 5])(
  "killed in sync %i: what it left in the kernel's memory is told only once it is on the disk",
  async (sync) => {
    const { losses } = await lossesOf(`killed in sync ${sync}, then asked again`, 100);
    expect(losses).toEqual([]);
  },
);

test.each(["4..5", "4+"])(
  "sync %s fails: what it should have covered is never taken for committed",
  async (which) => {
    const { losses, failed } = await lossesOf(`sync ${which} fails`, 100);
    expect(failed).toContain("safeagent.db-wal");
    expect(losses).toEqual([]);
  },
);

test("the folder's sync fails: nothing is acknowledged in a file that may have no name", async () => {
  const failed = new Set<string>();
  for (const sync of [1, 2, 3]) {
    const found = await lossesOf(`sync ${sync} fails`, 60);
    expect(found.losses).toEqual([]);
    for (const file of found.failed) failed.add(file);
  }
  // The folder has no name of its own.
  expect(failed).toContain("");
});

test("control: with synchronous=NORMAL, receipts are lost", async () => {
  const { losses } = await lossesOf("synchronous=NORMAL", 40);
  expect(losses.join("\n")).toContain("was told its receipt");
});
