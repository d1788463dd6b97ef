import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { tool as langchainTool } from "@langchain/core/tools";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { tool } from "ai";
import { z } from "zod";
import { guardTool as aiGuardTool } from "../src/adapters/ai-sdk.ts";
import { guardTool as langchainGuardTool } from "../src/adapters/langchain.ts";
import { guardTool as openaiGuardTool } from "../src/adapters/openai-agents.ts";
import { createGuard } from "../src/index.ts";
import { makeFolder } from "./folder.ts";
import { median } from "./percentile.ts";
import { type Table, tableText } from "./table.ts";

/**
 * What the guard costs an agent: `npx node bench/agents-cost.ts [rounds]`. A replay through each
 * adapter against the plain tool and against `guard.wrap`; an MCP call through the proxy against a
 * direct one. All take turns in one run: the ratios are what counts.
 */
const rounds = Number(process.argv[2] ?? 9);
const folder = makeFolder();
process.on("exit", folder.remove);

interface Subject {
  readonly name: string;
  /** The one that it is a multiple of. */
  readonly against: string;
  readonly times: number;
  call(time: number): Promise<unknown>;
}

const schema = z.object({ orderId: z.string() });
const input = { orderId: "A1" };
const done = { refundId: "re_1" };
const execute = async () => done;
const key = ({ orderId }: { readonly orderId: string }) => `refund:${orderId}`;

await using guard = createGuard({ store: join(folder.path, "replays.db") });

const aiOptions = (time: number) =>
  ({ toolCallId: `call_${time}`, messages: [], context: {} }) as never;
const ai = tool({ inputSchema: schema, execute });
const aiGuarded = aiGuardTool(guard, ai, { action: "ai", key: (given) => `ai:${key(given)}` });

const openai = { name: "openai", description: "refunds", parameters: schema, execute };
const openaiGuarded = openaiGuardTool(guard, openai, { key: (given) => `openai:${key(given)}` });
const details = (time: number) => ({ toolCall: { callId: `call_${time}` } }) as never;

const langchain = langchainTool(execute, { name: "langchain", description: "refunds", schema });
const langchainGuarded = langchainGuardTool(guard, langchain, {
  key: (given: { readonly orderId: string }) => `langchain:${key(given)}`,
});
const toolCall = (time: number) => ({
  name: "langchain",
  args: input,
  id: `call_${time}`,
  type: "tool_call" as const,
});

const wrapped = guard.wrap("wrapped", { key, run: execute });

const server = [fileURLToPath(new URL("echo-server.ts", import.meta.url))];
const main = fileURLToPath(new URL("../src/cli/main.ts", import.meta.url));
const store = join(folder.path, "proxy.db");
const direct = await clientOf(server);
const proxied = await clientOf([main, "mcp", "--store", store, "--", process.execPath, ...server]);
const mcp =
  (client: Client, name: string) =>
  (time: number): Promise<unknown> =>
    client.callTool({ name, arguments: { order: `order ${time}` } });
const repeated = (client: Client) => () =>
  client.callTool({ name: "pay", arguments: { order: "once" } });

const subjects: readonly Subject[] = timed(4_000, [
  { name: "guard.wrap", against: "-", call: () => wrapped(input) },
  {
    name: "AI SDK, plain",
    against: "-",
    call: async (time) => ai.execute?.(input, aiOptions(time)),
  },
  {
    name: "AI SDK, replay",
    against: "guard.wrap",
    call: async (time) => aiGuarded.execute?.(input, aiOptions(time)),
  },
  {
    name: "OpenAI Agents, plain",
    against: "-",
    call: async () => openai.execute(),
  },
  {
    name: "OpenAI Agents, replay",
    against: "guard.wrap",
    call: async (time) => openaiGuarded.execute(input as never, undefined, details(time)),
  },
  { name: "LangChain, plain", against: "-", call: (time) => langchain.invoke(toolCall(time)) },
  {
    name: "LangChain, replay",
    against: "LangChain, plain",
    call: (time) => langchainGuarded.invoke(toolCall(time)),
  },
]);

const calls: readonly Subject[] = timed(400, [
  { name: "direct, read-only tool", against: "-", call: mcp(direct, "look") },
  {
    name: "through the proxy, not guarded",
    against: "direct, read-only tool",
    call: mcp(proxied, "look"),
  },
  { name: "direct, repeated call", against: "-", call: repeated(direct) },
  {
    name: "through the proxy, replayed",
    against: "direct, repeated call",
    call: repeated(proxied),
  },
]);

for (const [title, group] of [
  ["A replay through an adapter, one caller", subjects],
  ["A call of an MCP server over stdio, one caller", calls],
] as const) {
  process.stdout.write(`${tableText(await tableOf(title, group), "markdown")}\n\n`);
}
await direct.close();
await proxied.close();

function timed(times: number, group: readonly Omit<Subject, "times">[]): readonly Subject[] {
  return group.map((subject) => ({ times, ...subject }));
}

/** The subjects take turns, so that what slows the machine slows all of them. */
async function tableOf(title: string, group: readonly Subject[]): Promise<Table> {
  const seen = new Map<string, number[]>(group.map(({ name }) => [name, []]));
  for (let round = -1; round < rounds; round += 1) {
    for (const { name, times, call } of group) {
      const from = performance.now();
      for (let time = 0; time < times; time += 1) await call(time);
      // The first round warms up, and does what the others replay.
      if (round >= 0) seen.get(name)?.push(((performance.now() - from) * 1_000) / times);
    }
  }
  const spent = (name: string) => median(seen.get(name) ?? []);
  return {
    title,
    heads: ["", "us a call", "ratio", "of"],
    figuresFrom: 1,
    rows: group.map(({ name, against }) => {
      const ratio = against === "-" ? "-" : (spent(name) / spent(against)).toFixed(2);
      return [name, spent(name).toFixed(1), ratio, against];
    }),
  };
}

async function clientOf(args: readonly string[]): Promise<Client> {
  const client = new Client({ name: "bench", version: "1.0.0" });
  await client.connect(new StdioClientTransport({ command: process.execPath, args: [...args] }));
  return client;
}
