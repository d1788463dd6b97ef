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
  /** The names on the way to what is written. */
  const path: (string | number)[] = [];
  const within = (name: string | number, part: unknown): string => {
    path.push(name);
    const text = write(part);
    path.pop();
    return text;
  };
  const write = (part: unknown): string => {
    nodes += 1;
    if (path.length > limits.jsonDepth) {
      throw new GuardError("over_limit", "The arguments are nested too deep.", {
        forModel: `Not executed: the arguments are nested deeper than ${limits.jsonDepth} levels.`,
      });
    }
    if (Array.isArray(part)) return `[${part.map((item, at) => within(at, item)).join(",")}]`;
    if (isMembers(part)) {
      const members = Object.keys(part)
        .sort(byCodeUnit)
        .map((name) => `${write(name)}:${within(name, part[name])}`);
      return `{${members.join(",")}}`;
    }
    if (typeof part === "string" && !part.isWellFormed()) {
      throw unacceptable("is or holds half a character", path);
    }
    // Beyond these, other numbers in the text are the same number here: another effect, one name.
    if (typeof part === "number" && !isExact(part)) {
      throw unacceptable("is a number beyond 2^53 - 1, which a text can say", path);
    }
    return JSON.stringify(part === 0 ? 0 : part);
  };
  return { text: write(value), nodes };
}

function unacceptable(why: string, path: readonly (string | number)[]): GuardError {
  const steps = path.map((name) => `/${String(name).replaceAll("~", "~0").replaceAll("/", "~1")}`);
  const at = `the argument at ${JSON.stringify(steps.join("").slice(0, 200).toWellFormed())}`;
  return new GuardError("invalid_request", `What can't be told from others: ${at} ${why}.`, {
    forModel: `Not executed: ${at} ${why}. Correct it and call again.`,
  });
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
