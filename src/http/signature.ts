import { fromBase64, joined } from "./kept.ts";
import { invalid } from "./settings.ts";

/** Signatures as Standard Webhooks has them (standardwebhooks.com, 1.0): HMAC-SHA256, base64, `v1`. */

type HmacKey = Awaited<ReturnType<typeof crypto.subtle.importKey>>;

/** What a sender has signed, beside the body. */
export interface Signed {
  readonly id: string;
  /** Seconds since 1970, as it came: it is part of what is signed. */
  readonly timestamp: string;
  readonly signatures: readonly Uint8Array<ArrayBuffer>[];
}

/** Signatures that are looked at: a sender has a few, while it changes its secret. */
const signaturesMost = 16;
const secretBytesLeast = 24;
const prefix = "whsec_";

/** Reads secrets once, so that a wrong one is found where the webhook is made. */
export function secretsOf(secret: string | readonly string[]): readonly Promise<HmacKey>[] {
  const texts = typeof secret === "string" ? [secret] : secret;
  if (!Array.isArray(texts) || texts.length === 0) throw invalid("`secret` must be given.");
  const keys = texts.map(keyBytes);
  return keys.map((key) =>
    crypto.subtle.importKey("raw", key, { name: "HMAC", hash: "SHA-256" }, false, ["verify"]),
  );
}

function keyBytes(text: unknown): Uint8Array<ArrayBuffer> {
  const bytes = typeof text === "string" ? decoded(text.replace(prefix, "")) : undefined;
  if (bytes !== undefined && bytes.length >= secretBytesLeast) return bytes;
  throw invalid(
    `A webhook's secret must be "${prefix}" and the base64 of at least ${secretBytesLeast} bytes.`,
  );
}

/** What the headers say; undefined where one is missing or malformed. */
export function signedOf(headers: Headers): Signed | undefined {
  const id = headers.get("webhook-id");
  const timestamp = headers.get("webhook-timestamp");
  const list = headers.get("webhook-signature");
  if (!id || !list || timestamp === null || !/^\d{1,12}$/.test(timestamp)) return undefined;
  // Another version's signatures are for others.
  const signatures = list
    .split(/[ ,](?=v\d+[a-z]*,)/)
    .slice(0, signaturesMost)
    .flatMap((one) => (one.startsWith("v1,") ? (decoded(one.slice(3).trim()) ?? []) : []));
  return { id, timestamp, signatures };
}

/** Whether one of the signatures is one of the secrets' over this content. Compares in constant time. */
export async function isSigned(
  { id, timestamp, signatures }: Signed,
  body: Uint8Array,
  secrets: readonly Promise<HmacKey>[],
): Promise<boolean> {
  const content = new Uint8Array(joined([new TextEncoder().encode(`${id}.${timestamp}.`), body]));
  let found = false;
  for (const key of await Promise.all(secrets)) {
    for (const signature of signatures) {
      if (await crypto.subtle.verify("HMAC", key, signature, content)) found = true;
    }
  }
  return found;
}

function decoded(base64: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    return fromBase64(base64);
  } catch {
    return undefined;
  }
}
