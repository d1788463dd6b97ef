import { parentPort, workerData } from "node:worker_threads";
import { type ErrorMessage, errorMessage, isBusy } from "./sqlite-errors.ts";
import { type OpenOptions, openSession, pause } from "./sqlite-open.ts";
import { checkpoint } from "./sqlite-wal.ts";
import { type Batch, prepareWriter, type Writer } from "./sqlite-write.ts";

/** What the main thread sends: a batch to write, and whether to write the WAL back after it; or the word to end. */
export type ToWorker = { readonly batch: Batch; readonly checkpoint: boolean } | "close";

export type FromWorker =
  | { readonly kind: "ready" }
  /** The batch is durable. */
  | { readonly kind: "written"; readonly results: readonly boolean[]; readonly ms: number }
  | { readonly kind: "failed"; readonly error: ErrorMessage }
  /** It takes the next batch. */
  | { readonly kind: "idle" };

if (parentPort !== null) serve(parentPort, workerData as OpenOptions);

function serve(port: NonNullable<typeof parentPort>, options: OpenOptions): void {
  const session = openSession(options, (connection) => ({
    connection,
    writer: prepareWriter(connection),
  }));
  const say = (message: FromWorker): void => port.postMessage(message);

  port.on("message", (message: ToWorker) => {
    if (message === "close") {
      session.close();
      port.close();
      return;
    }
    say(written(message.batch));
    // After the answer: the callers go on while the pages are written back.
    if (message.checkpoint) writeBack();
    say({ kind: "idle" });
  });
  say({ kind: "ready" });

  function written(batch: Batch): FromWorker {
    try {
      const started = performance.now();
      const results = session.use(({ writer }) => patiently(writer, batch, options.busyMs));
      return { kind: "written", results, ms: performance.now() - started };
    } catch (error) {
      return { kind: "failed", error: errorMessage(error) };
    }
  }

  function writeBack(): void {
    try {
      session.use(({ connection }) => checkpoint(connection));
    } catch {
      // Nothing is lost by it: what the WAL holds is durable, and the next batch meets the same disk.
    }
  }
}

/** Waits for its turn in small random steps: SQLite's own waiting gives a busy neighbour every turn. */
function patiently(writer: Writer, batch: Batch, busyMs: number): boolean[] {
  const deadline = performance.now() + busyMs;
  for (let waitMs = 0.5; ; waitMs = Math.min(waitMs * 1.5, 20)) {
    try {
      return writer.write(batch);
    } catch (error) {
      if (!isBusy(error) || performance.now() > deadline) throw error;
      pause(Math.random() * waitMs);
    }
  }
}
