/** The first member name that an object of a JSON text has twice; undefined where none has. */
export function repeatedName(json: string): string | undefined {
  /** The names seen in each object that is open here; an array has none. */
  const open: (Set<string> | undefined)[] = [];
  const token = /"(?:\\.|[^"\\])*"|[{}[\]]/g;
  for (let found = token.exec(json); found !== null; found = token.exec(json)) {
    const [text] = found;
    if (text === "{") open.push(new Set());
    else if (text === "[") open.push(undefined);
    else if (text === "}" || text === "]") open.pop();
    else {
      const names = open.at(-1);
      if (names === undefined || !isFollowedByColon(json, token.lastIndex)) continue;
      // Two spellings of one name (\u0061 and a) are one name.
      const name = text.includes("\\") ? (JSON.parse(text) as string) : text.slice(1, -1);
      if (names.has(name)) return name;
      names.add(name);
    }
  }
  return undefined;
}

function isFollowedByColon(json: string, from: number): boolean {
  let at = from;
  while (at < json.length && " \t\n\r".includes(json.charAt(at))) at += 1;
  return json.charAt(at) === ":";
}
