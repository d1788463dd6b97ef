// In your project: from "safeagent" and "safeagent/ai-sdk"

import assert from "node:assert/strict";
import { generateText, type ModelMessage, tool } from "ai";
import { MockLanguageModelV4 } from "ai/test";
import { z } from "zod";
import { guardTools, isApproved } from "../../src/adapters/ai-sdk.ts";
import { approval, createGuard } from "../../src/index.ts";

// A person approves a refund, and the chat posts the approved history twice: a double click, a reload.
const guard = createGuard({ store: "safeagent.db", actor: "shop-agent" });

function refundTool(provider: string[]) {
  return tool({
    description: "Refunds an order.",
    inputSchema: z.object({ orderId: z.string(), cents: z.number().int() }),
    contextSchema: z.object({ userId: z.string() }),
    needsApproval: true,
    execute: async ({ orderId, cents }) => {
      provider.push(`${orderId} ${cents}`);
      return { refundId: `re_${provider.length}` };
    },
  });
}

const paidPlain: string[] = [];
const paidGuarded: string[] = [];
const plain = { refund: refundTool(paidPlain) };
const guarded = guardTools(
  guard,
  { refund: refundTool(paidGuarded) },
  {
    refund: {
      key: ({ orderId }) => `refund:${orderId}`,
      policy: approval({ from: ["ana"] }),
      approvedBy: (options) => (isApproved(options) ? options.context.userId : undefined),
    },
  },
);

// In a server: who is logged in.
const toolsContext = { refund: { userId: "ana" } };

async function postedTwice(tools: typeof plain) {
  const question = { role: "user", content: "Refund order A1." } as const;
  const asked = await generateText({
    model: modelThat("calls"),
    tools,
    toolsContext,
    messages: [question],
  });
  const content = asked.content.flatMap((part) =>
    part.type === "tool-approval-request"
      ? [{ type: "tool-approval-response" as const, approvalId: part.approvalId, approved: true }]
      : [],
  );
  const messages: ModelMessage[] = [question, ...asked.responseMessages, { role: "tool", content }];
  for (const time of ["first", "second"]) {
    const { responseMessages } = await generateText({
      model: modelThat("answers"),
      tools,
      toolsContext,
      messages,
    });
    console.log(`  posted the ${time} time: ${resultIn(responseMessages)}`);
  }
}

console.log("without the guard");
await postedTwice(plain);
console.log(`  the provider paid ${paidPlain.length} times`);
assert.equal(paidPlain.length, 2);

console.log("with the guard");
await postedTwice(guarded);
console.log(`  the provider paid ${paidGuarded.length} time`);
assert.equal(paidGuarded.length, 1);

const events = (await guard.history("refund:A1")).map(({ entry }) => entry.event.type);
console.log(`  its record: ${events.join(", ")}`);
assert(events.includes("approve"));
await guard.close();

/** A model without a network: it calls the tool, or answers. */
function modelThat(does: "calls" | "answers") {
  const input = JSON.stringify({ orderId: "A1", cents: 500 });
  return new MockLanguageModelV4({
    doGenerate: async () => ({
      content:
        does === "calls"
          ? [{ type: "tool-call", toolCallId: "call_1", toolName: "refund", input }]
          : [{ type: "text", text: "Refunded." }],
      finishReason: { unified: does === "calls" ? "tool-calls" : "stop", raw: undefined },
      usage: {
        inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 },
        outputTokens: { total: 1, text: 1, reasoning: 0 },
      },
      warnings: [],
    }),
  });
}

/** What the model is told that the tool came to. */
function resultIn(messages: readonly ModelMessage[]): string {
  const parts = messages.flatMap(({ role, content }) => (role === "tool" ? content : []));
  return JSON.stringify(
    parts.flatMap((part) => (part.type === "tool-result" ? [part.output] : [])),
  );
}
