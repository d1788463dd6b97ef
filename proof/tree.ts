import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";

/** What the files here are, against what was committed. */
export interface Tree {
  /** Null: there is none. */
  readonly commit: string | null;
  /** Files that differ from it. The page and what it is drawn from don't count. */
  readonly changed: readonly string[];
}

export const root: string = fileURLToPath(new URL("../", import.meta.url));

const drawn: ReadonlySet<string> = new Set(["docs/proof.md", "docs/proof.json"]);

export function treeHere(folder: string = root): Tree {
  const git = (...args: readonly string[]): string =>
    execFileSync("git", args, {
      cwd: folder,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
  try {
    const commit = git("rev-parse", "HEAD").trim();
    const status = git("status", "--porcelain", "-z", "--no-renames", "--untracked-files=all");
    const changed = status.split("\0").flatMap((line) => (line === "" ? [] : [line.slice(3)]));
    return { commit, changed: changed.filter((path) => !drawn.has(path)) };
  } catch {
    return { commit: null, changed: [] };
  }
}

/** Why figures made here can't be published; undefined: they can. */
export function reasonNotToWrite({ commit, changed }: Tree): string | undefined {
  if (commit === null) return "this is no commit, so nobody could run the same again";
  if (changed.length === 0) return undefined;
  const named = changed.slice(0, 3).join(", ");
  const more = changed.length > 3 ? ` and ${changed.length - 3} more` : "";
  return `not everything is committed (${named}${more}), so nobody could run the same again`;
}
