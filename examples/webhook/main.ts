// In your project: from "safeagent" and "safeagent/http"

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { webhook } from "../../src/http/index.ts";
import { createGuard, NotPerformed } from "../../src/index.ts";

// A billing service tells of paid orders; each is shipped once, however often it tells.
const guard = createGuard({ store: "safeagent.db" });
const key = Buffer.from("a secret of 24 bytes or more");
const shipped: string[] = [];
let open = false;

const receive = webhook(
  guard,
  { secret: `whsec_${key.toString("base64")}`, action: "billing" },
  ({ json }) => {
    const { order } = json as { readonly order: string };
    if (order === "B2" && !open) throw new NotPerformed("the warehouse is closed");
    shipped.push(order);
    if (order === "C3") throw new Error("the carrier did not answer");
  },
);

function deliver(id: string, order: string, by = key): Promise<Response> {
  const body = JSON.stringify({ type: "order.paid", order });
  const timestamp = String(Math.floor(Date.now() / 1000));
  const digest = createHmac("sha256", by).update(`${id}.${timestamp}.${body}`).digest("base64");
  return receive(
    new Request("http://localhost/hooks/billing", {
      method: "POST",
      headers: {
        "webhook-id": id,
        "webhook-timestamp": timestamp,
        "webhook-signature": `v1,${digest}`,
      },
      body,
    }),
  );
}

function show(what: string, { status }: Response, expected: number): void {
  console.log(`${what.padEnd(34)}${status}  shipped: ${shipped.join(", ")}`);
  assert.equal(status, expected);
}

show("A1 paid", await deliver("msg_1", "A1"), 204);
show("delivered again", await deliver("msg_1", "A1"), 204);
show("signed by somebody else", await deliver("msg_9", "Z9", Buffer.alloc(24)), 401);
show("B2 paid, the warehouse is closed", await deliver("msg_2", "B2"), 503);
open = true;
show("so it is delivered again", await deliver("msg_2", "B2"), 204);
show("C3 paid, the carrier is silent", await deliver("msg_3", "C3"), 202);
show("delivered again", await deliver("msg_3", "C3"), 202);

assert.deepEqual(shipped, ["A1", "B2", "C3"]);
const { items } = await guard.list({ states: ["IN_DOUBT"] });
console.log(`for a person to check             ${items.map(({ caseId }) => caseId).join(", ")}`);
assert.deepEqual(
  items.map(({ caseId }) => caseId),
  ["webhook:billing:id:msg_3"],
);
await guard.close();
