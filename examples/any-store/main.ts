// In your project: from "safeagent"

import assert from "node:assert/strict";
import { approval, createGuard } from "../../src/index.ts";

// One program for every store: "memory:" in tests, a file on one machine, Postgres for many.
//   node main.ts [memory: | FILE | postgres://user:password@host/database]
const guard = createGuard({ store: process.argv[2] ?? "safeagent.db", actor: "shop-agent" });
let refunds = 0;

const refund = guard.wrap("stripe.refund", {
  key: ({ orderId }: { orderId: string; cents: number }) => `refund:${orderId}`,
  policy: approval({ from: ["ana"], expiresIn: 60_000 }),
  run: ({ cents }, { fence }) => {
    refunds += 1;
    if (fence === 1) throw new Error("the line went dead");
    return { refunded: cents };
  },
});
const order = { orderId: "A1", cents: 500 };

// Held until a person agrees.
const asked = await refund.outcome(order);
console.log(`asked             ${asked.status}`);
assert.equal(asked.status, "pending");
await guard.approve("refund:A1", { actor: "ana", note: "the parcel was lost" });

// An error that tells nothing: did the money go?
const lost = await refund.outcome(order);
console.log(`approved          ${lost.status}`);
assert.equal(lost.status, "in_doubt");
assert.equal((await refund.outcome(order)).status, "in_doubt");
assert.equal(refunds, 1);
const { items } = await guard.list({ states: ["IN_DOUBT"] });
assert.deepEqual(
  items.map(({ caseId }) => caseId),
  ["refund:A1"],
);

// A person looks at the provider, and says so.
await guard.resolve("refund:A1", { happened: false }, { by: "ana", evidence: "no such refund" });
const done = await refund.outcome(order);
console.log(`resolved          ${done.status}`);
assert(done.status === "settled");

// From here on every ask gets this one receipt.
const [again, twin] = await Promise.all([refund.outcome(order), refund.outcome(order)]);
assert(again.status === "settled" && twin.status === "settled");
assert.deepEqual([again.receipt, twin.receipt], [done.receipt, done.receipt]);
assert.equal(refunds, 2);
assert.deepEqual((await guard.verify()).faults, []);
const events = (await guard.history("refund:A1")).map(({ entry }) => entry.event.type);
console.log(`asked twice more  the same receipt; ${events.join(", ")}`);

await guard.close();
