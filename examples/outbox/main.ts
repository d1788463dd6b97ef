// In your project: from "safeagent"

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { createGuard } from "../../src/index.ts";

// An order and its confirmation are one decision: both in one transaction, or neither. A worker sends
// what was committed, once, though the mail server refuses at first.
const guard = createGuard({ store: "shop.db" });
const db = new DatabaseSync("shop.db");
db.exec("PRAGMA synchronous = FULL; CREATE TABLE orders (id TEXT PRIMARY KEY, email TEXT)");

async function placeOrder(id: string, email: string, paid: boolean): Promise<void> {
  db.exec("BEGIN IMMEDIATE");
  try {
    db.prepare("INSERT INTO orders VALUES (?, ?)").run(id, email);
    await guard.enqueue(db, {
      requestId: `confirm:${id}`,
      action: "confirm_order",
      payload: { id, email },
    });
    if (!paid) throw new Error("the card was declined");
    db.exec("COMMIT");
  } catch (error) {
    db.exec("ROLLBACK");
    throw error;
  }
}

await placeOrder("A1", "ana@example.com", true);
await assert.rejects(placeOrder("A2", "bob@example.com", false), /declined/);
await placeOrder("A3", "cy@example.com", true);

// In your project: a process of its own, or several.
const sent: string[] = [];
let refusals = 2;
guard.wrap("confirm_order", {
  key: (order: { id: string; email: string }) => `confirm:${order.id}`,
  run: ({ email }) => {
    // Nothing was sent: the worker tries again, a little later.
    if (refusals-- > 0) throw Object.assign(new Error("connect"), { code: "ECONNREFUSED" });
    sent.push(email);
    return { accepted: email };
  },
});
const end = new AbortController();
const work = guard.work({ signal: end.signal });
while ((await guard.list({ states: ["SETTLED"] })).items.length < 2) {
  await new Promise((resolve) => setTimeout(resolve, 20));
}
end.abort();
await work;

const orders = db.prepare("SELECT id FROM orders ORDER BY id").all();
console.log(`orders: ${orders.map(({ id }) => id).join(", ")}`);
console.log(`confirmed: ${[...sent].sort().join(", ")}`);
assert.deepEqual([...sent].sort(), ["ana@example.com", "cy@example.com"]);
assert.equal(await guard.receipt("confirm:A2"), undefined);
assert.equal((await guard.list()).items.length, 2);

db.close();
await guard.close();
