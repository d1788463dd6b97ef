import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import { z } from "zod";

/** An MCP server over stdio whose tools do nothing: `look` is marked read-only, `pay` is not. */
const server = new McpServer({ name: "echo", version: "1.0.0" });
const inputSchema = { order: z.string() };
const answer = ({ order }: { readonly order: string }) => ({
  content: [{ type: "text" as const, text: order }],
});
server.registerTool("look", { inputSchema, annotations: { readOnlyHint: true } }, answer);
server.registerTool("pay", { inputSchema, annotations: {} }, answer);
await server.connect(new StdioServerTransport());
