import { limits } from "./limits.ts";

declare const brand: unique symbol;

/** Names *which effect*: a business fact, such as `refund:order-42`. */
export type CaseId = string & { readonly [brand]: "CaseId" };
/** The caller's name for one *ask*. Many requests may ask for one case. */
export type RequestId = string & { readonly [brand]: "RequestId" };
/** SHA-256, in lower-case hex, of the canonical JSON of namespace, action and payload. */
export type Fingerprint = string & { readonly [brand]: "Fingerprint" };

/** Letters, marks, digits, punctuation, symbols and the plain space: what a person can read. */
const printable = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]+$/u;
/** The common case, checked without Unicode tables. */
const plain = /^[\x20-\x7e]+$/;
const blank = /^\p{Z}+$/u;
/** Letters and marks that show nothing (fillers, selectors): two names would look like one. */
const invisible = /\p{DI}/u;

/**
 * Whether a text may name something: 1 to 255 printable characters, not all of them
 * blank. Case-sensitive, never trimmed,
 * never normalised: two names are one only where they are the same characters.
 */
export function isName(text: unknown): text is string {
  return (
    typeof text === "string" &&
    text.length <= limits.idChars &&
    (plain.test(text) || (printable.test(text) && !invisible.test(text))) &&
    !blank.test(text)
  );
}

/**
 * What a fingerprint is taken over. Its members are in canonical order, so given a canonical payload
 * the whole is canonical (RFC 8785).
 */
export function fingerprintText(namespace: string, action: string, payload: string): string {
  return `{"action":${JSON.stringify(action)},"namespace":${JSON.stringify(namespace)},"payload":${payload}}`;
}
