import { limits } from "./limits.ts";

/** A value that JSON can say exactly (RFC 8259, and the numbers and strings of I-JSON, RFC 7493). */
export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [name: string]: Json };

/** The canonical text of a value, or the place and the reason why it has none. */
export type Canonical =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly path: string; readonly problem: JsonProblem };

export type JsonProblem =
  | "not_json"
  | "not_finite"
  | "unsafe_integer"
  | "lone_surrogate"
  | "forbidden_key"
  | "too_deep"
  | "too_many"
  | "too_large";

/**
 * The one text form of a JSON value, as RFC 8785 (JSON Canonicalization Scheme) defines it.
 *
 * A strict gate comes first. JCS alone makes different inputs equal (`undefined` vanishes, a Map
 * becomes `{}`, 2^53+1 becomes 2^53), so whatever JSON can't say exactly is refused with its path.
 *
 * @example canonicalJson({ b: 1.0, a: "x" }) // { ok: true, text: '{"a":"x","b":1}' }
 */
export function canonicalJson(value: unknown, charsMax: number = limits.payloadChars): Canonical {
  const gate: Gate = { nodes: 0, chars: 0, charsMax, ordered: true, problem: undefined };
  if (!pass(value, 0, gate)) return where(value, charsMax);
  // The engine's own serializer writes numbers and strings as RFC 8785 asks. It only lacks the
  // order of members, so a copy is made only where some object is out of order.
  const text = gate.ordered ? JSON.stringify(value) : write(value as Json);
  // A getter may have told the gate one thing and the serializer another.
  if (text === undefined) return { ok: false, path: "", problem: "not_json" };
  if (text.length > charsMax) return { ok: false, path: "", problem: "too_large" };
  return { ok: true, text };
}

interface Gate {
  nodes: number;
  /** A lower bound of the canonical text's length, so that a huge value is refused before it is written. */
  chars: number;
  readonly charsMax: number;
  /** Every object met so far has its members in canonical order. */
  ordered: boolean;
  problem: JsonProblem | undefined;
}

function pass(value: unknown, depth: number, gate: Gate): boolean {
  gate.nodes += 1;
  if (gate.nodes > limits.jsonNodes) return refuse(gate, "too_many");
  switch (typeof value) {
    case "string":
      return passText(value, gate);
    case "number":
      if (!Number.isFinite(value)) return refuse(gate, "not_finite");
      if (Number.isInteger(value) && !Number.isSafeInteger(value)) {
        return refuse(gate, "unsafe_integer");
      }
      gate.chars += 1;
      return true;
    case "boolean":
      gate.chars += 4;
      return true;
    case "object":
      if (value === null) return true;
      if (depth >= limits.jsonDepth) return refuse(gate, "too_deep");
      return Array.isArray(value) ? passArray(value, depth, gate) : passObject(value, depth, gate);
    case "undefined":
    case "bigint":
    case "symbol":
    case "function":
      return refuse(gate, "not_json");
  }
}

function passText(text: string, gate: Gate): boolean {
  gate.chars += text.length + 2;
  if (gate.chars > gate.charsMax) return refuse(gate, "too_large");
  return text.isWellFormed() || refuse(gate, "lone_surrogate");
}

function passArray(array: readonly unknown[], depth: number, gate: Gate): boolean {
  for (let index = 0; index < array.length; index += 1) {
    if (!pass(array[index], depth + 1, gate)) return false;
  }
  return true;
}

function passObject(object: object, depth: number, gate: Gate): boolean {
  const prototype: unknown = Object.getPrototypeOf(object);
  if (prototype !== null && prototype !== Object.prototype && !isForeignPlain(prototype)) {
    return refuse(gate, "not_json");
  }
  let previous: string | undefined;
  for (const name of Object.keys(object)) {
    if (name === "__proto__") return refuse(gate, "forbidden_key");
    if (!passText(name, gate)) return false;
    // An engine lists integer-like names first and by value, whatever order they were written in.
    if (startsWithDigit(name) || (previous !== undefined && previous > name)) gate.ordered = false;
    previous = name;
    if (!pass((object as Record<string, unknown>)[name], depth + 1, gate)) return false;
  }
  return true;
}

/** A plain object of another realm (a worker's or a test runner's sandbox) is still plain. */
function isForeignPlain(prototype: unknown): boolean {
  return (
    typeof prototype === "object" &&
    prototype !== null &&
    Object.getPrototypeOf(prototype) === null &&
    Object.hasOwn(prototype, "isPrototypeOf")
  );
}

function startsWithDigit(name: string): boolean {
  const first = name.charCodeAt(0);
  return first >= 48 && first <= 57;
}

function refuse(gate: Gate, problem: JsonProblem): false {
  gate.problem = problem;
  return false;
}

