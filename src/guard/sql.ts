/** The databases differ in what is a comment, a text and a name. */
export type Dialect = "postgres" | "sqlite";

/**
 * Whether a statement of a script ends the transaction that it is sent in, or begins another one.
 * Savepoints do neither. What only looks like a statement, in a text, a name, a comment or the body of
 * a trigger or a function, is none.
 */
export function endsTransaction(script: string, dialect: Dialect): boolean {
  if (!mentionsIt.test(script)) return false;
  let inBody = false;
  for (const words of statements(script, dialect)) {
    if (inBody && words[0] === "end") inBody = false;
    else if (isEnd(words)) return true;
    else inBody ||= opensBody(words);
  }
  return false;
}

const mentionsIt = /\b(?:begin|commit|end|abort|start|prepare|rollback)\b/i;

function isEnd([first, second, third]: readonly string[]): boolean {
  switch (first) {
    case "begin":
    case "commit":
    case "end":
    case "abort":
      return true;
    case "start":
    case "prepare":
      return second === "transaction";
    case "rollback":
      return (second === "work" || second === "transaction" ? third : second) !== "to";
    default:
      return false;
  }
}

/** Its own statements follow, each with its semicolon, up to an END. */
function opensBody(words: readonly string[]): boolean {
  if (words[0] !== "create") return false;
  const [, ...rest] = words;
  const what = rest.find((word) => !beforeKind.has(word));
  const begin = rest.indexOf("begin");
  if (what === "trigger") return begin >= 0;
  const isRoutine = what === "function" || what === "procedure";
  return isRoutine && rest[begin + 1] === "atomic" && rest[begin + 2] !== "end";
}

const beforeKind: ReadonlySet<string> = new Set(["or", "replace", "temp", "temporary"]);

/** Each statement's words, in small letters; all that is no word is an empty one. */
function* statements(script: string, dialect: Dialect): Generator<readonly string[]> {
  let words: string[] = [];
  for (const token of tokens(script, dialect)) {
    if (token !== ";") {
      words.push(token);
    } else {
      yield words;
      words = [];
    }
  }
  yield words;
}

const space = /\s+/y;
const word = /[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*/y;
const parameter = /\$\d+/y;
const dollarQuote = /\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$/y;

function* tokens(script: string, dialect: Dialect): Generator<string> {
  let at = 0;
  while (at < script.length) {
    const next = afterSpace(script, at, dialect);
    const end = next > at ? next : afterQuoted(script, at, dialect);
    if (end > at) {
      if (next === at) yield "";
      at = end;
    } else {
      const name = match(word, script, at);
      yield script[at] === ";" ? ";" : name.toLowerCase();
      at += Math.max(1, name.length);
    }
  }
}

function afterSpace(script: string, at: number, dialect: Dialect): number {
  if (script.startsWith("--", at)) return afterLine(script, at, dialect);
  if (script.startsWith("/*", at)) return afterComment(script, at, dialect);
  return at + match(space, script, at).length;
}

function afterLine(script: string, at: number, dialect: Dialect): number {
  const feed = script.indexOf("\n", at);
  const end = feed < 0 ? script.length : feed;
  if (dialect === "sqlite") return end;
  const back = script.slice(at, end).indexOf("\r");
  return back < 0 ? end : at + back;
}

/** Comments are nested in Postgres, and not in SQLite. */
function afterComment(script: string, from: number, dialect: Dialect): number {
  let depth = 1;
  for (let at = from + 2; at < script.length; at += 1) {
    if (script.startsWith("*/", at)) {
      depth -= 1;
      at += 1;
    } else if (dialect === "postgres" && script.startsWith("/*", at)) {
      depth += 1;
      at += 1;
    }
    if (depth === 0) return at + 1;
  }
  return script.length;
}

/** A quote in a text is doubled: that is the next text, right behind it. */
function afterQuoted(script: string, at: number, dialect: Dialect): number {
  const first = script[at];
  if (first === "'" || first === '"') return after(script, first, at + 1);
  switch (dialect) {
    case "sqlite":
      if (first === "`") return after(script, "`", at + 1);
      return first === "[" ? after(script, "]", at + 1) : at;
    case "postgres": {
      if (/^e'/i.test(script.slice(at, at + 2))) return afterEscaped(script, at + 2);
      if (first !== "$") return at;
      const tag = match(dollarQuote, script, at);
      if (tag !== "") return after(script, tag, at + tag.length);
      return at + match(parameter, script, at).length;
    }
  }
}

function after(script: string, closing: string, from: number): number {
  const at = script.indexOf(closing, from);
  return at < 0 ? script.length : at + closing.length;
}

/** E'…': a backslash takes the next character with it, also where the text goes on in another line. */
function afterEscaped(script: string, from: number): number {
  for (let at = from; at < script.length; at += 1) {
    if (script[at] === "\\" || script.startsWith("''", at)) at += 1;
    else if (script[at] === "'") {
      const next = continuedAt(script, at + 1);
      if (next === undefined) return at + 1;
      at = next;
    }
  }
  return script.length;
}

/** Where a text is taken up again after nothing but space and a line's end. */
function continuedAt(script: string, from: number): number | undefined {
  let at = from;
  for (;;) {
    const rest = script.startsWith("/*", at) ? at : afterSpace(script, at, "postgres");
    if (rest === at) break;
    at = rest;
  }
  const isNextLine = /[\n\r]/.test(script.slice(from, at));
  return isNextLine && script[at] === "'" ? at : undefined;
}

/** What a sticky pattern finds right there; "" for nothing. */
function match(pattern: RegExp, script: string, at: number): string {
  pattern.lastIndex = at;
  return pattern.exec(script)?.[0] ?? "";
}
