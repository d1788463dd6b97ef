import type { Returned } from "../core/event.ts";
import { canonicalJson, frozen, type Json } from "../core/json.ts";
import { limits } from "../core/limits.ts";

/**
 * What an effect returned, as far as JSON can say it. It happened, so this never fails: what JSON
 * can't say is left out, and the receipt says so.
 */
export function returnedOf(value: unknown): Returned {
  if (value === undefined) return { valueForm: "exact" };
  const exact = canonicalJson(value, limits.valueChars);
  if (exact.ok) return { value: exact.value, valueForm: "exact" };
  try {
    const text = JSON.stringify(value);
    if (text === undefined || text.length > limits.valueChars || !text.isWellFormed()) {
      return { valueForm: "omitted" };
    }
    return { value: frozen(JSON.parse(text) as Json), valueForm: "converted" };
  } catch {
    return { valueForm: "omitted" };
  }
}
