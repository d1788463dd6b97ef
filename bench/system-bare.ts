import { Worker } from "node:worker_threads";
import type { FromBareWorker, ToBareWorker } from "./bare-worker.ts";
import { type BareOptions, openBareWriter, type Values } from "./bare-writer.ts";
import type { RealRow, RealRows } from "./real-rows.ts";
import type { System } from "./system.ts";

const inlineWrites = 16;
const inlineMs = 1;
const inlineMsCounted = 3;
const checkpointWrites = 2_000;

/**
 * The bare limit: the product's two durable writes by group commit, with the same columns and bytes,
 * and nothing else. No canonical JSON, no hash, no policy, no machine, no lease, no check whether the
 * key was used, no cache; a promise for each commit. Nothing that keeps these writes can be faster but
 * by a better group commit.
 */
export async function bareLimit(options: BareOptions, rows: RealRows): Promise<System> {
  const here = openBareWriter(options);
  const worker = new Worker(new URL("./bare-worker.ts", import.meta.url), {
    workerData: options,
  });
  await new Promise((resolve) => worker.once("online", resolve));
  let values: (string | number | null)[] = [];
  let waiting: (() => void)[] = [];
  let inHand: readonly (() => void)[] = [];
  let isBusy = false;
  let isScheduled = false;
  let averageMs = 0;
  let writes = 0;
  let places = 0;
  let positions = 0;
  let effects = 0;

  worker.on("message", (isDurable: FromBareWorker) => {
    if (isDurable) for (const resolve of inHand) resolve();
    if (isDurable && writes >= checkpointWrites) {
      writes = 0;
      return;
    }
    isBusy = false;
    schedule();
  });
  worker.on("error", (error) => {
    throw error;
  });

  function schedule(): void {
    if (isScheduled || isBusy || waiting.length === 0) return;
    isScheduled = true;
    setImmediate(flush);
  }

  function flush(): void {
    isScheduled = false;
    const batch: Values = values;
    const resolves = waiting;
    values = [];
    waiting = [];
    writes += resolves.length;
    const isSmall = resolves.length <= inlineWrites && averageMs < inlineMs;
    if (!isSmall || writes >= checkpointWrites) {
      isBusy = true;
      inHand = resolves;
      const message: ToBareWorker = { values: batch, checkpoint: writes >= checkpointWrites };
      worker.postMessage(message);
      // So that one slow minute does not keep small batches away from here for ever.
      averageMs *= 0.9;
      return;
    }
    const started = performance.now();
    here.write(batch);
    const ms = Math.min(performance.now() - started, inlineMsCounted);
    averageMs += (ms - averageMs) / 10;
    for (const resolve of resolves) resolve();
  }

  function commit(
    place: number,
    position: number,
    previous: number | null,
    id: string | null,
    row: RealRow,
  ): Promise<void> {
    return new Promise((resolve) => {
      values.push(place, position, previous, id, row.head, row.record, row.entry);
      waiting.push(resolve);
      schedule();
    });
  }

  const effect = async (): Promise<void> => {
    effects += 1;
  };

  return {
    async fresh(key) {
      const place = ++places;
      const claimed = ++positions;
      await commit(place, claimed, null, key, rows.claim);
      await effect();
      await commit(place, ++positions, claimed, null, rows.settle);
    },
    effects: () => effects,
    async close() {
      worker.postMessage(null satisfies ToBareWorker);
      await new Promise((resolve) => worker.once("exit", resolve));
      here.close();
    },
  };
}
