import { type ChildProcess, fork } from "node:child_process";
import type { Command, CommandAnswers, FromWorker, Step, WorkerConfig } from "./message.ts";

/** A worker's process, seen from the lab. */
export interface Worker {
  readonly pid: number;
  /** Tells it what it is; the first thing it is told. */
  be(config: WorkerConfig): void;
  /** Undefined: it was killed before it answered. */
  send<C extends Command>(command: C): Promise<CommandAnswers[C["do"]] | undefined>;
  /** Called with each step of a decision that is acknowledged. */
  onStepped: (caseId: string, step: Step) => void;
  /** Called when it stops itself. */
  onStopping: (caseId: string) => void;
  /** Whether a point killed it, or the lab. */
  readonly dead: Promise<void>;
  isDead(): boolean;
  /** SIGKILL: it gets no chance to say or to save anything. */
  kill(): void;
  /** SIGSTOP, and SIGCONT. */
  stop(): void;
  wake(): void;
}

export interface Children {
  /** A worker that has loaded everything. */
  worker(): Promise<Worker>;
  /** Has a worker compile what all of them load, and keep it for the next ones. */
  compile(): Promise<void>;
  /** Starts the ledger; answers its port. */
  ledger(): Promise<number>;
  /** Kills them all. */
  end(): Promise<void>;
}

// The same file, as it stands here: TypeScript in the sources, JavaScript in the package.
const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";

/** Far beyond what anything takes on a busy machine: a hang is the failure. */
const patienceMs = 180_000;

/** @param cache a folder for what Node has compiled: starting is most of what a kill costs */
export function createChildren(cache: string): Children {
  const alive = new Set<ChildProcess>();
  let isOver = false;
  const killAll = () => {
    for (const child of alive) child.kill("SIGKILL");
  };
  // For an end that nobody foresaw: a process that is stopped can't see that it is alone.
  process.once("exit", killAll);

  const begin = (script: string) => {
    if (isOver) throw new Error("the lab has ended");
    const child = fork(new URL(`./${script}.${extension}`, import.meta.url), [], {
      execArgv: [],
      env: { ...process.env, NODE_COMPILE_CACHE: cache },
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
    alive.add(child);
    let complaints = "";
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      complaints = `${complaints}${text}`.slice(-4_000);
    });
    child.on("error", (error) => {
      complaints += error.message;
    });
    // Not "exit": what it said last may still be on its way then.
    const gone = new Promise<void>((resolve) => child.once("close", () => resolve()));
    const ended = gone.then(() => {
      alive.delete(child);
      if (child.signalCode === "SIGKILL" || isOver) return;
      const how = child.signalCode ?? `exit code ${child.exitCode}`;
      throw new Error(`a ${script} ended by itself (${how}). ${complaints.trim()}`);
    });
    ended.catch(() => undefined);
    return { child, gone, ended };
  };

  return {
    async worker() {
      const { child, ended } = begin("worker");
      const worker = workerOf(child, ended);
      await worker.ready;
      return worker;
    },
    async compile() {
      const { child, gone } = begin("worker");
      child.send({ compile: true });
      await gone;
    },
    async ledger() {
      const { child, ended } = begin("ledger");
      const ready = new Promise<{ port: number }>((resolve) => child.once("message", resolve));
      const early = ended.then((): never => {
        throw new Error("the ledger was killed");
      });
      return (await Promise.race([ready, early])).port;
    },
    async end() {
      isOver = true;
      const gone = [...alive].map(
        (child) => new Promise((resolve) => child.once("close", resolve)),
      );
      killAll();
      await Promise.all(gone);
      process.off("exit", killAll);
    },
  };
}

function workerOf(child: ChildProcess, ended: Promise<void>): Worker & { ready: Promise<void> } {
  const open = new Map<number, PromiseWithResolvers<unknown>>();
  const ready = Promise.withResolvers<void>();
  let asked = 0;
  let isDead = false;
  const worker: Worker = {
    pid: child.pid ?? 0,
    be: (config) => void child.send({ be: config }),
    send: (command) => {
      asked += 1;
      const reply = Promise.withResolvers<unknown>();
      open.set(asked, reply);
      // A dead one is told nothing, and hears of it below.
      if (isDead || !child.connected) ended.then(() => reply.resolve(undefined), reply.reject);
      else child.send({ id: asked, command }, () => undefined);
      return inTime(reply.promise, command.do) as Promise<never>;
    },
    onStepped: () => undefined,
    onStopping: () => undefined,
    dead: ended,
    isDead: () => isDead,
    kill: () => void child.kill("SIGKILL"),
    stop: () => void child.kill("SIGSTOP"),
    wake: () => void child.kill("SIGCONT"),
  };
  child.on("message", (message: FromWorker) => {
    switch (message.kind) {
      case "ready":
        return ready.resolve();
      case "answer":
      case "fault": {
        const reply = open.get(message.id);
        open.delete(message.id);
        if (message.kind === "answer") reply?.resolve(message.answer);
        else reply?.reject(new Error(`a worker failed: ${message.message}`));
        return;
      }
      case "stepped":
        return worker.onStepped(message.caseId, message.step);
      case "stopping":
        return worker.onStopping(message.caseId);
    }
  });
  child.on("exit", () => {
    isDead = true;
  });
  ended.then(
    () => {
      ready.reject(new Error("a worker was killed before it was ready"));
      for (const reply of open.values()) reply.resolve(undefined);
    },
    (error: unknown) => {
      ready.reject(error);
      for (const reply of open.values()) reply.reject(error);
    },
  );
  ready.promise.catch(() => undefined);
  return Object.assign(worker, { ready: ready.promise });
}

async function inTime<T>(answer: Promise<T>, what: string): Promise<T> {
  const late = Promise.withResolvers<never>();
  const says = `a worker hung: no answer to "${what}" in ${patienceMs / 1_000} s`;
  const timer = setTimeout(() => late.reject(new Error(says)), patienceMs);
  try {
    return await Promise.race([answer, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
