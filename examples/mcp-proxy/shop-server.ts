import { appendFileSync } from "node:fs";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import { z } from "zod";

// Somebody else's MCP server, which knows nothing of the guard. Each refund is a line in a file.
const server = new McpServer({ name: "shop", version: "1.0.0" });
const inputSchema = { order: z.string() };
const say = (text: string) => ({ content: [{ type: "text" as const, text }] });

server.registerTool("status", { inputSchema, annotations: { readOnlyHint: true } }, ({ order }) =>
  say(`${order}: delivered`),
);
server.registerTool("refund", { inputSchema }, ({ order }) => {
  const id = `re_${Math.random().toString(36).slice(2, 8)}`;
  appendFileSync("refunds", `${order} ${id}\n`);
  // This one goes through at the bank, and then the server dies.
  if (order === "A2") process.kill(process.pid, "SIGKILL");
  return say(`refunded ${order} as ${id}`);
});

await server.connect(new StdioServerTransport());
