// In your project: from "safeagent"

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createGuard, threshold } from "../../src/index.ts";

// Three oracles say who won; the pot is paid once, however often the payout is run.
const folder = mkdtempSync(join(tmpdir(), "safeagent-market-"));
process.on("exit", () => rmSync(folder, { recursive: true }));
const stakes = { alice: 60, bob: 40 };
const paid: { to: string; amount: number }[] = [];

async function payOut(run: number): Promise<string> {
  // A new guard on the same file each time, as after a restart.
  const guard = createGuard({ store: join(folder, "market.db") });
  const match = guard.case("match:final-2026", {
    outcomes: ["alice", "bob"],
    policy: threshold({ share: 0.8, quorum: 3 }),
  });
  let winner: string | null | undefined;
  for (const source of ["oracle-A", "oracle-B", "oracle-C"]) {
    const vote = await match.signal({ source, outcome: "alice", signalId: `${source}:1` });
    winner = vote.case.verdict?.outcome;
  }
  assert(winner, "three of three agree");
  const outcome = await match.settle({
    requestId: `payout-run-${run}`,
    action: "pay_pot",
    payload: { to: winner, amount: stakes.alice + stakes.bob },
    run: (payment) => {
      paid.push(payment);
      return payment;
    },
  });
  await guard.close();
  assert(outcome.status === "settled");
  console.log(`run ${run}     ${outcome.replayed ? "replayed" : "paid"}`);
  return outcome.receipt.settlementId;
}

const settlements = new Set([await payOut(1), await payOut(2), await payOut(3)]);

console.log(`paid out  ${paid.map(({ to, amount }) => `${amount} to ${to}`).join(", ")}`);
assert.deepEqual(paid, [{ to: "alice", amount: 100 }]);
assert.equal(settlements.size, 1);
