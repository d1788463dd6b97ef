// In your project: from "safeagent"

import assert from "node:assert/strict";
import { createGuard } from "../../src/index.ts";

// A nonce names one ask. The same nonce is a repeat; a new nonce for the same case is another ask
// for the same effect. Neither runs it again.
const guard = createGuard({ store: "memory:" });
let transfers = 0;

const transfer = (nonce: string, cents = 5000) =>
  guard.execute({
    requestId: nonce,
    caseId: "transfer:rent-2026-05",
    action: "transfer",
    payload: { to: "landlord", cents },
    run: () => ({ transferNo: ++transfers }),
  });

const settlementOf = async (nonce: string) => {
  const outcome = await transfer(nonce);
  assert(outcome.status === "settled");
  console.log(
    `${nonce}  ${outcome.replayed ? "replayed" : "ran     "}  no. ${outcome.receipt.value?.transferNo}`,
  );
  return outcome.receipt.settlementId;
};

const first = await settlementOf("nonce-1");
const same = await settlementOf("nonce-1");
const other = await settlementOf("nonce-2");
assert.equal(same, first);
assert.equal(other, first);
assert.equal(transfers, 1);

// A used nonce with another payload is a conflict, not a repeat.
await assert.rejects(transfer("nonce-1", 9900), { code: "payload_conflict" });
assert.equal(transfers, 1);
console.log("nonce-1 with another amount: payload_conflict, nothing runs");

await guard.close();
