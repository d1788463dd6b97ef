// In your project: from "safeagent"

import assert from "node:assert/strict";
import { createGuard } from "../../src/index.ts";

// A case is decided by signals, its effect runs once, and every request gets the one settlement.
const guard = createGuard({ store: "memory:" });
const sent: string[] = [];

const invoice = guard.case("invoice:C123", { outcomes: ["SEND", "HOLD"] });
const vote = await invoice.signal({ source: "billing-agent", outcome: "SEND", confidence: 0.86 });
console.log(`one signal        ${vote.case.state}`);

const decided = await invoice.decide("SEND", { by: "ana", reason: "checked the order" });
console.log(`ana decides       ${decided.state}`);

const settle = (requestId: string) =>
  invoice.settle({
    requestId,
    action: "send_email",
    payload: { to: "c123@example.com" },
    run: ({ to }) => {
      sent.push(to);
      return { messageId: `m-${sent.length}` };
    },
  });

const first = await settle("request-1");
const retry = await settle("request-1");
const later = await settle("request-2");
assert(first.status === "settled" && retry.status === "settled" && later.status === "settled");

for (const [name, outcome] of Object.entries({ first, retry, later })) {
  console.log(`${name.padEnd(17)} ${outcome.replayed ? "replayed" : "ran"}`);
}
assert.deepEqual(retry.receipt, first.receipt);
assert.equal(later.receipt.settlementId, first.receipt.settlementId);
assert.deepEqual(sent, ["c123@example.com"]);
console.log(`e-mails sent      ${sent.length}, with one settlement id for three requests`);

await guard.close();
