import { Worker } from "node:worker_threads";
import type { GuardError } from "../core/errors.ts";
import { errorOf } from "./sqlite-errors.ts";
import type { OpenOptions } from "./sqlite-open.ts";
import type { FromWorker, ToWorker } from "./sqlite-worker.ts";
import type { Batch } from "./sqlite-write.ts";

/** What the queue hears of the batch that it gave to the thread. */
export interface ThreadListener {
  written(results: readonly boolean[], ms: number): void;
  failed(error: GuardError): void;
  /** The thread takes the next batch. */
  idle(): void;
}

/** The second thread, seen from the first. Started when it is first needed: a short run never pays for it. */
export interface WriterThread {
  /** `gone`: it can't be started here, or it ended; everything is then written on the main thread. */
  state(): "off" | "starting" | "ready" | "gone";
  start(): void;
  write(batch: Batch, checkpoint: boolean): void;
  close(): Promise<void>;
}

/** Ours when run from source, and from `dist` alike. */
const script = new URL(
  import.meta.url.endsWith(".ts") ? "./sqlite-worker.ts" : "./sqlite-worker.js",
  import.meta.url,
);

export function writerThread(options: OpenOptions, listener: ThreadListener): WriterThread {
  let state: ReturnType<WriterThread["state"]> = "off";
  let worker: Worker | undefined;
  /** Batches that it has not done with. */
  let underWay = 0;

  function ended(): void {
    if (state === "gone") return;
    state = "gone";
    for (; underWay > 0; underWay -= 1) {
      listener.failed(
        errorOf({
          code: "store_unavailable",
          facts: "The thread that writes the database ended.",
          next: "Read again: what it had in hand may have been written.",
        }),
      );
      listener.idle();
    }
  }

  function heard(message: FromWorker): void {
    switch (message.kind) {
      case "ready":
        if (state === "starting") state = "ready";
        return;
      case "written":
        listener.written(message.results, message.ms);
        return;
      case "failed":
        listener.failed(errorOf(message.error));
        return;
      case "idle":
        underWay -= 1;
        // Idle, it keeps no process alive; with a batch in hand, it does.
        if (underWay === 0) worker?.unref();
        listener.idle();
    }
  }

  return {
    state: () => state,
    start() {
      if (state !== "off") return;
      state = "starting";
      try {
        // None of this process's flags: some, such as `--input-type`, would keep the thread from starting.
        worker = new Worker(script, {
          workerData: options,
          execArgv: [],
          name: "safeagent-sqlite",
        });
        worker.on("message", heard).on("error", ended).on("exit", ended);
        worker.unref();
      } catch {
        state = "gone";
      }
    },
    write(batch, checkpoint) {
      underWay += 1;
      worker?.ref();
      const message: ToWorker = { batch, checkpoint };
      worker?.postMessage(message);
    },
    async close() {
      const running = worker;
      if (running === undefined || state === "gone") return;
      running.ref();
      const message: ToWorker = "close";
      await new Promise((resolve) => {
        running.once("exit", resolve);
        running.postMessage(message);
      });
    },
  };
}
