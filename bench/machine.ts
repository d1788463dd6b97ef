import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from "node:fs";
import { availableParallelism, cpus, release, totalmem, type } from "node:os";
import { join } from "node:path";
import { percentile } from "./percentile.ts";

export interface Machine {
  readonly date: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly kernel: string;
  readonly node: string;
  readonly sqlite: string;
  /** Milliseconds to overwrite 4 KiB and have the disk say that it is there: half the middle, and 99 of 100. */
  readonly syncP50Ms: number;
  readonly syncP99Ms: number;
}

export function describeMachine(folder: string): Machine {
  const sync = syncTimes(join(folder, "sync"));
  return {
    date: new Date().toISOString().slice(0, 10),
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: `${type()} ${release()}`,
    node: process.version,
    sqlite: process.versions.sqlite ?? "unknown",
    syncP50Ms: percentile(sync, 0.5),
    syncP99Ms: percentile(sync, 0.99),
  };
}

function syncTimes(path: string): number[] {
  const page = Buffer.alloc(4_096, 1);
  const file = openSync(path, "w");
  const write = (): number => {
    const started = performance.now();
    writeSync(file, page, 0, page.length, 0);
    fdatasyncSync(file);
    return performance.now() - started;
  };
  write();
  const times = Array.from({ length: 300 }, write).sort((left, right) => left - right);
  closeSync(file);
  rmSync(path);
  return times;
}
