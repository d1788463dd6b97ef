import { type FakeModel, fakeModel } from "./model.ts";

interface Body {
  readonly input?: readonly Item[];
}

interface Item {
  readonly type: string;
  readonly call_id?: string;
  readonly output?: string | readonly { readonly text?: string }[];
}

/**
 * A model behind OpenAI's Responses API that calls one tool with the same input again and again,
 * each time under a new id, and then says that it is done.
 */
export function responsesModel(
  tool: { readonly namespace: string; readonly name: string },
  input: unknown,
  calls: number,
): Promise<FakeModel> {
  let answers = 0;
  return fakeModel(({ path, body, note }) => {
    if (!path.startsWith("/v1/responses")) return undefined;
    const { input: items = [] } = body as Body;
    const results = items.filter(({ type }) => type === "function_call_output");
    for (const { call_id = "", output = "" } of results) {
      note(call_id, typeof output === "string" ? output : output.map(({ text }) => text).join(""));
    }
    answers += 1;
    const id = `resp_${answers}`;
    const item =
      results.length < calls
        ? {
            type: "function_call",
            id: `fc_${results.length + 1}`,
            call_id: `call_${results.length + 1}`,
            ...tool,
            arguments: JSON.stringify(input),
          }
        : {
            type: "message",
            id: `msg_${answers}`,
            role: "assistant",
            content: [{ type: "output_text", text: "Done.", annotations: [] }],
          };
    const usage = { input_tokens: 10, output_tokens: 5, total_tokens: 15 };
    const events: { readonly type: string }[] = [
      { type: "response.created", ...{ response: { id } } },
      { type: "response.output_item.done", ...{ output_index: 0, item } },
      { type: "response.completed", ...{ response: { id, usage } } },
    ];
    return { events };
  });
}
