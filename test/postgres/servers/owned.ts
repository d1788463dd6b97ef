import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chownSync,
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import type { Socket } from "node:net";
import { platform } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { asUser, temporary } from "./user.ts";

// Ends what runs in a folder and removes it, as soon as the process at the other end of its input lets go
// of that or is gone, however that went. A file for each process holds its number while it runs. Killed, a
// server leaves a small segment of shared memory, which its own file names.
const watchdog = `
cat >/dev/null
for file in "$1"/*.alive; do
  read -r pid <"$file" || continue
  kill -STOP "$pid"
  children=$(cat "/proc/$pid/task/$pid/children" || pgrep -P "$pid")
  kill -KILL $children "$pid"
done
segment=$(sed -n 7p "$1/data/postmaster.pid") && ipcrm -m "\${segment##* }"
for try in 1 2 3 4 5; do rm -rf "$1" && exit; sleep 0.2; done
`;

const watchdogs = new Map<string, Socket>();

/** A folder in temporary storage; it is gone when this process is, with what runs in it. */
export function ownFolder(): string {
  const folder = mkdtempSync(join(temporary(), "safeagent-pg-"));
  const { uid, gid } = asUser();
  if (uid !== undefined && gid !== undefined) chownSync(folder, uid, gid);
  const args = ["-c", watchdog, "watchdog", folder];
  // A session of its own: an interrupt from the terminal must not end it before us.
  const child = spawn("sh", args, {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
    cwd: "/",
  });
  child.unref();
  const input = child.stdin as Socket;
  input.unref();
  watchdogs.set(folder, input);
  return folder;
}

/** Ends what runs in it. Removing files that were synced takes seconds on some disks: nobody waits for that. */
export function giveUp(folder: string): void {
  watchdogs.get(folder)?.end();
  watchdogs.delete(folder);
}

/** A process that belongs to an own folder. */
export interface Owned {
  readonly pid: number;
  /** Resolves when it has ended. */
  ended(): Promise<void>;
  hasEnded(): boolean;
  /** What it wrote last, for an error's message. */
  log(): string;
}

/** Starts a process whose output goes to `name`.log in the folder. */
export function startOwned(
  folder: string,
  name: string,
  command: string,
  args: readonly string[],
): Owned {
  const logFile = join(folder, `${name}.log`);
  const out = openSync(logFile, "a");
  const child = spawn(command, args, {
    ...asUser(),
    cwd: folder,
    env: cleanEnv,
    stdio: ["ignore", out, out],
  });
  closeSync(out);
  const exit = once(child, "exit");
  const { pid } = child;
  if (pid === undefined) throw new Error(`${command} could not be started.`);
  const alive = join(folder, `${name}.alive`);
  writeFileSync(alive, `${pid}\n`);
  child.unref();
  child.once("exit", () => rmSync(alive, { force: true }));
  return {
    pid,
    async ended() {
      child.ref(); // a process that waits for it must not end first
      await exit;
    },
    hasEnded: () => child.exitCode !== null || child.signalCode !== null,
    log: () => readFileSync(logFile, "utf8").slice(-4000),
  };
}

/** Runs a program to its end, as the user that the servers run as. */
export async function run(
  folder: string,
  command: string,
  args: readonly string[],
): Promise<string> {
  const stdio = ["ignore", "pipe", "pipe"] as const;
  const child = spawn(command, args, {
    ...asUser(),
    cwd: folder,
    env: cleanEnv,
    stdio: [...stdio],
  });
  let said = "";
  child.stdout?.on("data", (chunk) => (said += chunk));
  child.stderr?.on("data", (chunk) => (said += chunk));
  const [code] = await once(child, "close");
  if (code !== 0) throw new Error(`${command} ended with ${code}:\n${said}`);
  return said;
}

/** Kills a process and its children in one stroke: none gets to say goodbye to its clients or its disk. */
export async function killWithChildren({ pid, ended }: Owned): Promise<void> {
  process.kill(pid, "SIGSTOP"); // so that it starts no more of them
  const children = childrenOf(pid);
  for (const child of children) kill(child, "SIGKILL");
  kill(pid, "SIGKILL");
  await ended();
  while (children.some(isAlive)) await delay(2);
}

export function childrenOf(pid: number): number[] {
  return childList(pid).split(/\s+/).filter(Boolean).map(Number);
}

function childList(pid: number): string {
  if (platform() === "linux") return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8");
  return execFileSync("pgrep", ["-P", String(pid)], { encoding: "utf8" });
}

/** Not: ended, and waiting for its parent to notice. */
function isAlive(pid: number): boolean {
  if (!kill(pid, 0)) return false;
  if (platform() !== "linux") return true;
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

function kill(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false; // gone
  }
}

const cleanEnv = { PATH: process.env.PATH ?? "/usr/bin:/bin", LC_ALL: "C", TZ: "UTC" };
