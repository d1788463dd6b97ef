import * as v7 from "ai";
import { MockLanguageModelV4 } from "ai/test";
import * as v6 from "ai-v6";
import { MockLanguageModelV3 } from "ai-v6/test";
import { z } from "zod";

/** The AI SDK in its two versions, driven alike, by a model that says what it is told to. */
export interface Sdk {
  readonly name: "AI SDK 6" | "AI SDK 7";
  /** A tool of this version that takes an order. */
  readonly tool: (own: OwnTool) => RefundTool;
  /** One conversation: the model takes its turns until it says a text. */
  readonly talk: (turns: readonly Turn[], talk: Talk) => Promise<Talked>;
  readonly convert: (messages: unknown, tools: Tools) => Promise<readonly Message[]>;
  readonly validate: (messages: unknown, tools: Tools) => Promise<unknown>;
}

/** What the model says: a text, or calls of tools. */
export type Turn = string | readonly Use[];

export interface Use {
  readonly id: string;
  readonly tool?: string;
  readonly input: unknown;
}

export interface Order {
  orderId: string;
  cents: number;
}

export interface OwnTool {
  readonly execute: (order: Order, options: v7.ToolExecutionOptions<never>) => unknown;
  readonly needsApproval?: boolean | ((order: Order) => boolean);
  readonly toModelOutput?: (given: { readonly output: never }) => unknown;
  readonly outputSchema?: unknown;
}

export type RefundTool = v7.Tool<Order, unknown>;
export type Tools = Readonly<Record<string, RefundTool>>;

export interface Message {
  readonly role: string;
  readonly content: unknown;
}

export interface Talk {
  readonly tools: Tools;
  readonly messages?: readonly Message[];
  readonly stream?: boolean;
  readonly abortSignal?: AbortSignal;
  /** `context` of a tool in version 7, `experimental_context` in version 6. */
  readonly context?: unknown;
}

export interface Talked {
  readonly text: string;
  /** What is to be posted again, with what was posted. */
  readonly messages: readonly Message[];
  /** The parts of all steps that are results or errors of tools. */
  readonly parts: readonly { readonly type: string; readonly output?: unknown }[];
  /** What the model's last prompt says that its tools came to. */
  readonly told: readonly unknown[];
}

const usage = {
  inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 },
  outputTokens: { total: 1, text: 1, reasoning: 0 },
};
const asked: Message = { role: "user", content: "Refund order A1." };

const contentOf = (turn: Turn) =>
  typeof turn === "string"
    ? [{ type: "text", text: turn }]
    : turn.map(({ id, tool = "refund", input }) => ({
        type: "tool-call",
        toolCallId: id,
        toolName: tool,
        input: JSON.stringify(input),
      }));

const endOf = (turn: Turn) => ({
  finishReason: { unified: typeof turn === "string" ? "stop" : "tool-calls", raw: undefined },
  usage,
});

const streamOf = (turn: Turn) =>
  new ReadableStream({
    start(controller) {
      controller.enqueue({ type: "stream-start", warnings: [] });
      for (const part of contentOf(turn)) {
        if (part.type !== "text") controller.enqueue(part);
        else {
          controller.enqueue({ type: "text-start", id: "t" });
          controller.enqueue({
            type: "text-delta",
            id: "t",
            delta: (part as { text: string }).text,
          });
          controller.enqueue({ type: "text-end", id: "t" });
        }
      }
      controller.enqueue({ type: "finish", ...endOf(turn) });
      controller.close();
    },
  });

/** What both versions' models are made of. */
function script(turns: readonly Turn[]) {
  const rest = [...turns];
  const next = () => rest.shift() ?? "done";
  return {
    doGenerate: async () => {
      const turn = next();
      return { content: contentOf(turn), ...endOf(turn), warnings: [] };
    },
    doStream: async () => ({ stream: streamOf(next()) }),
  };
}

interface Prompted {
  readonly prompt: readonly Message[];
}

function toldIn(calls: readonly unknown[]): readonly unknown[] {
  const { prompt } = calls.at(-1) as Prompted;
  return prompt
    .filter(({ role }) => role === "tool")
    .flatMap(({ content }) => content as { readonly type: string; readonly output: unknown }[])
    .filter(({ type }) => type === "tool-result")
    .map(({ output }) => output);
}

const isEnd = ({ type }: { readonly type: string }) =>
  type === "tool-result" || type === "tool-error";

const inputSchema = z.object({ orderId: z.string(), cents: z.number() });

/** Both versions have the same functions, less two names. */
function sdkOf(
  name: Sdk["name"],
  sdk: typeof v7,
  modelOf: (parts: ReturnType<typeof script>) => {
    readonly doGenerateCalls: readonly unknown[];
    readonly doStreamCalls: readonly unknown[];
  },
  contextOf: (context: unknown) => object,
): Sdk {
  const stopWhen = name === "AI SDK 6" ? v6.stepCountIs(8) : v7.isStepCount(8);
  return {
    name,
    tool: (own) => sdk.tool({ description: "Refunds", inputSchema, ...own } as never) as RefundTool,
    convert: async (messages, tools) =>
      (await sdk.convertToModelMessages(messages as never, { tools } as never)) as Message[],
    validate: (messages, tools) =>
      sdk.validateUIMessages({ messages, tools } as never) as Promise<unknown>,
    talk: async (turns, { tools, messages = [asked], stream = false, abortSignal, context }) => {
      const model = modelOf(script(turns));
      const signal = abortSignal === undefined ? {} : { abortSignal };
      const options = { model, tools, messages, stopWhen, ...signal, ...contextOf(context) };
      if (stream) {
        const result = sdk.streamText(options as never);
        await result.consumeStream();
        const { messages: own } = await result.response;
        const steps = await result.steps;
        const parts = steps.flatMap(({ content }) => content.filter(isEnd));
        const told = toldIn(model.doStreamCalls);
        return { text: await result.text, messages: [...messages, ...own], parts, told };
      }
      const result = await sdk.generateText(options as never);
      const parts = result.steps.flatMap(({ content }) => content.filter(isEnd));
      const own = result.response.messages as readonly Message[];
      const told = toldIn(model.doGenerateCalls);
      return { text: result.text, messages: [...messages, ...own], parts, told };
    },
  };
}

export const sdks: readonly Sdk[] = [
  sdkOf(
    "AI SDK 6",
    v6 as unknown as typeof v7,
    (parts) => new MockLanguageModelV3(parts as never),
    (context) => ({ experimental_context: context }),
  ),
  sdkOf(
    "AI SDK 7",
    v7,
    (parts) => new MockLanguageModelV4(parts as never),
    (context) => (context === undefined ? {} : { toolsContext: { refund: context } }),
  ),
];

/** The messages with every approval that they ask for given, or denied. */
export function answered(messages: readonly Message[], approved = true): readonly Message[] {
  const content = messages
    .flatMap(({ content }) => (Array.isArray(content) ? content : []))
    .filter(({ type }) => type === "tool-approval-request")
    .map(({ approvalId }) => ({ type: "tool-approval-response", approvalId, approved }));
  return [...messages, { role: "tool", content }];
}
