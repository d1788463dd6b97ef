/**
 * An MCP server over stdio with one tool. Arguments: the store, the ledger, the effect's class
 * (`unguarded`: the plain SDK), and whether it is killed within the tool.
 */
import { appendFileSync } from "node:fs";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import type { CallToolResult } from "@modelcontextprotocol/sdk/types.js";
import { z } from "zod";
import { effectOf, guardTool } from "../../../src/adapters/mcp.ts";
import { createGuard } from "../../../src/index.ts";

const [store = "", ledger = "", effect = "opaque", end = ""] = process.argv.slice(2);
const server = new McpServer({ name: "refunds", version: "1.0.0" });
const inputSchema = { orderId: z.string() };

function refund(orderId: string, underKey: string): CallToolResult {
  appendFileSync(ledger, `${orderId} ${underKey}\n`);
  if (end === "killed") process.kill(process.pid, "SIGKILL");
  return { content: [{ type: "text", text: `refunded ${orderId}` }] };
}

if (effect === "unguarded") {
  server.registerTool("refund", { inputSchema }, ({ orderId }) => refund(orderId, "no key"));
} else {
  // Short, so that a test needn't wait long for the lease of a process that is gone.
  const guard = createGuard({ store, leaseMs: 500 });
  server.registerTool(
    "refund",
    { inputSchema },
    guardTool(
      guard,
      "refund",
      ({ orderId }, extra) => refund(orderId, effectOf(extra).idempotencyKey),
      {
        key: ({ orderId }) => `refund:${orderId}`,
        effect: effect === "keyed" ? "keyed" : "opaque",
      },
    ),
  );
}
await server.connect(new StdioServerTransport());
