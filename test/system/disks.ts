import { execFileSync } from "node:child_process";
import { mkdirSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { testFolder } from "../crash/folder.ts";

/** A small disk of this test's own, in memory. */
export interface Disk {
  readonly folder: string;
  /** Takes all the space that is left. */
  fill(): void;
  grow(): void;
  /** The same folder at another path, where nothing can be written. */
  readOnlyView(): string;
}

export function smallDisk(kilobytes: number): Disk {
  const folder = join(testFolder(), "disk");
  mkdirSync(folder);
  mount("-t", "tmpfs", "-o", `size=${kilobytes}k`, "tmpfs", folder);
  unmountLater(folder);
  return {
    folder,
    fill() {
      const { bfree, bsize } = statfsSync(folder);
      writeFileSync(join(folder, "filler"), Buffer.alloc(bfree * bsize, 1));
      if (statfsSync(folder).bfree !== 0) throw new Error("The disk is not full.");
    },
    grow: () => mount("-o", "remount,size=64m", folder),
    readOnlyView() {
      const view = join(testFolder(), "view");
      mkdirSync(view);
      mount("--bind", folder, view);
      unmountLater(view);
      mount("-o", "remount,bind,ro", view);
      return view;
    },
  };
}

function mount(...args: readonly string[]): void {
  try {
    execFileSync("mount", args, { stdio: "pipe" });
  } catch (cause) {
    throw new Error("This test must be allowed to mount: run it as root.", { cause });
  }
}

/** Lazily: a process that still holds a file open is killed after this test, too. */
function unmountLater(folder: string): void {
  onTestFinished(() => void execFileSync("umount", ["--lazy", folder]));
}
