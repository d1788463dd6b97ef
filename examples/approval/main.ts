// In your project: from "safeagent"

import assert from "node:assert/strict";
import { approval, createGuard } from "../../src/index.ts";

// A person approves exactly what will run: this action, with this payload.
const guard = createGuard({ store: "memory:", actor: "shop-agent" });
let paid = 0;

const payInvoice = guard.wrap("pay_invoice", {
  key: (invoice: { invoiceId: string; cents: number }) => `invoice:${invoice.invoiceId}`,
  policy: approval({ from: ["ana", "ben"], expiresIn: 24 * 60 * 60 * 1000 }),
  run: ({ cents }) => {
    paid += cents;
    return { cents };
  },
});
const ask = () => payInvoice.outcome({ invoiceId: "I-7", cents: 120_000 });

const before = await ask();
console.log(`asked             ${before.status}`);
assert.equal(before.status, "pending");
assert.equal(paid, 0);

// Who asked can't approve.
await assert.rejects(guard.approve("invoice:I-7", { actor: "shop-agent" }), { code: "forbidden" });
console.log("shop-agent        may not approve its own request");

await guard.approve("invoice:I-7", { actor: "ana", note: "matches the order" });
const after = await ask();
const again = await ask();
console.log(`ana approves      ${after.status}`);
console.log(`asked once more   ${again.status}, paid ${paid} cents in all`);
assert(after.status === "settled" && again.status === "settled" && again.replayed);
assert.equal(paid, 120_000);

// An approval is for one payload: another amount under the same id is refused.
await assert.rejects(payInvoice({ invoiceId: "I-7", cents: 990_000 }), {
  code: "payload_conflict",
});
assert.equal(paid, 120_000);

await guard.close();
