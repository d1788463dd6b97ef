import Anthropic from "@anthropic-ai/sdk";

/** Anthropic's API as far as the tool runner asks it: it says what it is told to. No network. */

/** What the model says: a text, or uses of tools. */
export type Turn = string | readonly Use[];

export interface Use {
  readonly id: string;
  readonly tool?: string;
  readonly input: unknown;
}

/** What the model is told that a tool came to. */
export interface Told {
  readonly tool_use_id: string;
  readonly content: unknown;
  readonly is_error?: boolean;
}

interface Request {
  readonly messages: readonly { readonly role: string; readonly content: unknown }[];
  readonly tools?: readonly object[];
}

export interface Talk {
  readonly tools: readonly unknown[];
  readonly stream?: boolean;
  readonly signal?: AbortSignal;
}

export interface Talked {
  readonly text: string;
  readonly told: readonly Told[];
  /** The tools as the API was told of them. */
  readonly tools: readonly object[];
}

const messageOf = (turn: Turn) => ({
  id: "msg_1",
  type: "message",
  role: "assistant",
  model: "claude-fake",
  content:
    typeof turn === "string"
      ? [{ type: "text", text: turn, citations: null }]
      : turn.map(({ id, tool = "refund", input }) => ({ type: "tool_use", id, name: tool, input })),
  stop_reason: typeof turn === "string" ? "end_turn" : "tool_use",
  stop_sequence: null,
  usage: { input_tokens: 1, output_tokens: 1 },
});

/** The same as server-sent events, each block in one piece. */
function eventsOf(turn: Turn): string {
  const { content, stop_reason, ...message } = messageOf(turn);
  const blocks = content.flatMap((block, index) => {
    const isText = block.type === "text";
    const start = isText ? { type: "text", text: "" } : { ...block, input: {} };
    const delta = isText
      ? { type: "text_delta", text: (block as { text: string }).text }
      : {
          type: "input_json_delta",
          partial_json: JSON.stringify((block as { input: unknown }).input),
        };
    return [
      { type: "content_block_start", index, content_block: start },
      { type: "content_block_delta", index, delta },
      { type: "content_block_stop", index },
    ];
  });
  const events = [
    { type: "message_start", message: { ...message, content: [], stop_reason: null } },
    ...blocks,
    {
      type: "message_delta",
      delta: { stop_reason, stop_sequence: null },
      usage: { output_tokens: 1 },
    },
    { type: "message_stop" },
  ];
  return events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join("");
}

/** One conversation: the model takes its turns until it says a text. */
export async function talk(turns: readonly Turn[], given: Talk): Promise<Talked> {
  const rest = [...turns];
  const requests: Request[] = [];
  const fetch = async (_: unknown, init?: { readonly body?: unknown }): Promise<Response> => {
    requests.push(JSON.parse(String(init?.body)));
    const turn = rest.shift() ?? "done";
    return given.stream === true
      ? new Response(eventsOf(turn), { headers: { "content-type": "text/event-stream" } })
      : Response.json(messageOf(turn));
  };
  const client = new Anthropic({ apiKey: "none", fetch, maxRetries: 0 });
  const body = {
    model: "claude-fake",
    max_tokens: 100,
    messages: [{ role: "user", content: "Refund order A1." }],
    tools: given.tools,
    stream: given.stream ?? false,
  };
  const signal = given.signal === undefined ? {} : { signal: given.signal };
  const last = await client.beta.messages.toolRunner(body as never, signal).runUntilDone();
  const text = (last as ReturnType<typeof messageOf>).content
    .map((block) => ("text" in block ? block.text : ""))
    .join("");
  // The runner sends what is new: what its tools came to stands in the last message, if in any.
  const told = requests
    .map(({ messages }) => messages.at(-1)?.content)
    .flatMap((content) => (Array.isArray(content) ? content : []))
    .filter(({ type }) => type === "tool_result");
  const { tools = [] } = requests[0] ?? {};
  return { text, told, tools };
}
