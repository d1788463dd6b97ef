import type { Arm, Campaign, CampaignOptions, Findings, Size } from "./campaign.ts";
import { accountOf } from "./damage/account.ts";
import { harmedBy, withCopies } from "./damage/copies.ts";
import { kinds } from "./damage/harm.ts";
import type { Judged } from "./damage/judge.ts";

const copiesOf: { readonly [S in Size]: number } = { quick: 225, full: 4_500, release: 16_000 };

export const damage: Campaign = {
  name: "damage",
  about:
    "A copy of a store is damaged: bits flipped, pages lost, files cut off, rows swapped, deleted, changed and forged. `guard.verify()` finds every copy in which a record changed, and names the case, or the store refuses to be opened.",
  run,
};

async function run({ size, seed, progress }: CampaignOptions): Promise<Findings> {
  const count = copiesOf[size];
  const accounts = new Map(kinds.map((kind) => [kind, accountOf(kind)]));
  const control = sqliteAlone();
  await withCopies(async (copies) => {
    for (let done = 0; done < count; done += 1) {
      const judged = await harmedBy(copies, seed + done);
      accounts.get(judged.kind)?.add(judged, seed + done);
      control.add(judged);
      progress(done + 1, count, judged.kind.name);
    }
  });
  return { arms: [...[...accounts.values()].map((account) => account.arm()), control.arm()] };
}

/** The same copies, looked at by SQLite alone: its own check, and a read of all there is. */
function sqliteAlone() {
  let [changed, missed] = [0, 0];
  return {
    add({ damage: done, passesSqlite }: Judged): void {
      if (done.is !== "changed") return;
      changed += 1;
      if (passesSqlite) missed += 1;
    },
    arm: (): Arm => ({
      name: "SQLite alone: integrity_check, and a read of every row",
      role: "control",
      runs: changed,
      unit: "changed copies",
      counts: { missed },
      asExpected: missed > changed / 2,
      failures: [],
    }),
  };
}
