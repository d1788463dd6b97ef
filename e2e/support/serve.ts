import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { onTestFinished } from "vitest";
import { bareEnv, type Command } from "./run.ts";

export interface Served {
  /** What it printed when it was ready. */
  readonly said: string;
  /** Ends it before the test does. */
  readonly end: (signal: NodeJS.Signals) => Promise<void>;
}

/** Starts a server for the running test; it is ready when it prints what `ready` matches. */
export function serve(
  [program, ...args]: Command,
  home: string,
  ready: RegExp,
  env: Readonly<Record<string, string>> = {},
): Promise<Served> {
  const child = spawn(program, args, {
    cwd: home,
    env: { ...bareEnv(home), ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const end = async (signal: NodeJS.Signals) => {
    child.kill(signal);
    await ended;
  };
  onTestFinished(() => end("SIGTERM"));
  return new Promise((resolve, reject) => {
    let printed = "";
    const read = (text: string) => {
      printed += text;
      const [said] = ready.exec(printed) ?? [];
      if (said !== undefined) resolve({ said, end });
    };
    child.stdout.setEncoding("utf8").on("data", read);
    child.stderr.setEncoding("utf8").on("data", read);
    child.once("error", reject);
    void ended.then(() => reject(new Error(`ended before it was ready:\n${printed}`)));
  });
}

/** A port that nobody listens on, for a server that can't choose one by itself. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" ? (address?.port ?? 0) : 0));
    });
  });
}
