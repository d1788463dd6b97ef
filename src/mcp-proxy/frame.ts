import { repeatedName } from "./repeated-name.ts";

/**
 * JSON-RPC frames as they came: the bytes are kept beside what was read of them, so that what is
 * sent on is sent byte for byte.
 */

/** A request's name in JSON-RPC. It means nothing beyond this one connection. */
export type FrameId = string | number;

/** A JSON object, as it was read. */
export type Members = Readonly<Record<string, unknown>>;

interface Framed {
  /** The frame as it came, without the line's end. */
  readonly bytes: Uint8Array;
  /** What it says. Not to be written out again where the bytes can be. */
  readonly message: Members;
}

/** A client's `tools/call`. */
export interface CallFrame extends Framed {
  readonly kind: "call";
  readonly id: FrameId;
  readonly params: CallParams;
}

/** What a `tools/call` asks for. Members that are not named here stay in `message`. */
export interface CallParams {
  readonly name: string;
  /** Absent is the same as empty. */
  readonly arguments: Members;
  readonly _meta: Members;
  /** SEP-3182. */
  readonly idempotencyKey?: unknown;
  /** 2026-07-28: the answers to an `input_required` result, and what that result said to send back. */
  readonly inputResponses?: Members;
  readonly requestState?: string;
}

/** Any other request. */
export interface RequestFrame extends Framed {
  readonly kind: "request";
  readonly id: FrameId;
  readonly method: string;
}

export interface NotificationFrame extends Framed {
  readonly kind: "notification";
  readonly method: string;
}

/** The answer to a request: a result, or an error. */
export interface ResponseFrame extends Framed {
  readonly kind: "response";
  /** Null where the request could not be read. */
  readonly id: FrameId | null;
  readonly answer: Answer;
}

export type Answer = { readonly result: unknown } | { readonly error: unknown };

/**
 * What can't be told for certain. From a client it is never sent on: a server that reads it in
 * another way could take it for a call that nobody guards. From a server it may be passed through.
 */
export interface UnreadableFrame {
  readonly kind: "unreadable";
  readonly bytes: Uint8Array;
  /** The request's id, where that much is certain. */
  readonly id: FrameId | null;
  /** JSON-RPC: -32700 not JSON, -32600 not a request, -32602 wrong parameters. */
  readonly code: -32700 | -32600 | -32602;
  readonly reason: string;
}

export type Frame = CallFrame | RequestFrame | NotificationFrame | ResponseFrame | UnreadableFrame;

/** Reads one frame: a line of stdio, a body or an event's data of HTTP. Never throws. */
export function readFrame(raw: Uint8Array | string): Frame {
  const bytes = typeof raw === "string" ? new TextEncoder().encode(raw) : raw;
  try {
    return read(bytes);
  } catch {
    // Nested too deep, or more of it than can be held.
    return unreadable(bytes, -32600, "It is too deep or too large to be read.");
  }
}

function read(bytes: Uint8Array): Frame {
  const refuse = (code: UnreadableFrame["code"], reason: string, id: FrameId | null = null) =>
    unreadable(bytes, code, reason, id);
  let text: string;
  let message: unknown;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    message = JSON.parse(text);
  } catch {
    return refuse(-32700, "It is not JSON in UTF-8.");
  }
  // Batches left the protocol with 2025-06-18; one could carry calls past the guard.
  if (Array.isArray(message)) return refuse(-32600, "Batches are not supported.");
  if (!isMembers(message)) return refuse(-32600, "It is not a JSON-RPC message.");
  const twice = repeatedName(text);
  // Of two members with one name some read the first and some the last: what would be guarded need
  // not be what would run.
  if (twice !== undefined) return refuse(-32600, `It names the member "${twice}" twice.`);
  const odd = otherCaseOf(envelopeNames, message);
  if (odd !== undefined)
    return refuse(-32600, `It has a member "${odd}", which is read in two ways.`);

  const { id, method } = message;
  if (method === undefined) {
    if (!isId(id) && id !== null) return refuse(-32600, "It is no request and no response.");
    if ("result" in message) {
      return { kind: "response", bytes, message, id, answer: { result: message.result } };
    }
    if ("error" in message) {
      return { kind: "response", bytes, message, id, answer: { error: message.error } };
    }
    return refuse(-32600, "It is no request and no response.");
  }
  if (typeof method !== "string") return refuse(-32600, "Its method is not a text.");
  if (!isId(id)) {
    if ("id" in message) return refuse(-32600, "Its id is neither a text nor a whole number.");
    // A server that ran it would do so without an answer.
    if (method === "tools/call") return refuse(-32600, "A tools/call needs an id.");
    return { kind: "notification", bytes, message, method };
  }
  if (method !== "tools/call") return { kind: "request", bytes, message, id, method };
  const params = readParams(message.params);
  if (typeof params === "string") return refuse(-32602, params, id);
  return { kind: "call", bytes, message, id, params };
}

