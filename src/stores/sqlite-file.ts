import { closeSync, fsyncSync, openSync, type Stats, statfsSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { GuardError } from "../core/errors.ts";

/** Which file a path led to: the same path may lead to another one later. */
export interface FileIdentity {
  readonly device: number;
  readonly inode: number;
}

// Their locks don't hold across machines, and WAL's shared memory can't work there.
const networkFileSystems: readonly number[] = [0x6969, 0x517b, 0xfe534d42, 0xff534d42, 0x5346414f];

/** The absolute path of a plain file. SQLite reads a `file:` URI's options; a path from outside must not have any. */
export function plainPath(path: string): string {
  if (path === "" || path.includes("\0") || /^(file:|:memory:)/i.test(path)) {
    throw new GuardError("invalid_request", "The store's path must be that of a plain file.");
  }
  return resolve(path);
}

/**
 * Makes the file where there is none, readable to its owner alone; SQLite gives its companions the
 * same mode. An existing file is not opened here: closing it again would drop the locks that another
 * connection of this process holds on it.
 */
export function makeFile(path: string): void {
  if (isNetworkPath(path)) {
    throw new GuardError(
      "store_unavailable",
      `"${path}" is on a network file system, where SQLite can't lock.`,
      { next: "Use a local disk, or a database server." },
    );
  }
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) create(path);
  else if (!stats.isFile()) {
    throw new GuardError("store_unavailable", `"${path}" is not a plain file.`);
  }
}

function create(path: string): void {
  try {
    closeSync(openSync(path, "wx", 0o600));
  } catch (error) {
    // Another process was faster.
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
  }
}

/**
 * Makes durable what is about to be read. A process that was killed in a commit leaves it in the
 * kernel's memory, where it looks like any other; told from there, power loss could take it back.
 * And the names of the files: SQLite syncs their folder too, but doesn't look whether that failed.
 */
export function makeCertain(path: string): void {
  const log = `${path}-wal`;
  const stats = statSync(log, { throwIfNoEntry: false });
  // Windows syncs what was opened for writing, and keeps names by itself.
  if (stats !== undefined && stats.size > 0) sync(log, isWindows ? "r+" : "r");
  if (!isWindows) syncFolder(dirname(path));
}

/** Where a folder can't be synced at all, or may not be read, that says nothing of the disk. */
function syncFolder(path: string): void {
  try {
    sync(path, "r");
  } catch (error) {
    if (!(error instanceof Error && "code" in error && unsyncable.has(error.code))) throw error;
  }
}

const unsyncable: ReadonlySet<unknown> = new Set([
  "EINVAL",
  "ENOTSUP",
  "ENOSYS",
  "EACCES",
  "EPERM",
]);

const isWindows = process.platform === "win32";

/** SQLite locks neither the log nor the folder: closing them drops no lock. */
function sync(path: string, flags: "r" | "r+"): void {
  const file = openSync(path, flags);
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function isNetworkPath(path: string): boolean {
  try {
    return networkFileSystems.includes(statfsSync(dirname(path)).type);
  } catch {
    // No such folder: making the file says so.
    return false;
  }
}

export function identityOf(path: string): FileIdentity | undefined {
  const stats: Stats | undefined = statSync(path, { throwIfNoEntry: false });
  return stats === undefined ? undefined : { device: stats.dev, inode: stats.ino };
}

/**
 * Refuses to go on where the path leads to another file than was opened. A database that was
 * deleted or replaced still takes writes, into a file that nobody will read again, while the next
 * process starts an empty one and runs every effect anew.
 */
export function checkIdentity(path: string, opened: FileIdentity): void {
  const found = identityOf(path);
  if (found?.inode === opened.inode && found.device === opened.device) return;
  const what = found === undefined ? "was deleted" : "was replaced";
  throw new GuardError("store_unavailable", `The database "${path}" ${what} while in use.`, {
    next: "Stop all processes that use it, put the right file back, then start again.",
  });
}
