import { GuardError } from "../index.ts";
import { pointedTo } from "./plain-json.ts";

/** A key with places in it: text, and JSON pointers into a call's arguments in braces. */
export interface KeyTemplate {
  readonly text: string;
  /** One more than `pointers`: what stands before, between and after them. */
  readonly literals: readonly string[];
  readonly pointers: readonly string[];
}

/**
 * Reads a template; answers with what is wrong with it where it can't be one.
 *
 * @example readTemplate("refund:{/orderId}")
 */
export function readTemplate(text: string): KeyTemplate | string {
  const pieces = text.split(/\{([^{}]*)\}/);
  const literals = pieces.filter((_, index) => index % 2 === 0);
  const pointers = pieces.filter((_, index) => index % 2 === 1);
  if (literals.some((literal) => /[{}]/.test(literal))) return "has a brace without its twin";
  // Every call would be one and the same effect.
  if (pointers.length === 0) return 'names no argument; say which, such as "refund:{/orderId}"';
  const wrong = pointers.find((pointer) => !/^(?:\/(?:[^~/]|~[01])*)+$/.test(pointer));
  if (wrong !== undefined) return `has {${wrong}}, which is no JSON pointer such as {/orderId}`;
  if (literals.slice(1, -1).some((between) => !/[^\p{L}\p{N}%]/u.test(between))) {
    return "needs a sign between two of its arguments, such as {/from}:{/to}";
  }
  return { text, literals, pointers };
}

/**
 * The key of a call.
 *
 * @throws GuardError `invalid_request` where an argument that names the effect is missing
 */
export function fillTemplate(template: KeyTemplate, args: unknown): string {
  const { literals, pointers } = template;
  // Where there are several places, what stands between them never stands in them: two different
  // calls can't fill in the same key.
  const between = new Set(
    literals
      .slice(1, -1)
      .join("")
      .match(/[^\p{L}\p{N}]/gu) ?? [],
  );
  const filled = pointers.map((pointer) => {
    const value = pointedTo(args, pointer);
    const isPlain = ["string", "number", "boolean"].includes(typeof value) && value !== "";
    if (!isPlain) throw missing(pointer);
    const text = String(value);
    if (!text.isWellFormed()) throw missing(pointer);
    return [...text]
      .map((sign) => (isShown(sign) && sign !== "%" && !between.has(sign) ? sign : encoded(sign)))
      .join("");
  });
  return literals.map((literal, index) => literal + (filled[index] ?? "")).join("");
}

/** Whether a person can read it: what can't be read could make two keys look like one. */
function isShown(sign: string): boolean {
  return /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u.test(sign) && !/\p{DI}/u.test(sign);
}

function encoded(sign: string): string {
  return Array.from(
    new TextEncoder().encode(sign),
    (byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`,
  ).join("");
}

function missing(pointer: string): GuardError {
  return new GuardError(
    "invalid_request",
    `The argument at "${pointer}" says which effect this is, and is neither a text nor a number.`,
    { forModel: `Not executed: the argument at ${pointer} is needed, as a text or a number.` },
  );
}
