import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Desk, deskAt } from "./desk.ts";
import type { Answer, Message, Side, Task } from "./task.ts";

/** Everything the demo starts and leaves nothing of: the help desk, the agents, the store's file. */
export interface Stage {
  /** The guard's file. */
  readonly store: string;
  /** Starts the help desk. */
  open(): Promise<void>;
  desk(side: Side): Desk;
  /** Starts an agent's process. */
  hire(side: Side, name: string): Promise<Agent>;
  /** Leaves the store's file behind; answers where it is. */
  keep(): string;
  /** Ends every process and, unless it is to be kept, removes the file. */
  close(): Promise<void>;
}

export interface Agent {
  /** Gives it a task. One at a time. */
  ask(task: Task): Asked;
  /** SIGKILL: it gets no chance to say or to save anything. */
  kill(): Promise<void>;
  /** Sends it home. */
  dismiss(): Promise<void>;
}

export interface Asked {
  readonly answer: Promise<Answer>;
  /** True once the guard has written that the case is in doubt; false where the answer comes without. */
  readonly doubt: Promise<boolean>;
}

// The same file, as it stands here: TypeScript in the sources, JavaScript in the package.
const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";

/** Milliseconds an agent has to go home by itself. */
const patienceMs = 2_000;

export function openStage(): Stage {
  const folder = mkdtempSync(join(tmpdir(), "safeagent-demo-"));
  const store = join(folder, "safeagent.db");
  const children = new Set<Started>();
  let address = "";
  let closed = false;
  let kept = false;

  const sweep = () => {
    if (!kept) rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  // For an end that nobody foresaw; the children end by themselves, as their channel closes.
  process.once("exit", sweep);

  const begin = (script: string, args: readonly string[]): Started => {
    if (closed) throw new Error("the demo has ended");
    const started = start(script, args);
    children.add(started);
    started.ended.then(() => children.delete(started));
    return started;
  };

  return {
    store,
    async open() {
      const { child, failed } = begin("help-desk", []);
      const [ready] = await Promise.race([once(child, "message"), failed]);
      address = `http://127.0.0.1:${(ready as { port: number }).port}`;
    },
    desk: (side) => deskAt(`${address}/${side}`),
    async hire(side, name) {
      const guarded = side === "with" ? [store] : [];
      const started = begin("agent", [name, `${address}/${side}`, ...guarded]);
      const { child, ended, failed } = started;
      await Promise.race([once(child, "message"), failed]);
      return {
        ask: (task) => askOf(child, task, failed),
        async kill() {
          await end(started);
          if (child.signalCode !== "SIGKILL") throw new Error("the worker could not be killed");
        },
        async dismiss() {
          if (child.connected) child.disconnect();
          await Promise.race([ended, sleep(patienceMs, undefined, { ref: false })]);
          await end(started);
        },
      };
    },
    keep() {
      kept = true;
      return store;
    },
    async close() {
      closed = true;
      await Promise.all([...children].map(end));
      process.off("exit", sweep);
      sweep();
    },
  };
}

interface Started {
  readonly child: ChildProcess;
  /** Resolves when it is gone, with what may be said about it. */
  readonly ended: Promise<string>;
  /** Rejects when it is gone. */
  readonly failed: Promise<never>;
}

/** Starts a script of this folder in a process of its own. Its complaints are kept for the message, should it fail. */
function start(script: string, args: readonly string[]): Started {
  const child = fork(new URL(`./${script}.${extension}`, import.meta.url), args, {
    execArgv: [],
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  let complaints = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    complaints += text;
  });
  const gone = Promise.withResolvers<void>();
  child.on("error", (error) => {
    complaints += error.message;
    // It never began: no exit will follow.
    if (child.pid === undefined) gone.resolve();
  });
  // Not "close": that one stays away where the channel was closed from here.
  child.once("exit", () => gone.resolve());
  const ended = gone.promise.then(() => {
    const how = child.signalCode ?? `exit code ${child.exitCode}`;
    return `${script} ended early (${how}). ${errorIn(complaints)}`.trim();
  });
  const failed = ended.then((says): never => {
    throw new Error(says);
  });
  failed.catch(() => undefined);
  return { child, ended, failed };
}

/** What a process said last, without the stack around it. */
function errorIn(complaints: string): string {
  const lines = complaints.split("\n").filter((line) => line.trim() !== "");
  return lines.find((line) => /^\w*Error\b/.test(line)) ?? lines.at(-1) ?? "";
}

async function end({ child, ended }: Started): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
  await ended;
}

function askOf(child: ChildProcess, task: Task, failed: Promise<never>): Asked {
  const answer = Promise.withResolvers<Answer>();
  const doubt = Promise.withResolvers<boolean>();
  const listen = (message: Message) => {
    if (message.kind === "doubt") doubt.resolve(true);
    if (message.kind !== "answer") return;
    child.off("message", listen);
    doubt.resolve(false);
    answer.resolve(message.answer);
  };
  child.on("message", listen);
  child.send(task);
  const heard = Promise.race([answer.promise, failed]);
  // A killed worker answers nothing, and nobody waits for it.
  heard.catch(() => doubt.resolve(false));
  return { answer: heard, doubt: doubt.promise };
}
