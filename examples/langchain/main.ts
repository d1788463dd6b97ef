// In your project: from "safeagent" and "safeagent/langchain"

import assert from "node:assert/strict";
import { AIMessage } from "@langchain/core/messages";
import { fakeModel } from "@langchain/core/testing";
import { tool } from "@langchain/core/tools";
import { MemorySaver } from "@langchain/langgraph";
import { createAgent } from "langchain";
import { z } from "zod";
import { guardMiddleware, guardTool } from "../../src/adapters/langchain.ts";
import { createGuard } from "../../src/index.ts";

// A thread is taken up again from the checkpoint before its tool: the tool runs again, and pays again.
const guard = createGuard({ store: "safeagent.db" });
const rules = { key: ({ orderId }: { orderId: string }) => `refund:${orderId}` };

function refundTool(provider: string[]) {
  return tool(
    async ({ orderId, cents }) => {
      provider.push(`${orderId} ${cents}`);
      return { refundId: `re_${provider.length}` };
    },
    {
      name: "refund",
      description: "Refunds an order.",
      schema: z.object({ orderId: z.string(), cents: z.number().int() }),
    },
  );
}

type Parts = Pick<Parameters<typeof createAgent>[0], "tools" | "middleware">;

async function replayed(orderId: string, parts: Parts) {
  const model = fakeModel()
    .respondWithTools([{ id: "call_1", name: "refund", args: { orderId, cents: 500 } }])
    .respond(new AIMessage("Refunded."))
    .respond(new AIMessage("Refunded."));
  const agent = createAgent({ model, checkpointer: new MemorySaver(), ...parts });
  const thread = { configurable: { thread_id: `thread of ${orderId}` } };
  const told = ({ messages }: { messages: { type: string; content: unknown }[] }) =>
    messages.find(({ type }) => type === "tool")?.content;

  const first = told(await agent.invoke({ messages: `Refund order ${orderId}.` }, thread));
  for await (const { next, config } of agent.graph.getStateHistory(thread)) {
    if (!next.includes("tools")) continue;
    const again = told(await agent.invoke(null, config));
    console.log(`  the model was told ${first}, and replayed ${again}`);
    return [first, again];
  }
  throw new Error("there is no checkpoint before the tool");
}

console.log("without the guard");
const paidPlain: string[] = [];
await replayed("A1", { tools: [refundTool(paidPlain)] });
assert.equal(paidPlain.length, 2);

console.log("with a guarded tool");
const paidTool: string[] = [];
const [first, again] = await replayed("B2", {
  tools: [guardTool(guard, refundTool(paidTool), rules)],
});
assert.equal(paidTool.length, 1);
assert.equal(again, first);

console.log("with the middleware");
const paidMiddleware: string[] = [];
await replayed("C3", {
  tools: [refundTool(paidMiddleware)],
  middleware: [guardMiddleware(guard, { tools: { refund: rules } })],
});
assert.equal(paidMiddleware.length, 1);

console.log(
  `the provider paid ${paidPlain.length} times, ${paidTool.length} time, ${paidMiddleware.length} time`,
);
await guard.close();
