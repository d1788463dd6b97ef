import { existsSync, mkdtempSync, realpathSync, rmSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

type Work<T> = (folder: string) => Promise<T>;

/** Does its work in an empty folder that is gone afterwards, also where the process is told to end. */
export function inFolder<T>(name: string, work: Work<T>): Promise<T> {
  return within(tmpdir(), name, work);
}

/**
 * The same for files that come and go by the ten thousand: in memory where there is room, else where
 * temporary files go. The folder's path is the one that the kernel calls it by.
 */
export function inScratchFolder<T>(work: Work<T>): Promise<T> {
  return within(realpathSync(inMemory() ?? tmpdir()), "proof", work);
}

async function within<T>(parent: string, name: string, work: Work<T>): Promise<T> {
  const folder = mkdtempSync(join(parent, `safeagent-${name}-`));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  process.once("exit", remove);
  try {
    return await work(folder);
  } finally {
    process.removeListener("exit", remove);
    remove();
  }
}

const tmpfs = 0x01021994;
const wantedBytes = 2 ** 30;

function inMemory(): string | undefined {
  const shared = "/dev/shm";
  if (process.platform !== "linux" || !existsSync(shared)) return undefined;
  const { type, bavail, bsize } = statfsSync(shared);
  return type === tmpfs && bavail * bsize > wantedBytes ? shared : undefined;
}
