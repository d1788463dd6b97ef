import { parentPort, workerData } from "node:worker_threads";
import { fileFaults } from "./sqlite-check.ts";
import { type ErrorMessage, errorMessage } from "./sqlite-errors.ts";
import { type OpenOptions, openConnection } from "./sqlite-open.ts";

/** What the thread says at its end. */
export type Checked =
  | { readonly kind: "checked"; readonly faults: readonly string[] }
  | { readonly kind: "failed"; readonly error: ErrorMessage };

if (parentPort !== null) parentPort.postMessage(checked(workerData as OpenOptions));

function checked(options: OpenOptions): Checked {
  try {
    const connection = openConnection(options);
    try {
      return { kind: "checked", faults: fileFaults(connection) };
    } finally {
      connection.db.close();
    }
  } catch (error) {
    return { kind: "failed", error: errorMessage(error) };
  }
}
