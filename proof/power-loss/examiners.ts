import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Examination, Examined } from "./examine.ts";
import type { FromExaminer } from "./examiner.ts";

export type Task = Omit<Examination, "folder">;

export interface Heard {
  examined(task: Task, examined: Examined): void;
  done(task: Task, result: { readonly failedSyncs: number }): void;
}

const processes = 2;

/** Has all tasks done by a few processes of their own, each with a folder for one image at a time. */
export async function examineAll(
  tasks: readonly Task[],
  scratch: string,
  heard: Heard,
): Promise<void> {
  const waiting = [...tasks];
  const lane = async (_: unknown, index: number): Promise<void> => {
    const folder = join(scratch, `image-${index + 1}`);
    mkdirSync(folder);
    const child = fork(new URL("./examiner.ts", import.meta.url), { execArgv: [] });
    const gone = once(child, "exit");
    try {
      for (let task = waiting.shift(); task !== undefined; task = waiting.shift()) {
        await ask(child, task, { ...task, folder }, heard);
      }
    } catch (error) {
      // The others end with the task they have.
      waiting.length = 0;
      throw error;
    } finally {
      if (child.connected) child.disconnect();
      await gone;
    }
  };
  const lanes = Array.from({ length: Math.min(processes, tasks.length) }, lane);
  const ends = await Promise.allSettled(lanes);
  for (const end of ends) if (end.status === "rejected") throw end.reason;
}

function ask(
  child: ChildProcess,
  task: Task,
  examination: Examination,
  heard: Heard,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const ended = (): void => reject(new Error(`The examiner of "${task.recording.name}" died.`));
    const stop = (): void => {
      child.off("message", listen).off("exit", ended);
    };
    const listen = (message: FromExaminer): void => {
      if ("examined" in message) {
        for (const one of message.examined) heard.examined(task, one);
        return;
      }
      stop();
      if ("broken" in message) reject(new Error(message.broken));
      else {
        heard.done(task, message.done);
        resolve();
      }
    };
    child.on("message", listen).on("exit", ended);
    child.send(examination);
  });
}
