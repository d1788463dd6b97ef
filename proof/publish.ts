import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Campaign } from "./campaign.ts";
import { pageWith } from "./page.ts";
import { type Run, readRecord, recordText, withRuns } from "./record.ts";

const pageFile: string = fileURLToPath(new URL("../docs/proof.md", import.meta.url));
const recordFile: string = fileURLToPath(new URL("../docs/proof.json", import.meta.url));

/** The page as it stands, and the runs that it is drawn from. */
export function published(): { readonly page: string; readonly runs: readonly Run[] } {
  const runs = existsSync(recordFile) ? readRecord(readFileSync(recordFile, "utf8")) : [];
  return { page: readFileSync(pageFile, "utf8"), runs };
}

/** Keeps a run in the place of the campaign's last one, and draws the page anew. */
export function publish(run: Run, campaigns: readonly Campaign[]): void {
  const { page, runs } = published();
  const text = recordText(withRuns(runs, [run], campaigns));
  // The page is drawn from what a reader of the file will read.
  const drawn = pageWith(page, readRecord(text));
  writeFileSync(recordFile, text);
  writeFileSync(pageFile, drawn);
}
