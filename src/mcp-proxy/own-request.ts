import { randomUUID } from "node:crypto";
import { type FrameId, isMembers, type Members, type ResponseFrame } from "./frame.ts";
import type { ElicitAnswer, ToolInfo, ToolPage } from "./upstream.ts";

/** Requests that the proxy makes itself, under names that neither side uses. */

const ours = `safeagent:${randomUUID()}`;

/** A request's name that no client and no server has given. */
export const ownId = (): string => `${ours}:${randomUUID()}`;

/** One that this proxy gave: its answer is nobody else's, however late. Another proxy's is not ours. */
export function isOwnId(id: FrameId | null): boolean {
  return typeof id === "string" && id.startsWith(`${ours}:`);
}

/** Milliseconds that a server has for one page of its tools. */
export const listMs = 10_000;

export function requestBytes(id: FrameId, method: string, params: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ jsonrpc: "2.0", id, method, params }));
}

export function notificationBytes(method: string, params?: Members): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ jsonrpc: "2.0", method, params }));
}

/** The parameters of a tools/list, on the behalf of a client that says this of itself in each request. */
export function listParams(cursor: string | undefined, envelope: Members | undefined): Members {
  return {
    ...(cursor === undefined ? {} : { cursor }),
    ...(envelope === undefined ? {} : { _meta: envelope }),
  };
}

/** Reads the answer to a tools/list. Throws where it is none. */
export function readPage(frame: ResponseFrame): ToolPage {
  const result = resultOf(frame, "tools/list");
  if (!Array.isArray(result.tools) || !result.tools.every(isTool)) {
    throw new Error("the server's answer to tools/list lists no tools");
  }
  const { tools, nextCursor } = result;
  return typeof nextCursor === "string" ? { tools, nextCursor } : { tools };
}

/** Reads the answer to an elicitation/create. Throws where the client didn't ask its user. */
export function readElicitAnswer(frame: ResponseFrame): ElicitAnswer {
  const { action, content } = resultOf(frame, "elicitation/create");
  if (action !== "accept" && action !== "decline" && action !== "cancel") {
    throw new Error("the answer to elicitation/create has no action");
  }
  return content === undefined ? { action } : { action, content };
}

/** The result in a response. Throws an error in it. */
export function resultOf(frame: ResponseFrame, method: string): Members {
  if ("error" in frame.answer) {
    const { message } = isMembers(frame.answer.error) ? frame.answer.error : {};
    const why = typeof message === "string" ? `: ${message}` : "";
    throw new Error(`${method} was refused${why}`);
  }
  if (!isMembers(frame.answer.result)) throw new Error(`${method} has no result`);
  return frame.answer.result;
}

function isTool(value: unknown): value is ToolInfo {
  return isMembers(value) && typeof value.name === "string";
}
