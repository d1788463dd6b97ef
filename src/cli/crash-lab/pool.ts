import type { Children, Worker } from "./child.ts";
import type { WorkerConfig } from "./message.ts";

/** Workers that were started ahead of time: nobody waits for a process to load. */
export interface Pool {
  /** A process that has done nothing yet. */
  take(config: WorkerConfig): Promise<Worker>;
}

/** @param ahead how many wait, ready or on their way */
export function createPool(children: Children, ahead: number): Pool {
  const waiting: Promise<Worker>[] = [];
  const fill = () => {
    while (waiting.length < ahead) {
      const worker = children.worker();
      // Whoever takes it hears of it.
      worker.catch(() => undefined);
      waiting.push(worker);
    }
  };
  return {
    async take(config) {
      fill();
      const worker = waiting.shift() ?? children.worker();
      fill();
      const taken = await worker;
      taken.be(config);
      return taken;
    },
  };
}