/**
 * The text of a value whose members are out of order. Only what is out of order is copied; the
 * engine writes the rest. Integer-like names can't be put in order by copying, so they are written
 * by hand.
 */
function write(value: Json): string {
  const copy = ordered(value);
  return copy === undefined ? writeByHand(value) : JSON.stringify(copy);
}

/** The value with its members in canonical order; undefined where an object can't have them so. */
function ordered(value: Json): Json | undefined {
  if (typeof value !== "object" || value === null) return value;
  return isList(value) ? orderedList(value) : orderedObject(value);
}

function orderedList(list: readonly Json[]): Json | undefined {
  let copy: Json[] | undefined;
  for (const [index, item] of list.entries()) {
    const next = ordered(item);
    if (next === undefined) return undefined;
    if (next === item) continue;
    copy ??= [...list];
    copy[index] = next;
  }
  return copy ?? list;
}

function orderedObject(object: { readonly [name: string]: Json }): Json | undefined {
  const names = Object.keys(object);
  if (names.some(startsWithDigit)) return undefined;
  names.sort(byCodeUnit);
  const copy: { [name: string]: Json } = {};
  for (const name of names) {
    const next = ordered(object[name] as Json);
    if (next === undefined) return undefined;
    copy[name] = next;
  }
  return copy;
}

function writeByHand(value: Json): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (isList(value)) return `[${value.map(writeByHand).join(",")}]`;
  const members = Object.keys(value)
    .sort(byCodeUnit)
    .map((name) => `${JSON.stringify(name)}:${writeByHand(value[name] as Json)}`);
  return `{${members.join(",")}}`;
}

function isList(value: readonly Json[] | { readonly [name: string]: Json }): value is readonly Json[] {
  return Array.isArray(value);
}

/** RFC 8785, 3.2.3: names are ordered by their UTF-16 code units, never by locale. */
export function byCodeUnit(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}

/** The slow walk, taken only after a refusal: finds the path (RFC 6901) that the fast one leaves out. */
function where(value: unknown, charsMax: number): Canonical {
  const gate: Gate = { nodes: 0, chars: 0, charsMax, ordered: true, problem: undefined };
  const path = search(value, "", 0, gate);
  return { ok: false, path, problem: gate.problem ?? "not_json" };
}

function search(value: unknown, path: string, depth: number, gate: Gate): string {
  if (typeof value === "object" && value !== null && depth < limits.jsonDepth) {
    const isArray = Array.isArray(value);
    if (isArray || passObject(emptied(value), depth, gate)) {
      gate.nodes += 1;
      if (gate.nodes > limits.jsonNodes) {
        refuse(gate, "too_many");
        return path;
      }
      const length = isArray ? value.length : 0;
      const names: Iterable<string> = isArray ? indexes(length) : Object.keys(value);
      for (const name of names) {
        const here = `${path}/${name.replaceAll("~", "~0").replaceAll("/", "~1").slice(0, 64)}`;
        if (!isArray && name === "__proto__") {
          refuse(gate, "forbidden_key");
          return here;
        }
        if (!isArray && !passText(name, gate)) return here.toWellFormed();
        const found = search((value as Record<string, unknown>)[name], here, depth + 1, gate);
        if (gate.problem !== undefined) return found;
      }
    }
    return path;
  }
  pass(value, depth, gate);
  return path;
}

/** An object with the same prototype and no members: lets the gate judge the object itself. */
function emptied(value: object): object {
  return Object.create(Object.getPrototypeOf(value) as object | null) as object;
}

function* indexes(length: number): Iterable<string> {
  for (let index = 0; index < length; index += 1) yield String(index);
}

/**
 * Leaves the members named by JSON pointers (RFC 6901) out of a value. What isn't there is skipped:
 * a field left out may be absent.
 */
export function without(value: Json, pointers: readonly string[]): Json {
  return pointers.reduce((rest, pointer) => drop(rest, pointer.split("/").slice(1)), value);
}

function drop(value: Json, path: readonly string[]): Json {
  const [escaped, ...rest] = path;
  if (escaped === undefined || typeof value !== "object" || value === null) return value;
  const name = escaped.replaceAll("~1", "/").replaceAll("~0", "~");
  if (!Object.hasOwn(value, name)) return value;
  if (Array.isArray(value)) {
    return rest.length === 0
      ? value.filter((_, index) => String(index) !== name)
      : value.map((item: Json, index) => (String(index) === name ? drop(item, rest) : item));
  }
  const members = Object.entries(value as { readonly [name: string]: Json });
  return Object.fromEntries(
    rest.length === 0
      ? members.filter(([key]) => key !== name)
      : members.map(([key, item]) => [key, key === name ? drop(item, rest) : item]),
  );
}

/** Freezes a JSON value at every level, so that it can be shared. */
export function frozen<T extends Json>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  for (const item of Object.values(value)) frozen(item as Json);
  return Object.freeze(value);
}
