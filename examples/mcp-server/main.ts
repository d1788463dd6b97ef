// In your project: from "safeagent" and "safeagent/mcp"

import assert from "node:assert/strict";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { InMemoryTransport } from "@modelcontextprotocol/sdk/inMemory.js";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { ElicitRequestSchema } from "@modelcontextprotocol/sdk/types.js";
import { z } from "zod";
import { effectOf, guardTool, mcpMeta } from "../../src/adapters/mcp.ts";
import { createGuard } from "../../src/index.ts";

// An MCP server whose tools are called again: by a client that lost the answer, by a model that asks twice.
const guard = createGuard({ store: "memory:" });
const server = new McpServer({ name: "shop", version: "1.0.0" });
const provider: string[] = [];

server.registerTool(
  "refund",
  { inputSchema: { orderId: z.string(), cents: z.number().int() } },
  guardTool(
    guard,
    "refund",
    async ({ orderId, cents }, extra) => {
      const { idempotencyKey } = effectOf(extra);
      provider.push(`${orderId} ${cents} under ${idempotencyKey.slice(0, 8)}`);
      return { content: [{ type: "text", text: `refund re_${provider.length}` }] };
    },
    { key: ({ orderId }) => `refund:${orderId}` },
  ),
);

server.registerTool(
  "close_account",
  { inputSchema: { account: z.string() } },
  guardTool(
    guard,
    "close_account",
    async ({ account }) => {
      provider.push(`closed ${account}`);
      return { content: [{ type: "text", text: `closed ${account}` }] };
    },
    { key: ({ account }) => `close:${account}`, approveBy: "elicitation" },
  ),
);

// A client, and the person in front of it.
const client = new Client(
  { name: "agent", version: "1.0.0" },
  { capabilities: { elicitation: {} } },
);
client.setRequestHandler(ElicitRequestSchema, ({ params }) => {
  console.log(`asked    ${params.message.replaceAll(/\s+/g, " ")}`);
  return { action: params.message.includes("acc-1") ? "accept" : "decline", content: {} };
});
const [here, there] = InMemoryTransport.createLinkedPair();
await Promise.all([server.connect(there), client.connect(here)]);

async function call(name: string, args: Record<string, unknown>) {
  const result = await client.callTool({ name, arguments: args });
  const [part] = result.content as { text: string }[];
  const replayed = result._meta?.[mcpMeta.replayed] === true;
  console.log(`${replayed ? "replayed" : "answered"} ${part?.text}`);
  return { text: part?.text ?? "", replayed, isError: result.isError === true };
}

const first = await call("refund", { orderId: "A1", cents: 500 });
const again = await call("refund", { orderId: "A1", cents: 500 });
assert.equal(again.text, first.text);
assert.equal(again.replayed, true);

const other = await call("refund", { orderId: "A1", cents: 50_000 });
assert.equal(other.isError, true);

assert.equal((await call("close_account", { account: "acc-1" })).text, "closed acc-1");
assert.match((await call("close_account", { account: "acc-2" })).text, /^Not executed/);

console.log(`the provider saw: ${provider.join("; ")}`);
assert.equal(provider.length, 2);

await client.close();
await guard.close();
