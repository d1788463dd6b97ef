import { ToolMessage } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { z } from "zod";
import * as ai from "../../src/adapters/ai-sdk.ts";
import * as anthropic from "../../src/adapters/anthropic.ts";
import * as langchain from "../../src/adapters/langchain.ts";
import * as mastra from "../../src/adapters/mastra.ts";
import * as mcp from "../../src/adapters/mcp.ts";
import * as openai from "../../src/adapters/openai-agents.ts";
import type { Guard } from "../../src/index.ts";

/** All adapters behind one face: a tool made, and called as its framework calls it. */

export interface Order {
  readonly orderId: string;
  readonly cents: number;
}

/** Rules that every adapter takes; what a framework hands a tool is read by `userOf`. */
export type Rules = Readonly<Record<string, unknown>>;

/** A tool's function: its input, and the argument in which the framework hands what is its own. */
export type Refund = (order: Order, argument: object) => unknown;

export interface Given {
  readonly user?: string;
  /** The argument of the tool around this one. */
  readonly within?: object | undefined;
}

/** Calls a guarded tool; gives what the model reads of it. */
export type CallTool = (order: unknown, callId: string, given?: Given) => Promise<string>;

export interface Adapter {
  readonly name: string;
  make(guard: Guard, refund: Refund, rules: Rules, name?: string): CallTool;
  /** Whose call it is, found in what the framework hands a tool. */
  readonly userOf: (context: never) => string | undefined;
}

const shown = (output: unknown): string => {
  if (ai.isHeld(output)) return output.message;
  return typeof output === "string" ? output : JSON.stringify(output);
};

const aiSdk: Adapter = {
  name: "AI SDK",
  make(guard, refund, rules, name = "refund") {
    const plain = { inputSchema: {}, execute: refund };
    const made = ai.guardTool(guard, plain as ai.AiTool, { action: name, ...rules } as never);
    const execute = made.execute as (input: unknown, options: object) => Promise<unknown>;
    return async (order, toolCallId, { user, within } = {}) =>
      shown(await execute(order, { ...within, toolCallId, messages: [], context: { user } }));
  },
  userOf: ({ context }: { context: { user?: string } }) => context.user,
};

const openaiAgents: Adapter = {
  name: "OpenAI Agents",
  make(guard, refund, rules, name = "refund") {
    const execute = (order: Order, _: unknown, details?: openai.CallDetails) =>
      refund(order, details ?? {});
    const plain = { name, parameters: {}, execute: execute as never };
    const made = openai.guardTool(guard, plain, rules as never);
    return async (order, callId, { user, within } = {}) => {
      const context = {
        context: { user },
        isToolApproved: (asked: { callId: string }) => asked.callId === callId,
      };
      const details = { ...within, toolCall: { callId, name } };
      return shown(await made.execute(order, context, details));
    };
  },
  userOf: ({ context }: { context: { user?: string } }) => context.user,
};

const langChain: Adapter = {
  name: "LangChain",
  make(guard, refund, rules, name = "refund") {
    const run = (order: unknown, config: object) => refund(order as Order, config);
    const plain = tool(run, { name, description: name, schema: z.looseObject({}) });
    const made = langchain.guardTool(guard, plain, rules as never);
    return async (args, id, { user, within } = {}) => {
      const { configurable = {} } = (within ?? {}) as { configurable?: object };
      const config = { configurable: { ...configurable, user } };
      const call = { type: "tool_call" as const, id, name, args: args as Record<string, unknown> };
      const message: unknown = await made.invoke(call, config);
      return ToolMessage.isInstance(message) ? shown(message.content) : shown(message);
    };
  },
  userOf: ({ configurable }: { configurable: { user?: string } }) => configurable.user,
};

const anthropicRunner: Adapter = {
  name: "Anthropic",
  make(guard, refund, rules, name = "refund") {
    const plain = { name, run: refund } as unknown as anthropic.AnthropicTool;
    const run = anthropic.guardTool(guard, plain, rules as never).run as unknown as (
      input: unknown,
      context: object,
    ) => Promise<unknown>;
    return async (order, id, { user, within } = {}) =>
      shown(await run(order, { ...within, toolUse: { id }, user }));
  },
  userOf: ({ user }: { user?: string }) => user,
};

const mastraTool: Adapter = {
  name: "Mastra",
  make(guard, refund, rules, id = "refund") {
    const execute = async (order: Order, context: object) => refund(order, context);
    const made = mastra.guardTool(guard, { id, requireApproval: true, execute }, rules as never);
    return async (order, toolCallId, { user, within } = {}) =>
      shown(
        await made.execute(order as Order, {
          ...within,
          runId: `run-${user}`,
          agent: { toolCallId, resourceId: user },
        }),
      );
  },
  userOf: ({ agent }: { agent: { resourceId?: string } }) => agent.resourceId,
};

const mcpServer: Adapter = {
  name: "MCP server",
  make(guard, refund, rules, name = "refund") {
    const handler = async (order: Order, context: object) => {
      const result = await refund(order, context);
      return results.get(String(result)) ?? { content: [{ type: "text", text: shown(result) }] };
    };
    /** A handler passes the result of another on as it is. */
    const made = mcp.guardTool(guard, name, handler, rules as never);
    return async (order, id, { user, within } = {}) => {
      const _meta = { "claudecode/toolUseId": id };
      const context = { ...within, _meta, authInfo: { clientId: user } };
      const result = (await made(order as Order, context)) as mcp.McpResult;
      const [part] = result.content as { text: string }[];
      const text = part?.text ?? "";
      if (result.isError === true) results.set(text, result as never);
      return text;
    };
  },
  userOf: ({ authInfo }: { authInfo: { clientId?: string } }) => authInfo.clientId,
};

/** Results of an inner handler by their texts: what the outer one passes on. */
const results = new Map<string, { content: { type: string; text: string }[] }>();

export const adapters: readonly Adapter[] = [
  aiSdk,
  openaiAgents,
  langChain,
  anthropicRunner,
  mastraTool,
  mcpServer,
];
