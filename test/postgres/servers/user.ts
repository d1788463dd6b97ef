import { accessSync, constants, readFileSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname } from "node:path";

/** Who a server runs as: PostgreSQL and PgBouncer refuse root. */
export interface User {
  readonly uid?: number;
  readonly gid?: number;
}

const isRoot = process.getuid?.() === 0;

/** The one who runs the tests, or `nobody` in root's place. */
export function asUser(): User {
  return isRoot ? nobody() : {};
}

function nobody(): User {
  // By name: initdb asks for the name of whoever runs it, so any free number will not do.
  const line = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .find((entry) => entry.startsWith("nobody:"));
  const [, , uid, gid] = line?.split(":") ?? [];
  if (uid === undefined || gid === undefined) throw new Error("There is no user `nobody`.");
  return { uid: Number(uid), gid: Number(gid) };
}

/** A folder for temporary files that this user comes to. */
export function temporary(): string {
  return !isRoot || open(tmpdir()) ? tmpdir() : "/tmp";
}

/** Whether everybody may pass through a folder and all above it. */
function open(folder: string): boolean {
  if ((statSync(folder).mode & 0o001) === 0) return false;
  return folder === dirname(folder) || open(dirname(folder));
}

export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
