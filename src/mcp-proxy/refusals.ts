import { type Answer, isMembers } from "./frame.ts";

/** Which errors of a server say for certain that its tool never began. */

/** The call that was answered. */
export interface AnsweredCall {
  readonly tool: string;
  /** Its server listed its tools for this call, and this was none of them. */
  readonly isUnlisted: boolean;
  /** False: the server has begun with it, and wanted more. */
  readonly isFirst: boolean;
}

/**
 * Errors about the message, which no tool has a reason to give: not JSON, a header that doesn't match,
 * another version; and -32042, which asks for a visit to a page before the same call is made again.
 */
const ofTheMessage: ReadonlySet<unknown> = new Set([-32700, -32020, -32022, -32042]);

/**
 * No request, no such method, wrong parameters, a capability that lacks: given before a tool is
 * called, and after it as well. A tool that asks its client for something hands on what the client
 * said, and some servers check a tool's result and say so with -32602. Only of a tool that its server
 * doesn't have is it certain that it didn't run.
 */
const oftenOfTheTool: ReadonlySet<unknown> = new Set([-32600, -32601, -32602, -32021]);

export function wasRefused(answer: Answer, call: AnsweredCall): boolean {
  if (!call.isFirst) return false;
  if ("error" in answer) {
    const { code, message } = isMembers(answer.error) ? answer.error : {};
    if (ofTheMessage.has(code)) return true;
    if (!oftenOfTheTool.has(code)) return false;
    return call.isUnlisted || (code === -32602 && saysWrongArguments(message, call.tool));
  }
  const text = onlyText(answer.result);
  if (text === undefined) return false;
  return saysWrongArguments(text, call.tool) || (call.isUnlisted && saysUnknown(text, call.tool));
}

/** The words of the MCP SDKs for arguments that a tool's schema refuses, before the tool is called. */
function saysWrongArguments(text: unknown, tool: string): boolean {
  if (typeof text !== "string") return false;
  // Older versions say no more than the second half.
  const said = withoutCode(text).replace(/^Input validation error: /, "");
  return said.startsWith(`Invalid arguments for tool ${tool}: `);
}

/** The words of the MCP SDKs for a tool that they don't have. */
function saysUnknown(text: string, tool: string): boolean {
  const said = withoutCode(text);
  return [`Tool ${tool} not found`, `Tool ${tool} disabled`, `Unknown tool: ${tool}`].includes(
    said,
  );
}

function withoutCode(text: string): string {
  return text.replace(/^MCP error -32602: /, "");
}

function onlyText(result: unknown): string | undefined {
  const { content } = isMembers(result) ? result : {};
  const [block] = Array.isArray(content) && content.length === 1 ? content : [];
  return isMembers(block) && typeof block.text === "string" ? block.text : undefined;
}
