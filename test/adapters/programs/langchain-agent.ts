/** A process that resumes a thread of LangGraph, and may be killed within the tool. */
import { appendFileSync, readFileSync, writeSync } from "node:fs";
import { AIMessage, ToolMessage } from "@langchain/core/messages";
import { fakeModel } from "@langchain/core/testing";
import { tool } from "@langchain/core/tools";
import { createAgent } from "langchain";
import { z } from "zod";
import { effectOf, guardMiddleware, guardTool } from "../../../src/adapters/langchain.ts";
import { createGuard } from "../../../src/index.ts";
import { type AgentConfig, loaded } from "./langchain-saver.ts";

const config = JSON.parse(process.argv[2] ?? "{}") as AgentConfig;

function die(): never {
  process.kill(process.pid, "SIGKILL");
  // The signal comes at the end of this very turn.
  for (;;);
}

const { way, effect } = config;
const plain = tool(
  ({ cents }, given) => {
    const done = way === "plain" ? "none" : effectOf(given).idempotencyKey;
    appendFileSync(config.ledger, `${done}\n`);
    if (config.dies) die();
    return { refunded: cents };
  },
  {
    name: "refund",
    description: "Refunds an order.",
    schema: z.object({ orderId: z.string(), cents: z.number().int() }),
  },
);

const guard = createGuard({ store: config.store, leaseMs: 200, waitMs: 20_000 });
const rules = { key: ({ orderId }: { orderId: string }) => `refund:${orderId}`, effect };
const agent = createAgent({
  model: fakeModel().respond(new AIMessage("done")),
  tools: [way === "tool" ? guardTool(guard, plain, rules) : plain],
  middleware: way === "middleware" ? [guardMiddleware(guard, { tools: { refund: rules } })] : [],
  checkpointer: loaded(readFileSync(config.saved, "utf8")),
});
const { messages } = await agent.invoke(null, { configurable: { thread_id: "thread 1" } });
const told = messages
  .filter((message) => ToolMessage.isInstance(message))
  .map(({ tool_call_id, status, content }) => [tool_call_id, status, content]);
writeSync(1, JSON.stringify(told));
await guard.close();
process.exit(0);
