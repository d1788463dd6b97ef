import { acceptedContent, inputRequired, McpServer } from "@modelcontextprotocol/server";
import { z } from "zod";
import { type Ground, question, tools } from "./ground.ts";

const inputSchema = z.object({ order: z.string() });
const say = (text: string) => ({ content: [{ type: "text" as const, text }] });

/** The fixture server for 2026-07-28. */
export function serverV2({ act, mayEnd }: Ground): McpServer {
  const server = new McpServer({ name: "fixture", version: "1.0.0" });
  for (const name of ["look", "pay", "wire"] as const) {
    server.registerTool(name, { ...tools[name], inputSchema }, ({ order }) =>
      say(act(name, order)),
    );
  }
  server.registerTool("slow", { ...tools.slow, inputSchema }, async ({ order }, { mcpReq }) => {
    const done = act("slow", order);
    const progressToken = mcpReq._meta?.progressToken;
    if (progressToken !== undefined) {
      const params = { progressToken, progress: 1, total: 2 };
      await mcpReq.notify({ method: "notifications/progress", params });
    }
    await mayEnd(order);
    return say(done);
  });
  server.registerTool("confirm", { ...tools.confirm, inputSchema }, ({ order }, { mcpReq }) => {
    const agreed = acceptedContent<{ agree: boolean }>(mcpReq.inputResponses, "sure");
    if (agreed === undefined) {
      return inputRequired({ inputRequests: { sure: inputRequired.elicit(question) } });
    }
    return say(agreed.agree ? act("confirm", order) : "not paid");
  });
  server.registerTool("refuse", { ...tools.refuse, inputSchema }, ({ order }) => ({
    ...say(act("refuse", order)),
    isError: true,
  }));
  return server;
}
