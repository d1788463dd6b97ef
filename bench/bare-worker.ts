import { parentPort, workerData } from "node:worker_threads";
import { type BareOptions, openBareWriter, type Values } from "./bare-writer.ts";

/** A batch and whether to checkpoint after it; null: end. */
export type ToBareWorker = { readonly values: Values; readonly checkpoint: boolean } | null;
/** `true`: durable; `false`: ready for the next. */
export type FromBareWorker = boolean;

const port = parentPort;
if (port !== null) {
  const writer = openBareWriter(workerData as BareOptions);
  const say = (word: FromBareWorker): void => port.postMessage(word);
  port.on("message", (message: ToBareWorker) => {
    if (message === null) {
      writer.close();
      port.close();
      return;
    }
    writer.write(message.values);
    if (!message.checkpoint) return say(true);
    say(true);
    writer.checkpoint();
    say(false);
  });
}
