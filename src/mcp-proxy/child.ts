import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type { Readable, Writable } from "node:stream";

/** How a process ended. */
export type Ended =
  | { readonly code: number; readonly signal?: undefined }
  | { readonly signal: NodeJS.Signals };

/** The guarded server, as a process that speaks over its stdin and stdout. */
export interface Child {
  readonly stdin: Writable;
  readonly stdout: Readable;
  /** It has not ended, and its stdin is open: what is written may reach it. */
  isThere(): boolean;
  signal(name: NodeJS.Signals): void;
  /** Closes its stdin, which tells a server to end; later it is told by signal. */
  end(): void;
  /** Resolves when it has ended and all it said was read. */
  readonly ended: Promise<Ended>;
}

/** Milliseconds that a server is given to end by itself, and then after SIGTERM. */
const patienceMs = 2_000;

/**
 * Starts a server. What it writes to stderr goes to ours.
 *
 * @throws Error where it can't be started
 */
export async function startChild(command: string, args: readonly string[]): Promise<Child> {
  const child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] });
  const ended = once(child, "close").then(([code, signal]): Ended => {
    return signal === null ? { code: code as number } : { signal: signal as NodeJS.Signals };
  });
  // Heard of where `close` is: the other end of a pipe is gone.
  child.stdin.on("error", () => undefined);
  child.stdout.on("error", () => undefined);
  try {
    await once(child, "spawn");
  } catch (error) {
    ended.catch(() => undefined);
    throw new Error(`the server can't be started: ${(error as Error).message}`);
  }
  return {
    stdin: child.stdin,
    stdout: child.stdout,
    isThere: () => isRunning(child) && child.stdin.writable,
    signal: (name) => void child.kill(name),
    end() {
      if (!isRunning(child)) return;
      child.stdin.end();
      const timers = [
        setTimeout(() => child.kill("SIGTERM"), patienceMs),
        setTimeout(() => child.kill("SIGKILL"), 2 * patienceMs),
      ];
      for (const timer of timers) child.once("exit", () => clearTimeout(timer));
    },
    ended,
  };
}

function isRunning(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null;
}
