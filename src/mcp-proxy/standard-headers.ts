import type { IncomingHttpHeaders } from "node:http";
import { type Frame, isMembers } from "./frame.ts";

/**
 * How a request's headers contradict its body, if they do. From 2026-07-28 on `Mcp-Method` and
 * `Mcp-Name` say the same as the body, so that a gateway need not read it; where they differ, what
 * was guarded and what was routed could be two things. Missing ones are the server's to refuse.
 */
export function contradictionIn(headers: IncomingHttpHeaders, frame: Frame): string | undefined {
  if (frame.kind === "unreadable" || frame.kind === "response") return undefined;
  const method = frame.kind === "call" ? "tools/call" : frame.method;
  const said = headers["mcp-method"];
  if (said !== undefined && said !== method) return "Its Mcp-Method is not the body's method.";
  const { params } = frame.message;
  const name = isMembers(params) ? (params.name ?? params.uri ?? params.taskId) : undefined;
  const named = headers["mcp-name"];
  if (named === undefined || typeof name !== "string") return undefined;
  return decoded(String(named)) === name ? undefined : "Its Mcp-Name is not the body's name.";
}

/** A name that is no plain ASCII comes as =?base64?…?=. */
function decoded(value: string): string | undefined {
  const [, base64] = /^=\?base64\?(.*)\?=$/.exec(value) ?? [];
  if (base64 === undefined) return value;
  const bytes = Buffer.from(base64, "base64");
  return bytes.toString("base64") === base64 ? bytes.toString("utf8") : undefined;
}
