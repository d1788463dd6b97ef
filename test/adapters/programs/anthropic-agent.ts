/** A process that holds a conversation through the tool runner, and may be killed within the tool. */
import { appendFileSync, writeSync } from "node:fs";
import { betaZodTool } from "@anthropic-ai/sdk/helpers/beta/zod";
import { z } from "zod";
import { effectOf, guardTool } from "../../../src/adapters/anthropic.ts";
import { createGuard } from "../../../src/index.ts";
import { talk } from "./anthropic-fake.ts";

export interface AgentConfig {
  /** Undefined: the plain tool, without a guard. */
  readonly store: string | undefined;
  /** Each effect writes its idempotency key here, a line each. */
  readonly ledger: string;
  readonly effect: "opaque" | "keyed";
  readonly dies: boolean;
}

const config = JSON.parse(process.argv[2] ?? "{}") as AgentConfig;

function die(): never {
  process.kill(process.pid, "SIGKILL");
  // The signal comes at the end of this very turn.
  for (;;);
}

const isGuarded = config.store !== undefined;
const plain = betaZodTool({
  name: "refund",
  description: "Refunds an order.",
  inputSchema: z.object({ orderId: z.string(), cents: z.number() }),
  run: ({ cents }, context) => {
    const key = isGuarded ? effectOf(context).idempotencyKey : "none";
    appendFileSync(config.ledger, `${key}\n`);
    if (config.dies) die();
    return `refunded ${cents}`;
  },
});

const guard = createGuard({ store: config.store ?? "memory:", leaseMs: 1_000, waitMs: 20_000 });
const rules = { key: ({ orderId }: { orderId: string }) => `refund:${orderId}` };
const refund = isGuarded ? guardTool(guard, plain, { ...rules, effect: config.effect }) : plain;
const use = [{ id: "toolu_1", input: { orderId: "A1", cents: 500 } }];
const { told } = await talk([use, "done"], { tools: [refund] });
writeSync(1, JSON.stringify(told));
await guard.close();
process.exit(0);
