import { join } from "node:path";
import { AIMessage, ToolMessage } from "@langchain/core/messages";
import { tool as langchainTool } from "@langchain/core/tools";
import { ToolNode } from "@langchain/langgraph/prebuilt";
import { Agent, tool as openaiTool, run, setTracingDisabled } from "@openai/agents";
import { assistantMessage, functionCall, ScriptedModel } from "@openai/agents/testing";
import { expect, test } from "vitest";
import { z } from "zod";
import * as langchain from "../../src/adapters/langchain.ts";
import * as openai from "../../src/adapters/openai-agents.ts";
import type { Guard } from "../../src/index.ts";
import { testFolder } from "../crash/folder.ts";
import { guardOn } from "../crash/in-process.ts";

setTracingDisabled(true);

const fields = { name: "refund", description: "Refunds an order." };
const parameters = z.object({ orderId: z.string(), cents: z.number().int() });
type Order = z.infer<typeof parameters>;

const order: Order = { orderId: "A1", cents: 500 };
const key = ({ orderId }: Order) => `refund:${orderId}`;

type Refund = (order: Order) => unknown;

/** What the model is told of one call, through OpenAI's agents; without a guard, of the plain tool. */
async function throughOpenAI(refund: Refund, guard: Guard | undefined, input = order) {
  const options = { ...fields, parameters, execute: refund };
  const tool = openaiTool(
    guard === undefined ? options : openai.guardTool(guard, options, { key }),
  );
  const call = functionCall("refund", input, { callId: "call_1" });
  const model = new ScriptedModel([[call], [assistantMessage("done")]]);
  await run(new Agent({ name: "shop", model, tools: [tool] }), "Refund A1.");
  const sent = model.lastCall?.request.input;
  const result = Array.isArray(sent) ? sent.at(-1) : undefined;
  if (result?.type !== "function_call_result") throw new Error("the model was told nothing");
  return (result.output as { text: string }).text;
}

/** The same, through LangGraph. */
async function throughLangGraph(refund: Refund, guard: Guard | undefined, input = order) {
  const plain = langchainTool(refund, { ...fields, schema: parameters });
  const tool = guard === undefined ? plain : langchain.guardTool(guard, plain, { key });
  const tool_calls = [{ id: "call_1", name: "refund", args: input }];
  const asked = new AIMessage({ content: "", tool_calls });
  const { messages } = await new ToolNode([tool]).invoke({ messages: [asked] });
  const [message] = messages as unknown[];
  if (!ToolMessage.isInstance(message)) throw new Error("the model was told nothing");
  return message.content;
}

const throughs = [
  ["OpenAI Agents, then LangGraph", throughOpenAI, throughLangGraph],
  ["LangGraph, then OpenAI Agents", throughLangGraph, throughOpenAI],
] as const;

test.each(throughs)("%s: without a guard each one runs it", async (_name, first, second) => {
  const refunds: Order[] = [];
  const refund = (input: Order) => ({ refundId: `re_${refunds.push(input)}`, cents: input.cents });
  const texts = [await first(refund, undefined), await second(refund, undefined)];
  expect(texts.map((text) => JSON.parse(String(text)).refundId)).toEqual(["re_1", "re_2"]);
  expect(refunds).toHaveLength(2);
});

/** The guards of two programs: one for both, or each its own on the same file. */
const guards: readonly (readonly [name: string, make: () => readonly [Guard, Guard]])[] = [
  [
    "one guard",
    () => {
      const guard = guardOn(join(testFolder(), "safeagent.db"));
      return [guard, guard];
    },
  ],
  [
    "two guards on one file",
    () => {
      const path = join(testFolder(), "safeagent.db");
      return [guardOn(path), guardOn(path)];
    },
  ],
];

const shared = throughs.flatMap(([names, first, second]) =>
  guards.map(([grounds, make]) => [`${names}, ${grounds}`, first, second, make] as const),
);

test.each(shared)(
  "%s: the effect runs once, and both get its result",
  async (_name, first, second, make) => {
    const [one, other] = make();
    const refunds: Order[] = [];
    const refund = (input: Order) => ({
      refundId: `re_${refunds.push(input)}`,
      cents: input.cents,
    });
    const texts = [await first(refund, one), await second(refund, other)];
    expect(texts[1]).toBe(texts[0]);
    expect(JSON.parse(String(texts[0]))).toEqual({ refundId: "re_1", cents: 500 });
    expect(refunds).toEqual([order]);
    expect((await other.list({ states: ["SETTLED"] })).items).toHaveLength(1);

    // Another amount is refused by either, and nothing runs.
    const more = { ...order, cents: 50_000 };
    for (const text of [await first(refund, one, more), await second(refund, other, more)]) {
      expect(String(text)).toContain("something else was asked for under this name before");
    }
    expect(refunds).toEqual([order]);
  },
);

test.each(shared)("%s: at the same time, too", async (_name, first, second, make) => {
  const [one, other] = make();
  const refunds: Order[] = [];
  const bothAsked = Promise.withResolvers<void>();
  const refund = async (input: Order) => {
    const refundId = `re_${refunds.push(input)}`;
    await bothAsked.promise;
    return { refundId };
  };
  const asked = [first(refund, one), second(refund, other)];
  bothAsked.resolve();
  expect(await Promise.all(asked)).toEqual(['{"refundId":"re_1"}', '{"refundId":"re_1"}']);
  expect(refunds).toHaveLength(1);
});
