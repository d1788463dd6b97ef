import { type Json, limits } from "../index.ts";
import { joined } from "./kept.ts";

/** What a fingerprint says of a body: its JSON, compared by value, or the hash of its bytes. */
export type Body =
  | null
  | { readonly json: Json }
  | { readonly sha256: string; readonly bytes: number };

/** Why a body can't be compared with a retry's. */
export type BodyFault = "body_too_large" | "body_unfinished" | "body_unreadable";

export interface BodyBounds {
  readonly bodyBytes: number;
  readonly bodyMs: number;
}

/** What of the settings says how a body is compared. */
export interface BodyTerms {
  readonly bodyBytes: number;
  /** Fields that don't count: only JSON has any. */
  readonly ignore: readonly string[];
}

export function isJson(contentType: string | null): boolean {
  const essence = essenceOf(contentType);
  return essence === "application/json" || essence.endsWith("+json");
}

/** What a fingerprint says of a content type: JSON is the same whatever its parameters. */
export function comparedType(contentType: string | null): string | null {
  if (contentType === null) return null;
  return isJson(contentType) ? essenceOf(contentType) : contentType.trim();
}

function essenceOf(contentType: string | null): string {
  return (contentType ?? "").split(";", 1)[0]?.trim().toLowerCase() ?? "";
}

/**
 * A body as it came. JSON that has no exact canonical form is compared by its bytes, unless fields of
 * it are left out: the guard then refuses it, and names the place.
 */
export async function bodyOfBytes(
  bytes: Uint8Array<ArrayBuffer>,
  contentType: string | null,
  { ignore }: Pick<BodyTerms, "ignore">,
): Promise<Body> {
  if (bytes.length === 0) return null;
  if (isJson(contentType)) {
    const json = jsonOf(bytes);
    if (json !== undefined && (ignore.length > 0 || isExact(json))) return { json };
  }
  return { sha256: await sha256(bytes), bytes: bytes.length };
}

/** JSON's value; undefined where it is none. */
export function jsonOf(bytes: Uint8Array): Json | undefined {
  try {
    return JSON.parse(strict.decode(bytes)) as Json;
  } catch {
    return undefined;
  }
}

/** Room for what else a payload tells: levels, members and characters. */
const spare = { depth: 4, nodes: 100, chars: 32_768 };

/** Whether the guard's canonical form can say it. No looser than that form's own gate. */
function isExact(json: Json): boolean {
  let nodes = 0;
  const isExactAt = (value: Json, depth: number): boolean => {
    nodes += 1;
    if (nodes > limits.jsonNodes - spare.nodes) return false;
    if (typeof value === "string") return value.isWellFormed();
    if (typeof value === "number") {
      return Number.isInteger(value) ? Number.isSafeInteger(value) : Number.isFinite(value);
    }
    if (typeof value !== "object" || value === null) return true;
    if (depth >= limits.jsonDepth - spare.depth) return false;
    return Object.entries(value).every(
      ([name, item]) =>
        name !== "__proto__" && name.isWellFormed() && isExactAt(item as Json, depth + 1),
    );
  };
  return isExactAt(json, 0) && JSON.stringify(json).length <= limits.payloadChars - spare.chars;
}

/** A body as a parser of the server has left it: its numbers are already rounded, so those are refused. */
export async function bodyOfParsed(
  value: unknown,
  contentType: string | null,
  terms: BodyTerms,
): Promise<Body | BodyFault> {
  if (value instanceof Uint8Array) {
    if (value.length > terms.bodyBytes) return "body_too_large";
    return bodyOfBytes(new Uint8Array(value), contentType, terms);
  }
  // Its files were taken out of what is left: they could not be compared.
  if (essenceOf(contentType).startsWith("multipart/")) return "body_unreadable";
  if (typeof value === "string" && !isJson(contentType)) {
    return bodyOfParsed(new TextEncoder().encode(value), contentType, terms);
  }
  return isStreamLike(value) ? "body_unreadable" : { json: value as Json };
}

function isStreamLike(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const { pipe, getReader } = value as { readonly pipe?: unknown; readonly getReader?: unknown };
  return typeof pipe === "function" || typeof getReader === "function";
}

/** Something that hands out a body piece by piece. `stop` is called where the rest isn't wanted. */
export interface Pieces {
  readonly next: () => Promise<Uint8Array | undefined>;
  readonly stop: () => void;
}

/** Reads a body to its end, within its bounds. */
export async function readBody(
  { next, stop }: Pieces,
  { bodyBytes, bodyMs }: BodyBounds,
): Promise<Uint8Array<ArrayBuffer> | BodyFault> {
  const late = Promise.withResolvers<"late">();
  const timer = setTimeout(() => late.resolve("late"), bodyMs);
  const parts: Uint8Array[] = [];
  let bytes = 0;
  try {
    for (;;) {
      const piece = await Promise.race([next(), late.promise]);
      if (piece === undefined) return new Uint8Array(joined(parts));
      if (piece === "late") break;
      bytes += piece.length;
      if (bytes > bodyBytes) {
        stop();
        return "body_too_large";
      }
      parts.push(piece);
    }
  } catch {
    // It broke off: nobody will ever send the rest.
  } finally {
    clearTimeout(timer);
  }
  stop();
  return "body_unfinished";
}

/** RFC 8259 has no other encoding. */
const strict = new TextDecoder("utf-8", { fatal: true });

export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
