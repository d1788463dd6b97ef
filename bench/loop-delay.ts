import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { watchNeighbours } from "./neighbours.ts";
import { noServer, type ServerWatch } from "./server-watch.ts";

export interface Surroundings {
  readonly delayP50Ms: number;
  readonly delayP99Ms: number;
  /** Of the machine's CPU time. */
  readonly othersShare: number;
  /** What the database server used meanwhile. */
  readonly serverMs: number;
  readonly walBytes: number;
}

/** Does some work, and tells how late the event loop came to its timers and what other processes took meanwhile. */
export async function observed<T>(
  work: () => Promise<T>,
  server: ServerWatch = noServer,
): Promise<readonly [T, Surroundings]> {
  const meter = monitorEventLoopDelay({ resolution: 1 });
  meter.enable();
  const others = watchNeighbours(server.cpuMs);
  const walBefore = await server.walBytes();
  const serverBefore = server.cpuMs();
  // The meter counts from one of its ticks to the next: one before the work and one after it.
  await sleep(4);
  const result = await work();
  await sleep(4);
  const othersShare = others();
  const serverMs = server.cpuMs() - serverBefore;
  const walBytes = (await server.walBytes()) - walBefore;
  meter.disable();
  const delayP50Ms = meter.percentile(50) / 1e6;
  const delayP99Ms = meter.percentile(99) / 1e6;
  return [result, { delayP50Ms, delayP99Ms, othersShare, serverMs, walBytes }];
}

/** What the meter reads when nothing goes on: its own resolution and the system's slowness to wake. */
export async function delayFloorMs(): Promise<number> {
  const [, { delayP50Ms }] = await observed(() => sleep(250));
  return delayP50Ms;
}
