/**
 * Reads the value of an `Idempotency-Key` header: an Item of RFC 9651 (once RFC 8941) whose value is
 * a String, as the IETF draft asks for, or the same text bare, as most clients send it. `"q1"` and
 * `q1` are one key.
 *
 * @returns the key, 1 to 255 characters; undefined where the value is neither
 * @example keyOf('"8e03978e-40d5"') // 8e03978e-40d5
 */
export function keyOf(field: string): string | undefined {
  if (field.length > fieldChars) return undefined;
  const text = trimmed(field);
  const key = text.startsWith('"') ? itemOf(text) : bareOf(text);
  return key !== undefined && key.length >= 1 && key.length <= keyChars ? key : undefined;
}

const keyChars = 255;
/** A key whose characters are all escaped, and room for parameters: no longer one is looked at. */
const fieldChars = 2_048;

/** A list's comma and a parameter's semicolon would make two readings of one text. */
const bare = /^[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]+$/;

function bareOf(text: string): string | undefined {
  return bare.test(text) ? text : undefined;
}

/** A String, then parameters: they have no meaning yet, but have to be well-formed. */
function itemOf(text: string): string | undefined {
  const string = stringAt(text, 0);
  if (string === undefined) return undefined;
  return parametersEnd(text, string.end) === text.length ? string.value : undefined;
}

interface Parsed {
  readonly value: string;
  readonly end: number;
}

/** RFC 9651, 4.2.5: printable ASCII; a backslash stands before a quote or a backslash, and nowhere else. */
function stringAt(text: string, start: number): Parsed | undefined {
  if (text[start] !== '"') return undefined;
  let value = "";
  for (let at = start + 1; at < text.length; at += 1) {
    const char = text[at] as string;
    if (char === '"') return { value, end: at + 1 };
    if (char === "\\") {
      at += 1;
      const escaped = text[at];
      if (escaped !== '"' && escaped !== "\\") return undefined;
      value += escaped;
      continue;
    }
    if (char < " " || char > "~") return undefined;
    value += char;
  }
  return undefined;
}

/** RFC 9651, 4.2.3.2. Where they end; undefined where they are malformed. */
function parametersEnd(text: string, start: number): number | undefined {
  let at = start;
  while (text[at] === ";") {
    at += 1;
    while (text[at] === " ") at += 1;
    const name = matchAt(/[a-z*][a-z0-9_\-.*]*/y, text, at);
    if (name === undefined) return undefined;
    at = name;
    if (text[at] !== "=") continue;
    const end = bareItemEnd(text, at + 1);
    if (end === undefined) return undefined;
    at = end;
  }
  return at;
}

/** RFC 9651, 4.2.3.1: every kind but the String is told from the others by how it starts. */
const bareItems: readonly RegExp[] = [
  // Integer, Decimal, Date.
  /-?(?:\d{1,12}\.\d{1,3}|\d{1,15})(?![\d.])/y,
  /@-?\d{1,15}(?![\d.])/y,
  // Token.
  /[A-Za-z*][!#$%&'*+\-.^_`|~:/0-9A-Za-z]*/y,
  // Byte Sequence, Boolean, Display String.
  /:[A-Za-z0-9+/=]*:/y,
  /\?[01]/y,
  /%"(?:[\x20-\x21\x23-\x24\x26-\x7e]|%[0-9a-f]{2})*"/y,
];

function bareItemEnd(text: string, at: number): number | undefined {
  if (text[at] === '"') return stringAt(text, at)?.end;
  for (const kind of bareItems) {
    const end = matchAt(kind, text, at);
    if (end !== undefined) return end;
  }
  return undefined;
}

function matchAt(sticky: RegExp, text: string, at: number): number | undefined {
  sticky.lastIndex = at;
  return sticky.test(text) ? sticky.lastIndex : undefined;
}

function trimmed(text: string): string {
  return text.replace(/^ +| +$/g, "");
}
