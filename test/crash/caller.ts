import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
import type { CaseState, Sweep } from "../../src/index.ts";
import type { Answer, CallerConfig, Command, Fault, FromCaller } from "./programs/protocol.ts";

/** A caller process, seen from the test. */
export interface Caller {
  readonly pid: number;
  execute(caseId: string, options?: { requestId?: string; waitMs?: number }): Promise<Answer>;
  storm(keys: readonly string[], me: number, atOnce: number): Promise<[string, string][]>;
  reconcile(): Promise<Sweep>;
  list(...states: CaseState[]): Promise<string[]>;
  /** The types of a case's journal entries. */
  history(caseId: string): Promise<string[]>;
  /** A receipt's exact text. */
  receipt(requestId: string): Promise<string | null>;
  resolve(caseId: string, happened: boolean): Promise<Answer>;
  /** Resolves once the next effect of it waits (`pause`). */
  waits(): Promise<void>;
  goOn(): Promise<void>;
  /** SIGSTOP; resolves when the kernel has stopped it. */
  freeze(): Promise<void>;
  thaw(): void;
  /** Resolves when it is dead, with the signal that killed it. */
  readonly dead: Promise<string | null>;
  /** Closes its guard and ends it. */
  end(): Promise<void>;
}

/** The guard's error as it came out of another process. */
export class CallerFault extends Error {
  readonly fault: Fault;
  constructor(fault: Fault) {
    super(`${fault.code}: ${fault.message}`);
    this.fault = fault;
  }
}

const program = fileURLToPath(new URL("./programs/caller.ts", import.meta.url));

/** Starts a caller process; `under` is a command to run it under, such as strace with its options. */
export function startCaller(config: CallerConfig, under: readonly string[] = []): Caller {
  const [command, ...args] = [...under, process.execPath, program, JSON.stringify(config)];
  const child = spawn(command!, args, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  // Frozen or not: none outlives its test.
  onTestFinished(() => void child.kill("SIGKILL"));
  const wire = wireTo(child);
  const dead = once(child, "exit").then(([, signal]) => signal as string | null);
  const pid = child.pid ?? 0;
  return {
    pid,
    execute: (caseId, options) =>
      wire.ask({ do: "execute", caseId, ...options }) as Promise<Answer>,
    storm: (keys, me, atOnce) =>
      wire.ask({ do: "storm", keys, me, atOnce }) as Promise<[string, string][]>,
    reconcile: () => wire.ask({ do: "reconcile" }) as Promise<Sweep>,
    list: (...states) => wire.ask({ do: "list", states }) as Promise<string[]>,
    history: (caseId) => wire.ask({ do: "history", caseId }) as Promise<string[]>,
    receipt: (requestId) => wire.ask({ do: "receipt", requestId }) as Promise<string | null>,
    resolve: (caseId, happened) => wire.ask({ do: "resolve", caseId, happened }) as Promise<Answer>,
    waits: wire.waits,
    goOn: async () => void (await wire.ask({ do: "go on" })),
    async freeze() {
      process.kill(pid, "SIGSTOP");
      while (processState(pid) !== "T") await new Promise((resolve) => setTimeout(resolve, 2));
    },
    thaw: () => void process.kill(pid, "SIGCONT"),
    dead,
    async end() {
      await wire.ask({ do: "close" });
      child.disconnect();
      await dead;
    },
  };
}

/** Does something in a process of its own, and ends it. */
export async function inFreshProcess<T>(
  config: CallerConfig,
  work: (caller: Caller) => Promise<T>,
): Promise<T> {
  const caller = startCaller(config);
  const result = await work(caller);
  await caller.end();
  return result;
}

/**
 * Asks until there is an answer. On a machine under load, a claim can take longer than a short lease:
 * then nothing was started, and it may be asked again.
 */
export async function answerOf(caller: Caller, caseId: string): Promise<Answer> {
  for (;;) {
    const answer = await caller.execute(caseId);
    if (answer.status !== "in_progress" && answer.status !== "not_performed") return answer;
  }
}

function wireTo(child: ChildProcess) {
  const open = new Map<number, PromiseWithResolvers<unknown>>();
  let wait = nextWait();
  let asked = 0;
  child.on("message", (message: FromCaller) => {
    if ("waits" in message) return wait.resolve();
    const reply = open.get(message.id);
    open.delete(message.id);
    if ("fault" in message) reply?.reject(new CallerFault(message.fault));
    else reply?.resolve(message.value);
  });
  // Not "exit": what it said last may still be on its way then.
  child.on("close", () => {
    for (const reply of [wait, ...open.values()]) reply.reject(new Error("the process died"));
  });
  child.on("error", (error) => {
    for (const reply of open.values()) reply.reject(error);
  });
  return {
    async waits() {
      await wait.promise;
      wait = nextWait();
    },
    ask(command: Command): Promise<unknown> {
      asked += 1;
      const id = asked;
      const reply = Promise.withResolvers<unknown>();
      open.set(id, reply);
      child.send({ id, command }, (error) => error && reply.reject(error));
      return reply.promise;
    },
  };
}

function nextWait(): PromiseWithResolvers<void> {
  const next = Promise.withResolvers<void>();
  // Not every test waits for it.
  next.promise.catch(() => undefined);
  return next;
}

/** One letter, from the kernel: R running, S sleeping, T stopped, Z dead. */
function processState(pid: number): string {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  return stat.slice(stat.lastIndexOf(")") + 2)[0] ?? "";
}
