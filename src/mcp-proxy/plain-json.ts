import { GuardError, limits } from "../index.ts";
import { isMembers } from "./frame.ts";

/** What was read by `JSON.parse`: nothing here has to be asked whether it is JSON. */

export interface Canonical {
  /** RFC 8785. */
  readonly text: string;
  /** Members and elements, all levels together. */
  readonly nodes: number;
}

/**
 * The one text of a value, whatever the order its members came in.
 *
 * @throws GuardError `invalid_request` where JSON's text says what a number or a text can't hold
 */
export function canonical(value: unknown): Canonical {
  let nodes = 0;
  const write = (part: unknown, depth: number): string => {
    nodes += 1;
    if (depth > limits.jsonDepth) {
      throw new GuardError("over_limit", "The arguments are nested too deep.");
    }
    if (Array.isArray(part)) return `[${part.map((item) => write(item, depth + 1)).join(",")}]`;
    if (isMembers(part)) {
      const members = Object.keys(part)
        .sort(byCodeUnit)
        .map((name) => `${write(name, depth)}:${write(part[name], depth + 1)}`);
      return `{${members.join(",")}}`;
    }
    if (typeof part === "string" && !part.isWellFormed()) {
      throw new GuardError("invalid_request", "The arguments hold half a character.");
    }
    // Beyond these, other numbers in the text are the same number here: another effect, one name.
    if (typeof part === "number" && !isExact(part)) {
      throw new GuardError("invalid_request", "The arguments hold a number beyond 2^53 - 1.");
    }
    return JSON.stringify(part === 0 ? 0 : part);
  };
  return { text: write(value, 0), nodes };
}

function isExact(number: number): boolean {
  return Number.isFinite(number) && (!Number.isInteger(number) || Number.isSafeInteger(number));
}

function byCodeUnit(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}

/** The parts of a JSON pointer (RFC 6901). */
function partsOf(pointer: string): readonly string[] {
  return pointer
    .split("/")
    .slice(1)
    .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
}

/** What a pointer points to; undefined where nothing is there. */
export function pointedTo(value: unknown, pointer: string): unknown {
  let at = value;
  for (const part of partsOf(pointer)) {
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, part)) return undefined;
    at = (at as Record<string, unknown>)[part];
  }
  return at;
}

/** The value less what the pointers point to, each read against the value as it was given. */
export function without(value: unknown, pointers: readonly string[]): unknown {
  const strip = (part: unknown, paths: readonly (readonly string[])[]): unknown => {
    if (paths.length === 0 || typeof part !== "object" || part === null) return part;
    const rest = (name: string) =>
      paths.filter(([first]) => first === name).map((path) => path.slice(1));
    const kept = Object.entries(part)
      .filter(([name]) => !rest(name).some((path) => path.length === 0))
      .map(([name, item]) => [name, strip(item, rest(name))] as const);
    return Array.isArray(part) ? kept.map(([, item]) => item) : Object.fromEntries(kept);
  };
  return strip(value, pointers.map(partsOf));
}
