// In your project: from "safeagent"

import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { createGuard } from "../../src/index.ts";

// One run of a program that charges an order, as it might be started again after a crash.
const [folder = "."] = process.argv.slice(2);
const guard = createGuard({ store: join(folder, "charges.db") });

const outcome = await guard.execute({
  requestId: "charge:order-42",
  action: "charge",
  payload: { order: 42, cents: 1999 },
  run: ({ cents }) => {
    appendFileSync(join(folder, "card.log"), `charged ${cents} cents\n`);
    return { chargeId: "ch_1" };
  },
});

if (outcome.status !== "settled") throw new Error(outcome.next);
console.log(`${outcome.replayed ? "replayed" : "ran"} ${outcome.receipt.settlementId}`);
await guard.close();
