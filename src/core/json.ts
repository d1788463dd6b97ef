import { limits } from "./limits.ts";

/** A value that JSON can say exactly (RFC 8259, and the numbers and strings of I-JSON, RFC 7493). */
export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [name: string]: Json };

/** The canonical text of a value and a frozen copy of it, or the place and the reason why it has none. */
export type Canonical =
  | { readonly ok: true; readonly text: string; readonly value: Json }
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
 * The value is read once, into a copy in canonical order: a getter can't tell the gate one thing and
 * the serializer another, and what is hashed is what is run.
 *
 * @example canonicalJson({ b: 1.0, a: "x" }) // { ok: true, text: '{"a":"x","b":1}', value: … }
 */
export function canonicalJson(value: unknown, charsMax: number = limits.payloadChars): Canonical {
  const gate: Gate = { nodes: 0, chars: 0, charsMax, byHand: false, problem: "not_json", path: [] };
  const copy = copyOf(value, 0, gate);
  if (copy === refused) return { ok: false, path: pathOf(gate), problem: gate.problem };
  // The engine's own serializer writes numbers and strings as RFC 8785 asks.
  const text = gate.byHand ? writeByHand(copy) : JSON.stringify(copy);
  if (text.length > charsMax) return { ok: false, path: "", problem: "too_large" };
  return { ok: true, text, value: copy };
}

interface Gate {
  nodes: number;
  /** A lower bound of the text's length, so that a huge value is refused before it is copied whole. */
  chars: number;
  readonly charsMax: number;
  /** Some object has integer-like names, which an engine lists first and by value, whatever is asked. */
  byHand: boolean;
  problem: JsonProblem;
  /** The names on the way to what was refused, innermost first. */
  readonly path: string[];
}

const refused: unique symbol = Symbol("refused");

function refuse(gate: Gate, problem: JsonProblem): typeof refused {
  gate.problem = problem;
  return refused;
}

function refuseAt(gate: Gate, name: string): typeof refused {
  gate.path.push(name);
  return refused;
}

/** RFC 6901. */
function pathOf(gate: Gate): string {
  const escaped = gate.path.map((name) => name.replaceAll("~", "~0").replaceAll("/", "~1"));
  return escaped
    .reverse()
    .map((name) => `/${name}`)
    .join("")
    .toWellFormed();
}

function copyOf(value: unknown, depth: number, gate: Gate): Json | typeof refused {
  gate.nodes += 1;
  if (gate.nodes > limits.jsonNodes) return refuse(gate, "too_many");
  switch (typeof value) {
    case "string":
      return copyText(value, gate);
    case "number":
      if (!Number.isFinite(value)) return refuse(gate, "not_finite");
      if (Number.isInteger(value) && !Number.isSafeInteger(value)) {
        return refuse(gate, "unsafe_integer");
      }
      gate.chars += 1;
      // Negative zero is zero.
      return value + 0;
    case "boolean":
      gate.chars += 4;
      return value;
    case "object":
      if (value === null) return null;
      if (depth >= limits.jsonDepth) return refuse(gate, "too_deep");
      return copyTree(value, depth, gate);
    case "undefined":
    case "bigint":
    case "symbol":
    case "function":
      return refuse(gate, "not_json");
  }
}

function copyText(text: string, gate: Gate): string | typeof refused {
  gate.chars += text.length + 2;
  if (gate.chars > gate.charsMax) return refuse(gate, "too_large");
  return text.isWellFormed() ? text : refuse(gate, "lone_surrogate");
}

function copyTree(value: object, depth: number, gate: Gate): Json | typeof refused {
  try {
    return Array.isArray(value) ? copyArray(value, depth, gate) : copyObject(value, depth, gate);
  } catch {
    // A getter or a Proxy threw: whatever it stands for, it isn't plain data.
    return refuse(gate, "not_json");
  }
}

function copyArray(array: readonly unknown[], depth: number, gate: Gate): Json | typeof refused {
  const { length } = array;
  if (length > limits.jsonNodes) return refuse(gate, "too_many");
  if (!isPlain(array, Array.prototype, "concat")) return refuse(gate, "not_json");
  const copy: Json[] = [];
  for (let index = 0; index < length; index += 1) {
    const item = copyOf(array[index], depth + 1, gate);
    if (item === refused) return refuseAt(gate, String(index));
    copy.push(item);
  }
  // Holes were refused above; what is left beside the elements and `length` has no place in JSON.
  if (Reflect.ownKeys(array).length !== length + 1) return refuse(gate, "not_json");
  return Object.freeze(copy);
}

