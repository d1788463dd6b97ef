import { isMembers } from "./frame.ts";

/** How a person is shown what will run: a payload is a stranger's, and may not look like something else. */

/** Characters of arguments that fit into a question. */
const questionChars = 4_000;
/** Characters of one text in them, where they don't fit whole: the most that do. */
const textChars = [1_000, 300, 100];

/**
 * With an escape for each character that a terminal obeys, that isn't seen, or that turns the text
 * around it. Line breaks stay.
 */
export function visible(text: string): string {
  return text.replace(/(?!\n)[\p{C}\p{Zl}\p{Zp}\p{DI}]/gu, (sign) =>
    Array.from({ length: sign.length }, (_, at) => escaped(sign.charCodeAt(at))).join(""),
  );
}

function escaped(unit: number): string {
  return `\\u${unit.toString(16).padStart(4, "0")}`;
}

/**
 * The arguments for a question: each of them, long texts by their beginnings, and which texts those
 * are. Undefined where not even that fits: half of a payload is nothing to agree to.
 */
export function shownArguments(args: unknown): string | undefined {
  const whole = textOf(args);
  if (whole.length <= questionChars) return whole;
  return textChars
    .map((most) => shortenedText(args, most))
    .find((text) => text.length <= questionChars);
}

function shortenedText(args: unknown, most: number): string {
  const notes: string[] = [];
  const shorten = (part: unknown, path: string): unknown => {
    if (typeof part === "string" && part.length > most) {
      notes.push(
        `Shortened: of the ${part.length} characters at ${textOf(path)} the first ${most} are shown.`,
      );
      return `${part.slice(0, most).toWellFormed()}…`;
    }
    if (Array.isArray(part)) return part.map((item, at) => shorten(item, `${path}/${at}`));
    if (!isMembers(part)) return part;
    const members = Object.entries(part).map(([name, item]) => {
      const step = name.replaceAll("~", "~0").replaceAll("/", "~1");
      return [name, shorten(item, `${path}/${step}`)] as const;
    });
    return Object.fromEntries(members);
  };
  const text = textOf(shorten(args, ""));
  return [text, ...notes].join("\n");
}

function textOf(value: unknown): string {
  return visible(JSON.stringify(value, undefined, 2));
}
