import { debian } from "../test/postgres/servers/binaries.ts";
import type { Arm, Campaign, CampaignOptions, Findings } from "./campaign.ts";
import { crashes } from "./postgres/crashes.ts";
import { cutTransactions } from "./postgres/cut-transactions.ts";
import { failovers } from "./postgres/failovers.ts";
import { lostCommits } from "./postgres/lost-commits.ts";
import { armOf, type Part } from "./postgres/play.ts";
import { storms } from "./postgres/storms.ts";

const parts: readonly Part[] = [
  ...lostCommits,
  ...crashes,
  ...failovers,
  ...storms,
  ...cutTransactions,
];

/** Parts that are played side by side: most of each is waiting for a disk or a server. */
const atOnce = 2;

/** The Postgres store on real servers, which lose answers, crash, and fail over. */
export const postgres: Campaign = {
  name: "postgres",
  about:
    "Real PostgreSQL servers under load: commits whose request or answer is lost, crashes, failovers to a standby, many processes that ask for the same cases, and processes killed in effects that write to the guard's own database. All other effects are counted outside of the database. No acknowledged receipt may be lost, no effect doubled, and none be in doubt whose process lives.",
  hindrance,
  run,
};

function hindrance(): string | undefined {
  try {
    debian();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

async function run({ size, progress }: CampaignOptions): Promise<Findings> {
  const total = parts.reduce((sum, { runs }) => sum + runs[size], 0);
  const arms = new Map<Part, Arm>();
  const waiting = [...parts];
  let done = 0;
  const lane = async (): Promise<void> => {
    for (let part = waiting.shift(); part !== undefined; part = waiting.shift()) {
      const { name, runs } = part;
      progress(done, total, name);
      const played = await part.play(runs[size], () => {
        done += 1;
        progress(Math.min(done, total), total, name);
      });
      arms.set(part, armOf(part, played, runs[size]));
    }
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  return { arms: parts.flatMap((part) => arms.get(part) ?? []) };
}
