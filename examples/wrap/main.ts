// In your project: from "safeagent"

import assert from "node:assert/strict";
import { createGuard } from "../../src/index.ts";

// A plain function, wrapped once, called like before.
const guard = createGuard({ store: "memory:" });
let refunds = 0;

async function refundCard(order: { orderId: string; cents: number }) {
  refunds += 1;
  return { refundId: `re_${refunds}`, cents: order.cents };
}

const refund = guard.wrap("refund", {
  key: (order: { orderId: string; cents: number }) => `refund:${order.orderId}`,
  run: refundCard,
});

const first = await refund({ orderId: "A1", cents: 500 });
const again = await refund({ orderId: "A1", cents: 500 });
const twins = await Promise.all([
  refund({ orderId: "B2", cents: 900 }),
  refund({ orderId: "B2", cents: 900 }),
]);

console.log(`order A1  ${first.refundId}, asked again ${again.refundId}`);
console.log(`order B2  ${twins[0].refundId}, its twin at the same time ${twins[1].refundId}`);
assert.deepEqual(again, first);
assert.deepEqual(twins[0], twins[1]);
assert.equal(refunds, 2);

// Another amount for the same order is not a repeat: it is refused, and nothing runs.
await assert.rejects(refund({ orderId: "A1", cents: 50_000 }), { code: "payload_conflict" });
assert.equal(refunds, 2);
console.log(`refunds   ${refunds}, and another amount for A1 is refused`);

await guard.close();
