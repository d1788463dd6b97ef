/** What a tool's handler is handed beside its arguments, read alike in both versions of the MCP SDK. */

/** The context of version 1 (`extra`), of version 2 (`ctx`), or of the Claude Agent SDK, as far as it is read. */
interface Context {
  readonly _meta?: Meta;
  readonly signal?: AbortSignal;
  readonly authInfo?: Principal;
  readonly sendRequest?: (request: object, result: object, options: object) => Promise<unknown>;
  readonly http?: { readonly authInfo?: Principal };
  readonly mcpReq?: {
    readonly _meta?: Meta;
    readonly signal?: AbortSignal;
    readonly envelope?: Envelope;
    readonly inputResponses?: Readonly<Record<string, unknown>>;
    readonly elicitInput?: (params: object, options: object) => Promise<unknown>;
  };
}

/** The members of a request's `_meta` by which clients name a call. */
interface Meta {
  readonly "idempotency-key"?: unknown;
  readonly idempotency_key?: unknown;
  /** Claude Code and the Claude Agent SDK. */
  readonly "claudecode/toolUseId"?: unknown;
  /** Codex. */
  readonly threadId?: unknown;
  readonly callId?: unknown;
}

/** What a client says of itself with each request, from revision 2026-07-28. */
interface Envelope {
  readonly "io.modelcontextprotocol/clientCapabilities"?: { readonly elicitation?: unknown };
}

interface Principal {
  readonly clientId?: string;
}

/** One `tools/call`, as the guard sees it. */
export interface McpRequest {
  /** The client's own name for this call; the JSON-RPC id is none, since a call sent again gets a new one. */
  readonly callId: string | undefined;
  /** What makes it unique, whatever clients write: by its kind and its client. Undefined: the case. */
  readonly scope: readonly (string | null)[] | undefined;
  readonly signal: AbortSignal | undefined;
  /** Puts a question to the person at the client. Never throws. */
  elicit(question: Question): Promise<Reply>;
}

export interface Question {
  /** The same question has the same name, and another one another. */
  readonly name: string;
  readonly message: string;
}

export type Reply =
  | { readonly kind: "answered"; readonly action: "accept" | "decline" }
  /** The client asks, and sends the call again with the answer: this is the result to give it. */
  | { readonly kind: "asks"; readonly result: object }
  /** The client can't ask, or the person would not say. */
  | { readonly kind: "unanswered" };

/** How long a person may take to answer, where the call waits meanwhile. Milliseconds. */
const answerMs = 600_000;

export function requestOf(context: unknown): McpRequest {
  const { mcpReq, http, ...v1 } = context as Context;
  const meta = mcpReq?._meta ?? v1._meta ?? {};
  const signal = mcpReq?.signal ?? v1.signal;
  return {
    ...nameOf(meta, http?.authInfo ?? v1.authInfo),
    signal,
    elicit: (question) => {
      const envelope = mcpReq?.envelope;
      return envelope === undefined
        ? askNow(context as Context, question, signal)
        : askByResult(envelope, mcpReq?.inputResponses, question);
    },
  };
}

/** What a client calls this call: by a key that it gave it, or by its own id of the model's call. */
function nameOf(
  meta: Meta,
  principal: Principal | undefined,
): Pick<McpRequest, "callId" | "scope"> {
  const client = principal?.clientId ?? null;
  const key = text(meta["idempotency-key"]) ?? text(meta.idempotency_key);
  if (key !== undefined) {
    // One key is one ask over all tools: with other arguments it is a conflict.
    return { callId: key, scope: ["mcp-key", client] };
  }
  const claude = text(meta["claudecode/toolUseId"]);
  if (claude !== undefined) return { callId: claude, scope: undefined };
  const thread = text(meta.threadId);
  const call = text(meta.callId);
  if (thread === undefined || call === undefined) return { callId: undefined, scope: undefined };
  return { callId: call, scope: ["mcp-thread", client, thread] };
}

function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** To accept is the answer: there is nothing to fill in. */
function paramsOf({ message }: Question) {
  return { message, requestedSchema: { type: "object", properties: {} } };
}

/** Until revision 2025-11-25: a request to the client, while the call waits. */
async function askNow(
  { mcpReq, sendRequest }: Context,
  question: Question,
  signal: AbortSignal | undefined,
): Promise<Reply> {
  const params = paramsOf(question);
  const options = { timeout: answerMs, ...(signal === undefined ? {} : { signal }) };
  try {
    const answer =
      mcpReq === undefined
        ? await sendRequest?.({ method: "elicitation/create", params }, asItCame, options)
        : await mcpReq.elicitInput?.(params, options);
    return replyOf(answer);
  } catch {
    // Not declared, not reached, cut off, or out of time: the case goes on waiting.
    return { kind: "unanswered" };
  }
}

/** What version 1 of the SDK takes for a schema; `replyOf` reads what came. */
const asItCame = { safeParse: (data: unknown) => ({ success: true, data }) };

/**
 * From revision 2026-07-28: a result that asks. The answer comes with the call sent again, under the
 * question's name, so that an answer to another question is none to this one.
 */
async function askByResult(
  envelope: Envelope,
  responses: Readonly<Record<string, unknown>> | undefined,
  question: Question,
): Promise<Reply> {
  if (responses !== undefined && Object.hasOwn(responses, question.name)) {
    return replyOf(responses[question.name]);
  }
  const declared = envelope["io.modelcontextprotocol/clientCapabilities"];
  if (declared?.elicitation === undefined) return { kind: "unanswered" };
  const asked = { method: "elicitation/create", params: paramsOf(question) };
  return {
    kind: "asks",
    result: { resultType: "input_required", inputRequests: { [question.name]: asked } },
  };
}

function replyOf(answer: unknown): Reply {
  const { action } = (answer ?? {}) as { readonly action?: unknown };
  return action === "accept" || action === "decline"
    ? { kind: "answered", action }
    : { kind: "unanswered" };
}
