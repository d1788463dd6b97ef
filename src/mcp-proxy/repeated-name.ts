/** Levels of objects and arrays in a frame; what is nested deeper is read by few, and by each otherwise. */
export const levelsMost = 1_000;

/**
 * The first member name that an object of a JSON text has twice; undefined where none has. The text
 * is JSON: that was seen before.
 *
 * @throws RangeError where it is nested deeper than `levelsMost`
 */
export function repeatedName(json: string): string | undefined {
  /** The names seen in each object that is open here; an array has none. */
  const open: (Set<string> | undefined)[] = [];
  for (let at = 0; at < json.length; at += 1) {
    switch (json.charCodeAt(at)) {
      case openBrace:
      case openBracket:
        if (open.length === levelsMost) throw new RangeError("it is nested too deep");
        open.push(json.charCodeAt(at) === openBrace ? new Set() : undefined);
        break;
      case closeBrace:
      case closeBracket:
        open.pop();
        break;
      case quote: {
        const end = endOfText(json, at);
        const names = open.at(-1);
        if (names !== undefined && isFollowedByColon(json, end)) {
          const name = nameIn(json.slice(at, end));
          if (names.has(name)) return name;
          names.add(name);
        }
        at = end - 1;
      }
    }
  }
  return undefined;
}

const [quote, backslash] = [34, 92];
const [openBracket, closeBracket, openBrace, closeBrace] = [91, 93, 123, 125];

/** Where the text that begins at a quote is over. By hand: a pattern gives up on texts of megabytes. */
function endOfText(json: string, from: number): number {
  let end = from;
  for (;;) {
    end = json.indexOf('"', end + 1);
    let before = end;
    while (json.charCodeAt(before - 1) === backslash) before -= 1;
    // An even number of backslashes stands for itself, and escapes nothing.
    if ((end - before) % 2 === 0) return end + 1;
  }
}

/** Two spellings of one name (\u0061 and a) are one name. */
function nameIn(text: string): string {
  return text.includes("\\") ? (JSON.parse(text) as string) : text.slice(1, -1);
}

function isFollowedByColon(json: string, from: number): boolean {
  let at = from;
  while (at < json.length && " \t\n\r".includes(json.charAt(at))) at += 1;
  return json.charAt(at) === ":";
}
