import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { ElicitResultSchema } from "@modelcontextprotocol/sdk/types.js";
import { z } from "zod";
import { type Ground, question, tools } from "./ground.ts";

const inputSchema = { order: z.string() };
const say = (text: string) => ({ content: [{ type: "text" as const, text }] });

/** The fixture server for the revisions until 2025-11-25. */
export function serverV1({ act, mayEnd }: Ground): McpServer {
  const server = new McpServer({ name: "fixture", version: "1.0.0" });
  for (const name of ["look", "pay", "wire"] as const) {
    server.registerTool(name, { ...tools[name], inputSchema }, ({ order }) =>
      say(act(name, order)),
    );
  }
  server.registerTool("slow", { ...tools.slow, inputSchema }, async ({ order }, extra) => {
    const done = act("slow", order);
    const progressToken = extra._meta?.progressToken;
    if (progressToken !== undefined) {
      const params = { progressToken, progress: 1, total: 2 };
      await extra.sendNotification({ method: "notifications/progress", params });
    }
    await mayEnd(order);
    return say(done);
  });
  server.registerTool("confirm", { ...tools.confirm, inputSchema }, async ({ order }, extra) => {
    const params = { mode: "form" as const, ...question };
    const request = { method: "elicitation/create" as const, params };
    const { action, content } = await extra.sendRequest(request, ElicitResultSchema);
    return say(action === "accept" && content?.agree === true ? act("confirm", order) : "not paid");
  });
  server.registerTool("refuse", { ...tools.refuse, inputSchema }, ({ order }) => ({
    ...say(act("refuse", order)),
    isError: true,
  }));
  return server;
}
