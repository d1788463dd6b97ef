import { GuardError, limits } from "../index.ts";

/** A response as the receipt keeps it. */
export type KeptResponse =
  | {
      readonly status: number;
      readonly headers: readonly (readonly [name: string, value: string])[];
      readonly body: null | { readonly text: string } | { readonly base64: string };
    }
  /** It was too large. */
  | { readonly status: number; readonly omitted: true };

/** What a handler answered, read to its end. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Uint8Array | null | "too_large" | "streaming";
}

/** Bytes of a response's body that are kept at most; the JSON they are kept in has a bound of its own. */
export const keptBytes: number = limits.valueChars;

/** What is kept of a response's headers, where nothing else is asked for: what describes its body and its place. */
const keptHeaders: readonly string[] = [
  "content-type",
  "content-language",
  "content-encoding",
  "content-disposition",
  "content-location",
  "location",
  "link",
  "etag",
  "last-modified",
];

/** They belong to one connection, one moment or one client, so no replay may carry them. */
const neverKept: ReadonlySet<string> = new Set([
  "set-cookie",
  "set-cookie2",
  "date",
  "age",
  "connection",
  "content-length",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "idempotent-replayed",
]);

/** The names of the headers to keep, in lower case. */
export function headersToKeep(more: readonly string[] = []): ReadonlySet<string> {
  const names = more.map((name) => String(name).toLowerCase());
  const refused = names.find((name) => neverKept.has(name));
  if (refused === undefined) return new Set([...keptHeaders, ...names]);
  throw new GuardError("invalid_request", `The header "${refused}" can't be kept for a replay.`);
}

/** What a receipt keeps of an answer. */
export function keep(answer: Answer, names: ReadonlySet<string>): KeptResponse {
  const { status, body } = answer;
  if (typeof body === "string") return { status, omitted: true };
  const headers = [...answer.headers].filter(([name]) => names.has(name));
  const kept = { status, headers, body: body === null ? null : bodyOf(body) };
  return JSON.stringify(kept).length <= limits.valueChars ? kept : { status, omitted: true };
}

/**
 * A response in the form that a replay is made of: for `guard.resolve`, where a person found out
 * that a request in doubt was executed, and what it should be answered with.
 *
 * @example
 * const value = await keptResponse(Response.json({ id: "re_1" }, { status: 201 }));
 * await guard.resolve(caseId, { happened: true, value }, { by: "ana", evidence: "re_1 is there" });
 */
export async function keptResponse(response: Response): Promise<KeptResponse> {
  return keep(await answerOf(response), headersToKeep());
}

/** Reads a response to its end. Of what is too large the rest is read too: it may still be doing its work. */
export async function answerOf(response: Response, signal?: AbortSignal): Promise<Answer> {
  const { status, headers } = response;
  if (isStream(headers.get("content-type"))) {
    response.body?.cancel().catch(() => undefined);
    return { status, headers, body: "streaming" };
  }
  const body = response.body === null ? null : await readAll(response.body, signal);
  return { status, headers, body };
}

/** A body that tells by its type that it goes on. */
export function isStream(contentType: string | null): boolean {
  return /^\s*(text\/event-stream|multipart\/x-mixed-replace)\b/i.test(contentType ?? "");
}

/** Reads to the end, and keeps no more than is kept. Where its time is over, the end of what is too large isn't waited for. */
export async function readAll(
  chunks: AsyncIterable<Uint8Array>,
  signal?: AbortSignal,
): Promise<Uint8Array | "too_large"> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of chunks) {
    bytes += part.length;
    if (bytes <= keptBytes) parts.push(part);
    else parts.length = 0;
    if (bytes > keptBytes && signal?.aborted === true) throw new Error("the response has no end");
  }
  return bytes <= keptBytes ? joined(parts) : "too_large";
}

/** @throws TypeError for what is no bytes: a text or a number would become a row of zeros */
export function joined(parts: readonly Uint8Array[]): Uint8Array {
  if (!parts.every(isBytes)) throw new TypeError("a body's pieces must be bytes");
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Of this realm, or of another one. */
function isBytes(part: unknown): boolean {
  return Object.prototype.toString.call(part) === "[object Uint8Array]";
}

/** The response that a receipt's value tells of; undefined where it tells of none. */
export function replayOf(value: unknown): Response | undefined {
  if (!isKept(value)) return undefined;
  const { status, body } = value;
  const headers = new Headers(value.headers.map(([name, text]): [string, string] => [name, text]));
  headers.set("idempotent-replayed", "true");
  if (body === null) return new Response(null, { status, headers });
  const bytes = "text" in body ? encoder.encode(body.text) : fromBase64(body.base64);
  // Given as bytes: a text would bring a content type of its own.
  return new Response(bytes, { status, headers });
}

type Whole = Exclude<KeptResponse, { readonly omitted: true }>;

/** A person or a probe may have given any value: it is looked at before it is sent. */
function isKept(value: unknown): value is Whole {
  if (typeof value !== "object" || value === null) return false;
  const { status, headers, body } = value as { readonly [Name in keyof Whole]?: unknown };
  if (typeof status !== "number" || status < 200 || status > 599) return false;
  if (!Array.isArray(headers) || !headers.every(isHeader)) return false;
  if (body === null) return true;
  const { text, base64 } = (body ?? {}) as { readonly text?: unknown; readonly base64?: unknown };
  return (typeof text === "string" || typeof base64 === "string") && !bodiless.has(status);
}

function isHeader(pair: unknown): boolean {
  return Array.isArray(pair) && pair.length === 2 && pair.every((text) => typeof text === "string");
}

/** Statuses whose responses have no body. */
export const bodiless: ReadonlySet<number> = new Set([204, 205, 304]);

function bodyOf(bytes: Uint8Array): { text: string } | { base64: string } {
  try {
    return { text: strict.decode(bytes) };
  } catch {
    return { base64: toBase64(bytes) };
  }
}

const encoder = new TextEncoder();
/** Refuses what it could not give back byte for byte. */
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export function toBase64(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 8_192) {
    text += String.fromCharCode(...bytes.subarray(at, at + 8_192));
  }
  return btoa(text);
}

/** @throws DOMException where it is no base64 */
export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
}
