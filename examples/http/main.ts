// In your project: from "safeagent" and "safeagent/http"

import assert from "node:assert/strict";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import express from "express";
import { effectOf, expressIdempotency } from "../../src/http/index.ts";
import { createGuard } from "../../src/index.ts";

// A server that pays out, and a client that retries. The bank's answer is lost for order C3.
const guard = createGuard({ store: "safeagent.db" });
const payouts: string[] = [];

const idempotency = expressIdempotency(guard, {
  principal: (request: express.Request) => request.get("authorization"),
});

const app = express();
app.use(express.json(), idempotency);
app.post("/payouts", (request, response) => {
  const { order, cents } = request.body;
  payouts.push(`${order} ${cents} ${effectOf(request).idempotencyKey.slice(0, 4)}`);
  if (order === "C3") throw new Error("the line went dead");
  response.status(201).json({ payout: payouts.length, order });
});
app.use(idempotency.errors);
const internal: express.ErrorRequestHandler = (_error, _request, response, _next) => {
  response.sendStatus(500);
};
app.use(internal);

const server = app.listen(0, "127.0.0.1");
await once(server, "listening");
const { port } = server.address() as AddressInfo;

async function pay(key: string, body: object, user = "ana") {
  const response = await fetch(`http://127.0.0.1:${port}/payouts`, {
    method: "POST",
    headers: { authorization: user, "content-type": "application/json", "idempotency-key": key },
    body: JSON.stringify(body),
  });
  const replayed = response.headers.get("idempotent-replayed") === "true";
  const said = (await response.json()) as { readonly payout?: number; readonly code?: string };
  return { status: response.status, replayed, ...said };
}

function show(what: string, got: Awaited<ReturnType<typeof pay>>, ...expected: unknown[]): void {
  const { status, replayed, payout, code } = got;
  console.log(
    `${what.padEnd(28)}${status} ${code ?? `payout ${payout}`}${replayed ? ", replayed" : ""}`,
  );
  assert.deepEqual([status, code ?? payout, replayed], expected);
}

const order = { order: "A1", cents: 500 };
show("first", await pay("k1", order), 201, 1, false);
show("the same again", await pay('"k1"', { cents: 500, order: "A1" }), 201, 1, true);
show(
  "another amount",
  await pay("k1", { ...order, cents: 50_000 }),
  422,
  "payload_conflict",
  false,
);
show("another user, the same key", await pay("k1", order, "ben"), 201, 2, false);
show(
  "the bank's answer is lost",
  await pay("k3", { order: "C3", cents: 900 }),
  423,
  "in_doubt",
  false,
);
show("and asked again", await pay("k3", { order: "C3", cents: 900 }), 423, "in_doubt", false);

console.log(`payouts                     ${payouts.length}`);
assert.equal(payouts.length, 3);

server.closeAllConnections();
server.close();
await guard.close();
