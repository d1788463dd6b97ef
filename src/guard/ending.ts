import { isNotPerformed } from "../core/errors.ts";
import { limits } from "../core/limits.ts";
import type { Rules } from "./ask.ts";

/** How an effect ended, as far as anyone can tell. */
export type Ending =
  | { readonly kind: "returned"; readonly value: unknown }
  /** It certainly did not happen. */
  | { readonly kind: "not_performed"; readonly reason: string; readonly final: boolean }
  | {
      readonly kind: "unknown";
      readonly reason: "threw" | "timed_out";
      readonly error: string | null;
    };

/**
 * Reads an error: what says that nothing happened, and what says nothing. Total: anything can be
 * thrown, and what can't even be read has told nothing.
 */
export function endingOf(error: unknown, onError: Rules["onError"]): Ending {
  try {
    return read(error, onError);
  } catch {
    return { kind: "unknown", reason: "threw", error: null };
  }
}

function read(error: unknown, onError: Rules["onError"]): Ending {
  if (isNotPerformed(error)) {
    const { message, final } = error;
    return { kind: "not_performed", reason: clipped(String(message)), final: final === true };
  }
  const reason = describe(error);
  const word = wordOf(error, onError) ?? (neverLeft(error) ? "not_performed" : "unknown");
  return word === "not_performed"
    ? { kind: "not_performed", reason, final: false }
    : { kind: "unknown", reason: "threw", error: reason };
}

function wordOf(error: unknown, onError: Rules["onError"]) {
  try {
    const word = onError?.(error);
    return word === "not_performed" || word === "unknown" ? word : undefined;
  } catch {
    // A reader of errors that fails itself has told nothing.
    return "unknown" as const;
  }
}

/** System errors of a connection that never came to be, so nothing was sent. */
const unsent: ReadonlySet<unknown> = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN"]);

/** Whether an error is known never to have left the machine. Looks through `cause` and every address tried. */
function neverLeft(error: unknown, depth = 0): boolean {
  if (typeof error !== "object" || error === null || depth > 4) return false;
  const { code, cause, errors } = error as { code?: unknown; cause?: unknown; errors?: unknown };
  if (Array.isArray(errors) && errors.length > 0) {
    return errors.every((one) => neverLeft(one, depth + 1));
  }
  return unsent.has(code) || neverLeft(cause, depth + 1);
}

/** An error in a line, for the operator. */
export function describe(error: unknown): string {
  if (!(error instanceof Error)) return clipped(String(error));
  const { code } = error as { code?: unknown };
  const label = typeof code === "string" ? `${error.name} ${code}` : error.name;
  return clipped(`${label}: ${error.message}`);
}

function clipped(text: string): string {
  return text.toWellFormed().slice(0, limits.textChars);
}
