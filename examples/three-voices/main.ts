// In your project: from "safeagent"

import assert from "node:assert/strict";
import { createGuard, threshold } from "../../src/index.ts";

// Three voices disagree. Nothing runs until a person decides; then it runs once.
const guard = createGuard({ store: "memory:" });
const closed: string[] = [];

const account = guard.case("close-account:C9", {
  outcomes: ["CLOSE", "KEEP"],
  policy: threshold({ share: 0.8, quorum: 3 }),
  allow: ["CLOSE"],
});
const settle = (requestId: string) =>
  account.settle({
    requestId,
    action: "close_account",
    payload: { customer: "C9" },
    run: ({ customer }) => void closed.push(customer),
  });

await account.signal({ source: "triage", outcome: "CLOSE", confidence: 0.62 });
await account.signal({ source: "billing", outcome: "CLOSE", confidence: 0.91 });
const third = await account.signal({ source: "fraud", outcome: "KEEP", confidence: 0.55 });
console.log(`2 of 3 say CLOSE  ${third.case.state}: ${third.case.verdict?.why}`);

const held = await settle("ask-1");
console.log(`ask-1             ${held.status}`);
assert.equal(held.status, "pending");
assert.deepEqual(closed, []);

await account.decide("CLOSE", { by: "ana", reason: "the customer confirmed on the phone" });
const ran = await settle("ask-1");
const again = await settle("ask-2");
assert(ran.status === "settled" && again.status === "settled");
console.log(`ana decides       ${ran.status}, closed: ${closed.join(", ")}`);
console.log(`ask-2             replayed: ${again.replayed}`);
assert.equal(again.receipt.settlementId, ran.receipt.settlementId);
assert.deepEqual(closed, ["C9"]);

await guard.close();