function unreadable(
  bytes: Uint8Array,
  code: UnreadableFrame["code"],
  reason: string,
  id: FrameId | null = null,
): UnreadableFrame {
  return { kind: "unreadable", bytes, id, code, reason };
}

const envelopeNames = ["jsonrpc", "id", "method", "params", "result", "error"];
const paramNames = [
  ...["name", "arguments", "_meta", "idempotencyKey"],
  ...["inputResponses", "requestState", "task"],
];

/**
 * A member that some read as another one: Go's JSON, and what is made after it, takes `METHOD` for
 * `method`.
 */
function otherCaseOf(names: readonly string[], members: Members): string | undefined {
  const folded = (name: string) => name.toUpperCase().toLowerCase();
  return Object.keys(members).find(
    (name) => !names.includes(name) && names.some((one) => folded(one) === folded(name)),
  );
}

/** The id of the request that an unreadable frame seems to answer, if it does. */
export function likelyAnswered({ bytes }: UnreadableFrame): FrameId | undefined {
  try {
    const message: unknown = JSON.parse(new TextDecoder().decode(bytes));
    if (!isMembers(message) || message.method !== undefined) return undefined;
    return isId(message.id) ? message.id : undefined;
  } catch {
    return undefined;
  }
}

function readParams(params: unknown): CallParams | string {
  if (!isMembers(params)) return "A tools/call needs params.";
  const { name, _meta = {}, idempotencyKey, inputResponses, requestState } = params;
  // Some clients write null where nothing is given.
  const given = params.arguments ?? {};
  const odd = otherCaseOf(paramNames, params);
  if (odd !== undefined)
    return `The params of a tools/call have a member "${odd}", which is read in two ways.`;
  if (typeof name !== "string") return "A tools/call needs the tool's name.";
  if (!isMembers(given)) return "The arguments of a tools/call must be an object.";
  if (!isMembers(_meta)) return "The _meta of a tools/call must be an object.";
  if (inputResponses !== undefined && !isMembers(inputResponses)) {
    return "The inputResponses of a tools/call must be an object.";
  }
  if (requestState !== undefined && typeof requestState !== "string") {
    return "The requestState of a tools/call must be a text.";
  }
  return {
    name,
    arguments: given,
    _meta,
    ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
    ...(inputResponses === undefined ? {} : { inputResponses }),
    ...(requestState === undefined ? {} : { requestState }),
  };
}

/** A frame of our own. */
export function responseFrame(id: FrameId | null, answer: Answer): ResponseFrame {
  const message = { jsonrpc: "2.0", id, ...answer };
  const bytes = new TextEncoder().encode(JSON.stringify(message));
  return { kind: "response", bytes, message, id, answer };
}

/** The same answer to another request. */
export function renamed(frame: ResponseFrame, id: FrameId): ResponseFrame {
  return frame.id === id ? frame : responseFrame(id, frame.answer);
}

/**
 * The call as it was first made: less the answers to what we had asked, which its server knows
 * nothing of.
 */
export function withoutContinuation(frame: CallFrame): CallFrame {
  const { inputResponses: _, requestState: __, ...params } = frame.params;
  const { inputResponses: ___, requestState: ____, ...asked } = frame.message.params as Members;
  return rewritten({ ...frame, params }, asked);
}

/** The same call with other arguments. */
export function withArguments(frame: CallFrame, args: Members): CallFrame {
  const asked = { ...(frame.message.params as Members), arguments: args };
  return rewritten({ ...frame, params: { ...frame.params, arguments: args } }, asked);
}

/** The one place where a client's bytes are written anew. */
function rewritten(frame: CallFrame, params: Members): CallFrame {
  const message = { ...frame.message, params };
  return { ...frame, message, bytes: new TextEncoder().encode(JSON.stringify(message)) };
}

/** What the sender of an unreadable frame is told. */
export function refusalOf(frame: UnreadableFrame): ResponseFrame {
  const message = `safeagent sent nothing on. ${frame.reason}`;
  return responseFrame(frame.id, { error: { code: frame.code, message } });
}

export function isMembers(value: unknown): value is Members {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isId(id: unknown): id is FrameId {
  return typeof id === "string" || (typeof id === "number" && Number.isSafeInteger(id));
}
