import { mkdirSync, rmSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** `tmpfs` and `ramfs`: nothing there is ever written to a disk. */
const memoryFileSystems: readonly number[] = [0x01021994, 0x858458f6];

export interface Folder {
  readonly path: string;
  readonly isInMemory: boolean;
  remove(): void;
}

/** A folder for this run on the repository's own disk: `/tmp` is often none. */
export function makeFolder(): Folder {
  const cache = fileURLToPath(new URL("../node_modules/.cache/", import.meta.url));
  const path = join(cache, `bench-${process.pid}`);
  mkdirSync(path, { recursive: true });
  return {
    path,
    isInMemory: memoryFileSystems.includes(statfsSync(path).type),
    remove: () => rmSync(path, { recursive: true, force: true }),
  };
}

/** A database and what SQLite keeps beside it. */
export function removeDatabase(path: string): void {
  for (const tail of ["", "-wal", "-shm", "-journal"]) rmSync(path + tail, { force: true });
}
