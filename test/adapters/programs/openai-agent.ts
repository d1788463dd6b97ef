/** A process that resumes a saved run of the OpenAI Agents SDK, and may be killed within the tool. */
import { appendFileSync, readFileSync, writeSync } from "node:fs";
import { Agent, RunState, run, setTracingDisabled, tool } from "@openai/agents";
import { assistantMessage, ScriptedModel } from "@openai/agents/testing";
import { z } from "zod";
import { effectOf, guardTool } from "../../../src/adapters/openai-agents.ts";
import { createGuard } from "../../../src/index.ts";

export interface AgentConfig {
  /** Undefined: the plain tool, without a guard. */
  readonly store: string | undefined;
  /** Each effect writes its idempotency key here, a line each. */
  readonly ledger: string;
  readonly effect: "opaque" | "keyed";
  /** The file with the saved run. */
  readonly saved: string;
  readonly dies: boolean;
}

setTracingDisabled(true);
const config = JSON.parse(process.argv[2] ?? "{}") as AgentConfig;

function die(): never {
  process.kill(process.pid, "SIGKILL");
  // The signal comes at the end of this very turn.
  for (;;);
}

const isGuarded = config.store !== undefined;
const guard = createGuard({ store: config.store ?? "memory:", leaseMs: 200, waitMs: 20_000 });
const plain = {
  name: "refund",
  description: "Refunds an order.",
  parameters: z.object({ orderId: z.string(), cents: z.number().int() }),
  needsApproval: true,
  execute: ({ cents }: { orderId: string; cents: number }, _run?: unknown, details?: unknown) => {
    appendFileSync(config.ledger, `${isGuarded ? effectOf(details).idempotencyKey : "none"}\n`);
    if (config.dies) die();
    return { refunded: cents };
  },
};
const guarded = guardTool(guard, plain, {
  key: ({ orderId }) => `refund:${orderId}`,
  effect: config.effect,
});

const model = new ScriptedModel([[assistantMessage("done")]]);
const agent = new Agent({ name: "shop", model, tools: [tool(isGuarded ? guarded : plain)] });
await run(agent, await RunState.fromString(agent, readFileSync(config.saved, "utf8")));
writeSync(1, JSON.stringify(model.lastCall?.request.input));
await guard.close();
process.exit(0);
