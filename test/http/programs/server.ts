import { appendFileSync } from "node:fs";
import { serve } from "@hono/node-server";
import { withIdempotency } from "../../../src/http/index.ts";
import { createGuard } from "../../../src/index.ts";

// A server whose handler does its effect, and then hangs, or answers:
//   node server.ts STORE LEDGER hangs|answers
const [store = "", ledger = "", mode] = process.argv.slice(2);
const guard = createGuard({ store, leaseMs: 200 });

const POST = withIdempotency(guard, { singleTenant: true }, async () => {
  appendFileSync(ledger, `refunded by ${mode}\n`);
  if (mode === "hangs") {
    process.send?.({ effect: "done" });
    await new Promise(() => {});
  }
  return Response.json({ refunded: true }, { status: 201 });
});

serve({ fetch: POST, port: 0, hostname: "127.0.0.1" }, ({ port }) => process.send?.({ port }));
