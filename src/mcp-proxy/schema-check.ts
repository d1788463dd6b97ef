import type { Schema } from "./config-schema.ts";
import { isMembers } from "./frame.ts";

/** What is wrong with a value, and where: a JSON pointer, empty for the whole. */
export interface SchemaFault {
  readonly at: string;
  readonly says: string;
}

/** The first thing in which a value doesn't fit a schema; undefined where it fits. */
export function schemaFault(root: Schema, value: unknown): SchemaFault | undefined {
  const check = (schema: Schema, part: unknown, at: string): SchemaFault | undefined => {
    if (schema.$ref !== undefined) {
      const named = root.$defs?.[schema.$ref.slice("#/$defs/".length)];
      return named === undefined ? fault(at, "has no schema") : check(named, part, at);
    }
    if (schema.oneOf !== undefined) return checkOneOf(schema.oneOf, part, at);
    const own = ownFault(schema, part);
    if (own !== undefined) return fault(at, own);
    if (isMembers(part)) return checkMembers(schema, part, at);
    const { items } = schema;
    if (!Array.isArray(part) || items === undefined) return undefined;
    return firstOf(part, (item, index) => check(items, item, `${at}/${index}`));
  };

  const checkMembers = (schema: Schema, part: Readonly<Record<string, unknown>>, at: string) => {
    const known = Object.entries(schema.properties ?? {});
    const lacks = schema.required?.find((name) => !Object.hasOwn(part, name));
    if (lacks !== undefined) return fault(at, `lacks "${lacks}"`);
    return firstOf(Object.entries(part), ([name, member]) => {
      const below = `${at}/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`;
      const [, named] = known.find(([one]) => one === name) ?? [];
      if (named !== undefined) return check(named, member, below);
      if (schema.additionalProperties === undefined) return undefined;
      if (schema.additionalProperties !== false) {
        return check(schema.additionalProperties, member, below);
      }
      const names = known.map(([one]) => one).filter((one) => one !== "$schema");
      return fault(below, `is not known here; there are: ${names.join(", ")}`);
    });
  };

  /** The fault in the alternative that was meant, not in all of them. */
  const checkOneOf = (alternatives: readonly Schema[], part: unknown, at: string) => {
    const kinds = alternatives.flatMap(({ properties }) => properties?.kind?.const ?? []);
    if (kinds.length === 0) {
      const faults = alternatives.map((one) => check(one, part, at));
      return faults.includes(undefined) ? undefined : faults[0];
    }
    const kind = isMembers(part) ? part.kind : undefined;
    const meant = alternatives.find(({ properties }) => properties?.kind?.const === kind);
    if (meant !== undefined && kind !== undefined) return check(meant, part, at);
    return fault(at, `must be an object whose "kind" is one of: ${kinds.join(", ")}`);
  };

  return check(root, value, "");
}

/** What is wrong with a value itself, whatever is in it. */
function ownFault(schema: Schema, part: unknown): string | undefined {
  const { type, enum: choices, pattern } = schema;
  if (type !== undefined && !isOf(type, part)) {
    return `must be ${type === "object" || type === "array" || type === "integer" ? "an" : "a"} ${type}`;
  }
  if (schema.const !== undefined && part !== schema.const) return `must be "${schema.const}"`;
  if (choices !== undefined && !choices.some((choice) => choice === part)) {
    return `must be one of: ${choices.join(", ")}`;
  }
  if (typeof part === "string") {
    const { minLength = 0, maxLength = Number.POSITIVE_INFINITY } = schema;
    // JSON Schema counts characters, not code units.
    const { length } = [...part];
    if (length < minLength) return "must not be empty";
    if (length > maxLength) return `must have at most ${maxLength} characters`;
    if (pattern !== undefined && !new RegExp(pattern, "u").test(part)) {
      if (pattern.startsWith("^(?:/")) return 'must be a JSON pointer, such as "/orderId"';
      return pattern.startsWith("^[A-Za-z")
        ? 'must be a header\'s name, such as "X-Tenant"'
        : "must be printable characters, not all of them blank";
    }
  }
  if (typeof part === "number") {
    const { minimum, maximum, exclusiveMinimum } = schema;
    if (minimum !== undefined && part < minimum) return `must be at least ${minimum}`;
    if (maximum !== undefined && part > maximum) return `must be at most ${maximum}`;
    if (exclusiveMinimum !== undefined && part <= exclusiveMinimum) {
      return `must be above ${exclusiveMinimum}`;
    }
  }
  if (Array.isArray(part))
    return countFault(
      part.length,
      schema.minItems,
      schema.maxItems,
      schema.uniqueItems === true &&
        new Set(part.map((item) => JSON.stringify(item))).size !== part.length,
    );
  if (isMembers(part)) {
    return countFault(Object.keys(part).length, schema.minProperties, schema.maxProperties, false);
  }
  return undefined;
}

function countFault(
  count: number,
  least: number | undefined,
  most: number | undefined,
  repeats: boolean,
): string | undefined {
  if (least !== undefined && count < least) return `must have at least ${least} entries`;
  if (most !== undefined && count > most) return `must have at most ${most} entries`;
  return repeats ? "must not have an entry twice" : undefined;
}

function isOf(type: NonNullable<Schema["type"]>, part: unknown): boolean {
  switch (type) {
    case "object":
      return isMembers(part);
    case "array":
      return Array.isArray(part);
    case "integer":
      return Number.isInteger(part);
    case "null":
      return part === null;
    case "string":
    case "number":
    case "boolean":
      return typeof part === type;
  }
}

function fault(at: string, says: string): SchemaFault {
  return { at, says };
}

function firstOf<T>(
  list: readonly T[],
  look: (item: T, index: number) => SchemaFault | undefined,
): SchemaFault | undefined {
  for (const [index, item] of list.entries()) {
    const found = look(item, index);
    if (found !== undefined) return found;
  }
  return undefined;
}