function copyObject(object: object, depth: number, gate: Gate): Json | typeof refused {
  const isBare = Object.getPrototypeOf(object) === null;
  if (!isBare && !isPlain(object, Object.prototype, "isPrototypeOf")) {
    return refuse(gate, "not_json");
  }
  const names = Reflect.ownKeys(object);
  if (names.length > limits.jsonNodes) return refuse(gate, "too_many");
  // Symbols and hidden members would be dropped without a word.
  if (!areShown(object, names)) return refuse(gate, "not_json");
  sortNames(names);
  const copy: { [name: string]: Json } = {};
  for (const name of names) {
    if (name === "__proto__") {
      refuse(gate, "forbidden_key");
      return refuseAt(gate, name);
    }
    if (copyText(name, gate) === refused) return refuseAt(gate, name);
    if (startsWithDigit(name)) gate.byHand = true;
    const member = memberOf(object, name, depth, gate);
    if (member === refused) return refuseAt(gate, name);
    copy[name] = member;
  }
  return Object.freeze(copy);
}

function memberOf(object: object, name: string, depth: number, gate: Gate) {
  try {
    return copyOf((object as Record<string, unknown>)[name], depth + 1, gate);
  } catch {
    return refuse(gate, "not_json");
  }
}

/** Of this realm, or of another one (a worker's or a test runner's sandbox), which has a mark of its own. */
function isPlain(value: object, plain: object, mark: string): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === plain) return true;
  if (typeof prototype !== "object" || prototype === null) return false;
  const above: unknown = Object.getPrototypeOf(prototype);
  const isTop = plain === Object.prototype ? above === null : Array.isArray(prototype);
  return isTop && Object.hasOwn(prototype, mark);
}

const isShown = Object.prototype.propertyIsEnumerable;

function areShown(object: object, names: readonly PropertyKey[]): names is string[] {
  return names.every((name) => typeof name === "string" && isShown.call(object, name));
}

/** Most objects have few members, many of them in order: for those the engine's sort is a long way round. */
function sortNames(names: string[]): void {
  if (names.length > 16) {
    names.sort(byCodeUnit);
    return;
  }
  for (let index = 1; index < names.length; index += 1) {
    const name = names[index] as string;
    let at = index;
    for (; at > 0 && (names[at - 1] as string) > name; at -= 1) names[at] = names[at - 1] as string;
    names[at] = name;
  }
}

function startsWithDigit(name: string): boolean {
  const first = name.charCodeAt(0);
  return first >= 48 && first <= 57;
}

function writeByHand(value: Json): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (isList(value)) return `[${value.map(writeByHand).join(",")}]`;
  const members = Object.keys(value)
    .sort(byCodeUnit)
    .map((name) => `${JSON.stringify(name)}:${writeByHand(value[name] as Json)}`);
  return `{${members.join(",")}}`;
}

function isList(
  value: readonly Json[] | { readonly [name: string]: Json },
): value is readonly Json[] {
  return Array.isArray(value);
}

/** RFC 8785, 3.2.3: names are ordered by their UTF-16 code units, never by locale. */
export function byCodeUnit(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}

/**
 * Leaves the members named by JSON pointers (RFC 6901) out of a value. What isn't there is skipped:
 * a field left out may be absent. Each pointer is read against the value as it was given.
 */
export function without(value: Json, pointers: readonly string[]): Json {
  const paths = pointers.map((pointer) =>
    pointer
      .split("/")
      .slice(1)
      .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~")),
  );
  return strip(value, paths);
}

function strip(value: Json, paths: readonly (readonly string[])[]): Json {
  if (paths.length === 0 || typeof value !== "object" || value === null) return value;
  const rest = (name: string) =>
    paths.filter(([first]) => first === name).map((path) => path.slice(1));
  const keeps = (name: string) => !rest(name).some((path) => path.length === 0);
  if (isList(value)) {
    return value.flatMap((item, index) => {
      const name = String(index);
      return keeps(name) ? [strip(item, rest(name))] : [];
    });
  }
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name]) => keeps(name))
      .map(([name, item]) => [name, strip(item, rest(name))]),
  );
}

/** Freezes a JSON value at every level, so that it can be shared. */
export function frozen<T extends Json>(value: T): T {
  if (typeof value !== "object" || value === null) return value;
  for (const item of Object.values(value)) frozen(item as Json);
  return Object.freeze(value);
}
