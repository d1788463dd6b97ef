import { limits } from "../index.ts";

/**
 * Names the asks of tools. A name binds one case for ever, so no two asks may share one, whatever a
 * client or a model puts into a call's id: where the plain text could be read in two ways, it is the
 * JSON of its parts, and where that is no name, its digest.
 */

/** What makes a call's id unique: a text of the user's, or a kind of the adapter's with its parts. */
export type Scope = string | readonly (string | null)[];

/**
 * The name of one ask. Frameworks take a call's id for unique within a run only, so it is never used
 * alone: the same id in another run would bind another case, and be refused.
 */
export async function requestIdOf(
  scope: Scope | undefined,
  callId: string | undefined,
  caseId: string,
): Promise<string> {
  if (callId === undefined) {
    return plainCase.test(caseId) ? caseId : named(["case", caseId]);
  }
  if (scope !== undefined) {
    return named([...(typeof scope === "string" ? ["scope", scope] : scope), callId]);
  }
  const name = `${caseId}/${callId}`;
  const isPlain = plainCall.test(callId) && name.length <= limits.idChars;
  return isPlain ? name : named(["call", caseId, callId]);
}

/** A case's name that is no other ask's: those have a slash, are JSON, or are digests. */
const plainCase = /^(?!call:|\[)[^/]*$/;

/** A call's id that ends a name in one way only: what is before the last slash is the case. */
const plainCall = /^[\w.:-]+$/;

const plainText = /^[\x20-\x7e]*$/;

async function named(parts: readonly (string | null)[]): Promise<string> {
  const text = JSON.stringify(parts);
  if (text.length <= limits.idChars && plainText.test(text)) return text;
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return `call:${Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}
