import { isMembers, type Members, type ResponseFrame } from "./frame.ts";

/**
 * A result as its receipt keeps it. JSON's text may say a number that JavaScript can't hold, such as
 * an id beyond 2^53: where a result has one, its text is kept, so that a repeat gets the same digits.
 */

const mark = "dev.safeagent/result";

/** The result, or the text of it. */
export function keptOf({ bytes }: ResponseFrame, result: Members): Members {
  const text = new TextDecoder().decode(bytes);
  // Most results can be told at a glance: without a long run of digits nothing is lost.
  let isLossy = Object.hasOwn(result, mark);
  if (!isLossy && !/[\d.]{16}|[eE][+-]?\d{3}/.test(text)) return result;
  const { result: exact } = readExactly(text, () => {
    isLossy = true;
  }) as Members;
  return isLossy ? { [mark]: JSON.stringify(exact) } : result;
}

/** The text that is kept instead of the result; undefined where the value is the result. */
export function textOfKept(value: unknown): string | undefined {
  const text = isMembers(value) ? value[mark] : undefined;
  return typeof text === "string" ? text : undefined;
}

/** Reads a kept text so that `JSON.stringify` writes each number as it was written. */
export function withExactNumbers(text: string): unknown {
  return readExactly(text, () => undefined);
}

function readExactly(text: string, onLossy: () => void): unknown {
  return exactJson.parse(text, (_, value, { source }) => {
    if (typeof value !== "number" || source === undefined || survives(source, value)) return value;
    onLossy();
    return exactJson.rawJSON(source);
  });
}

/** Node has them since version 22; TypeScript doesn't know them yet. */
interface ExactJson {
  parse(
    text: string,
    reviver: (name: string, value: unknown, context: { readonly source?: string }) => unknown,
  ): unknown;
  rawJSON(text: string): unknown;
}

const exactJson = JSON as unknown as ExactJson;

/** Whether a number that is read and written again is the same number. */
function survives(source: string, value: number): boolean {
  return Number.isFinite(value) && digitsOf(source) === digitsOf(String(value));
}

/** One text for each number, however it is written: its sign, its digits, and its power of ten. */
function digitsOf(text: string): string {
  const [, sign = "", whole = "", fraction = "", power = "0"] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text) ?? [];
  const digits = `${whole}${fraction}`.replace(/^0+/, "");
  const significant = digits.replace(/0+$/, "");
  if (significant === "") return "0";
  const exponent = Number(power) - fraction.length + (digits.length - significant.length);
  return `${sign}${significant}e${exponent}`;
}
