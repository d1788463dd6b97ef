// In your project: from "safeagent" and "safeagent/openai-agents"

import assert from "node:assert/strict";
import { Agent, RunState, run, setTracingDisabled, tool } from "@openai/agents";
import { assistantMessage, functionCall, ScriptedModel } from "@openai/agents/testing";
import { z } from "zod";
import { guardTool } from "../../src/adapters/openai-agents.ts";
import { approval, createGuard } from "../../src/index.ts";

// A person approves a refund, and the saved run is resumed twice: by an impatient click, by a retried job.
setTracingDisabled(true);
const order = { orderId: "A1", cents: 500 };
const guard = createGuard({ store: "safeagent.db", actor: "shop-agent" });

function refundOptions(provider: string[]) {
  return {
    name: "refund",
    description: "Refunds an order.",
    parameters: z.object({ orderId: z.string(), cents: z.number().int() }),
    needsApproval: true,
    execute: async ({ orderId, cents }: { orderId: string; cents: number }) => {
      provider.push(`${orderId} ${cents}`);
      return { refundId: `re_${provider.length}` };
    },
  };
}

const paidPlain: string[] = [];
const paidGuarded: string[] = [];
const plain = tool(refundOptions(paidPlain));
const guarded = tool(
  guardTool(guard, refundOptions(paidGuarded), {
    key: ({ orderId }) => `refund:${orderId}`,
    policy: approval({ from: ["ana"] }),
    // In a server: who is logged in.
    approvedBy: (context) => (context.context as { user: string }).user,
  }),
);

async function resumedTwice(refund: typeof plain) {
  const model = new ScriptedModel([
    [functionCall("refund", order, { callId: "call_1" })],
    [assistantMessage("Refunded.")],
    [assistantMessage("Refunded.")],
  ]);
  const agent = new Agent({ name: "shop", model, tools: [refund] });
  const asked = await run(agent, "Refund order A1.", { context: { user: "ana" } });
  for (const item of asked.interruptions) asked.state.approve(item);
  const saved = asked.state.toString();
  for (const time of ["first", "second"]) {
    const done = await run(agent, await RunState.fromString(agent, saved));
    console.log(`  resumed the ${time} time: ${done.finalOutput}`);
  }
}

console.log("without the guard");
await resumedTwice(plain);
console.log(`  the provider paid ${paidPlain.length} times`);
assert.equal(paidPlain.length, 2);

console.log("with the guard");
await resumedTwice(guarded);
console.log(`  the provider paid ${paidGuarded.length} time`);
assert.equal(paidGuarded.length, 1);

const events = (await guard.history("refund:A1")).map(({ entry }) => entry.event.type);
console.log(`  its record: ${events.join(", ")}`);
await guard.close();
