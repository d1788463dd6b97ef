import { existsSync, mkdtempSync, realpathSync, rmSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const tmpfs = 0x01021994;
const wantedBytes = 2 ** 30;

/**
 * Works in a new folder for files that come and go by the ten thousand, which is gone afterwards: in
 * memory where there is room, else where temporary files go. Its path is the one that the kernel calls it by.
 */
export async function inScratchFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(realpathSync(inMemory() ?? tmpdir()), "safeagent-proof-"));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  process.once("exit", remove);
  try {
    return await work(folder);
  } finally {
    process.removeListener("exit", remove);
    remove();
  }
}

function inMemory(): string | undefined {
  const shared = "/dev/shm";
  if (process.platform !== "linux" || !existsSync(shared)) return undefined;
  const { type, bavail, bsize } = statfsSync(shared);
  return type === tmpfs && bavail * bsize > wantedBytes ? shared : undefined;
}
