import { type Answer, type FakeModel, fakeModel } from "./model.ts";

interface Body {
  readonly stream?: boolean;
  readonly tools?: readonly { readonly name: string }[];
  readonly messages?: readonly { readonly content: string | readonly Block[] }[];
}

interface Block {
  readonly type: string;
  readonly tool_use_id?: string;
  readonly content?: string | readonly { readonly type: string; readonly text?: string }[];
}

/**
 * A model behind Anthropic's Messages API that calls one tool with the same input again and again,
 * each time under a new id, and then ends its turn.
 */
export function anthropicModel(tool: string, input: unknown, calls: number): Promise<FakeModel> {
  return fakeModel(({ path, body, note }) => {
    if (!path.startsWith("/v1/messages")) return undefined;
    if (path.includes("count_tokens")) return { json: { input_tokens: 10 } };
    const { messages = [], tools = [], stream } = body as Body;
    const results = messages
      .flatMap(({ content }) => (typeof content === "string" ? [] : content))
      .filter(({ type }) => type === "tool_result");
    for (const { tool_use_id, content = "" } of results) note(tool_use_id ?? "", textOf(content));
    // The agent also asks for titles and summaries, without tools.
    const knows = tools.some(({ name }) => name === tool);
    const block =
      knows && results.length < calls
        ? { type: "tool_use", id: `toolu_${results.length + 1}`, name: tool, input }
        : { type: "text", text: "Done." };
    return stream === true ? streamed(block) : { json: message([block], stopOf(block)) };
  });
}

type Said =
  | {
      readonly type: "tool_use";
      readonly id: string;
      readonly name: string;
      readonly input: unknown;
    }
  | { readonly type: "text"; readonly text: string }
  | { readonly type: string };

const stopOf = ({ type }: Said) => (type === "tool_use" ? "tool_use" : "end_turn");

const textOf = (content: NonNullable<Block["content"]>) =>
  typeof content === "string" ? content : content.map(({ text = "" }) => text).join("");

const message = (content: readonly Said[], stop_reason: string | null) => ({
  id: "msg_1",
  type: "message",
  role: "assistant",
  model: "claude-fake",
  content,
  stop_reason,
  stop_sequence: null,
  usage: { input_tokens: 10, output_tokens: 5 },
});

function streamed(block: Said): Answer {
  const index = 0;
  const [empty, delta] =
    "input" in block
      ? [
          { ...block, input: {} },
          { type: "input_json_delta", partial_json: JSON.stringify(block.input) },
        ]
      : [
          { ...block, text: "" },
          { ...block, type: "text_delta" },
        ];
  return {
    events: [
      { type: "message_start", message: message([], null) },
      { type: "content_block_start", index, content_block: empty },
      { type: "content_block_delta", index, delta },
      { type: "content_block_stop", index },
      {
        type: "message_delta",
        delta: { stop_reason: stopOf(block), stop_sequence: null },
        usage: { output_tokens: 5 },
      },
      { type: "message_stop" },
    ] as readonly { readonly type: string }[],
  };
}
