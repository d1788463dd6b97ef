import { statSync } from "node:fs";
import { Worker } from "node:worker_threads";
import type { Checked } from "./sqlite-check-worker.ts";
import { errorOf } from "./sqlite-errors.ts";
import type { OpenOptions } from "./sqlite-open.ts";

/** A file up to this size is checked on the main thread: a few milliseconds. */
const inlineBytes = 2_097_152;

export function isLargeFile(path: string): boolean {
  const sizes = [path, `${path}-wal`].map(
    (name) => statSync(name, { throwIfNoEntry: false })?.size,
  );
  return sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0) > inlineBytes;
}

/** Ours when run from source, and from `dist` alike. */
const script = new URL(
  import.meta.url.endsWith(".ts") ? "./sqlite-check-worker.ts" : "./sqlite-check-worker.js",
  import.meta.url,
);

/** Checks the file on a thread of its own; undefined where none can be started. */
export function checkInThread(options: OpenOptions): Promise<readonly string[] | undefined> {
  return new Promise((resolve, reject) => {
    try {
      // None of this process's flags: some, such as `--input-type`, would keep the thread from starting.
      const worker = new Worker(script, {
        workerData: options,
        execArgv: [],
        name: "safeagent-check",
      });
      worker.on("message", (message: Checked) => {
        if (message.kind === "checked") resolve(message.faults);
        else reject(errorOf(message.error));
      });
      // After a message these change nothing any more.
      worker.on("error", () => resolve(undefined)).on("exit", () => resolve(undefined));
    } catch {
      resolve(undefined);
    }
  });
}
