/** A process that resumes an approved call from its posted history, and may be killed within the tool. */
import { appendFileSync, writeSync } from "node:fs";
import { effectOf, guardTool } from "../../../src/adapters/ai-sdk.ts";
import { createGuard } from "../../../src/index.ts";
import { type Message, sdks } from "./ai-sdk-versions.ts";

export interface AgentConfig {
  readonly sdk: string;
  /** Undefined: the plain tool, without a guard. */
  readonly store: string | undefined;
  /** Each effect writes its idempotency key here, a line each. */
  readonly ledger: string;
  readonly effect: "opaque" | "keyed";
  readonly history: readonly Message[];
  readonly dies: boolean;
}

const config = JSON.parse(process.argv[2] ?? "{}") as AgentConfig;
const sdk = sdks.find(({ name }) => name === config.sdk);
if (sdk === undefined) throw new Error(`no such version: ${config.sdk}`);

function die(): never {
  process.kill(process.pid, "SIGKILL");
  // The signal comes at the end of this very turn.
  for (;;);
}

const isGuarded = config.store !== undefined;
const plain = sdk.tool({
  needsApproval: true,
  execute: ({ cents }, options) => {
    const key = isGuarded ? effectOf(options).idempotencyKey : "none";
    appendFileSync(config.ledger, `${key}\n`);
    if (config.dies) die();
    return { refunded: cents };
  },
});

const guard = createGuard({ store: config.store ?? "memory:", leaseMs: 1_000, waitMs: 20_000 });
const rules = {
  action: "refund",
  key: ({ orderId }: { orderId: string }) => `refund:${orderId}`,
  effect: config.effect,
};
const refund = isGuarded ? guardTool(guard, plain, rules) : plain;
const { told } = await sdk.talk(["done"], { tools: { refund }, messages: config.history });
writeSync(1, JSON.stringify(told));
await guard.close();
process.exit(0);
