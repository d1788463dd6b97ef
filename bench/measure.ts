import { copyFileSync } from "node:fs";
import { closedLoop, type LoopResult, paceOf } from "./closed-loop.ts";
import { newKey } from "./keys.ts";
import { delayFloorMs, observed, type Surroundings } from "./loop-delay.ts";
import type { Measurement, Phase } from "./measurement.ts";
import { storedKeys } from "./prefill.ts";
import { prefilledKeys } from "./prefill-postgres.ts";
import { realRows } from "./real-rows.ts";
import { noServer, type ServerWatch, watchServer } from "./server-watch.ts";
import type { System } from "./system.ts";
import { bareLimit } from "./system-bare.ts";
import { byHand } from "./system-by-hand.ts";
import { guardOnMemory, guardOnPostgres, guardOnSqlite } from "./system-guard.ts";
import { bareOnPostgres } from "./system-postgres-bare.ts";
import { byHandOnPostgres } from "./system-postgres-by-hand.ts";
import type { MeasureTask } from "./task.ts";

/** All of them are answered from memory: a guard keeps the 5,000 latest finished cases, and up to 10,000. */
export const cachedKeys = 4_000;
/** Keys replayed by one guard before the next one, which remembers nothing, takes over. */
const keysOfOneGuard = 4_000;
const warmUpReplays = 16;

export async function measure(task: MeasureTask): Promise<Measurement[]> {
  const { server: pid, path } = task;
  if (task.copyOf !== undefined && pid === undefined) copyFileSync(task.copyOf, path);
  const system = await open(task);
  const server = pid === undefined ? noServer : await watchServer(pid, path);
  const floorMs = await delayFloorMs();
  const found: Measurement[] = [];
  const note = (phase: Phase, results: readonly LoopResult[], around: Surroundings): void => {
    const { system: name, callers, processes, round, receipts } = task;
    const subject = { phase, system: name, callers, processes, receipts, round };
    const { serverMs, walBytes, ...rest } = around;
    const pace = paceOf(results);
    found.push({
      ...subject,
      ...pace,
      serverCpuMicros: (serverMs * 1_000) / pace.calls,
      walBytes: walBytes / pace.calls,
      ...rest,
      delayFloorMs: floorMs,
    });
  };
  try {
    const keys = await freshPhase(task, system, server, note);
    const effects = system.effects();
    if (effects !== keys.length) throw new Error(`${effects} effects of ${keys.length} executions`);
    if (task.phases.includes("cached")) await cachedPhase(task, system, keys, server, note);
    if (task.phases.includes("stored")) {
      const used = task.receipts === 0 ? keys : await keysIn(task);
      await storedPhase(task, system, used, server, note);
    }
    if (system.effects() !== effects) throw new Error("a replay ran the effect");
  } finally {
    await system.close();
    await server.close();
  }
  return found;
}

async function keysIn({ path, server, receipts }: MeasureTask): Promise<readonly string[]> {
  return server === undefined
    ? storedKeys(path, keysOfOneGuard)
    : prefilledKeys(path, receipts, keysOfOneGuard);
}

type Note = (phase: Phase, results: readonly LoopResult[], around: Surroundings) => void;

async function open({ system, path }: MeasureTask): Promise<System> {
  switch (system) {
    case "memory":
      return guardOnMemory();
    case "sqlite":
      return guardOnSqlite(path);
    case "bare":
      return bareLimit({ path, journal: true }, await realRows());
    case "bare-no-journal":
      return bareLimit({ path, journal: false }, await realRows());
    case "by-hand":
      return byHand(path, "delete");
    case "by-hand-wal":
      return byHand(path, "wal");
    case "postgres":
      return guardOnPostgres(path);
    case "postgres-bare":
      return bareOnPostgres(path, true, await realRows());
    case "postgres-bare-no-journal":
      return bareOnPostgres(path, false, await realRows());
    case "postgres-by-hand":
      return byHandOnPostgres(path);
  }
}

async function freshPhase(
  task: MeasureTask,
  system: System,
  server: ServerWatch,
  note: Note,
): Promise<string[]> {
  const keys: string[] = [];
  const next = (): string => {
    const key = newKey();
    keys.push(key);
    return key;
  };
  const { callers, seconds } = task;
  const call = system.fresh;
  await closedLoop({ callers, ms: warmUpMs(seconds), next, call });
  const [result, around] = await observed(
    () => closedLoop({ callers, ms: seconds * 1_000, next, call }),
    server,
  );
  note("fresh", [result], around);
  return keys;
}

function warmUpMs(seconds: number): number {
  return Math.max(400, seconds * 350);
}

async function cachedPhase(
  { callers, seconds }: MeasureTask,
  system: System,
  used: readonly string[],
  server: ServerWatch,
  note: Note,
): Promise<void> {
  const call = mustReplay(system);
  const keys = used.slice(-cachedKeys);
  let at = 0;
  const next = (): string => keys[at++ % keys.length] as string;
  await closedLoop({ callers, ms: 200, next, call });
  const [result, around] = await observed(
    () => closedLoop({ callers, ms: seconds * 400, next, call }),
    server,
  );
  note("cached", [result], around);
}

/** Each key once for each guard; a new guard when the keys are used up. Only the replaying is timed. */
async function storedPhase(
  { callers, seconds }: MeasureTask,
  system: System,
  used: readonly string[],
  server: ServerWatch,
  note: Note,
): Promise<void> {
  const results: LoopResult[] = [];
  const keys = used.slice(-keysOfOneGuard);
  const [, around] = await observed(async () => {
    let leftMs = seconds * 400;
    while (leftMs > 0) {
      const other = another(system);
      const call = mustReplay(other);
      // Connections to a server are opened before the time runs.
      await Promise.all(keys.slice(0, warmUpReplays).map(call));
      let at = warmUpReplays;
      const next = (): string | undefined => keys[at++];
      const result = await closedLoop({ callers, ms: leftMs, next, call });
      results.push(result);
      leftMs -= result.ms;
      await other.close();
    }
  }, server);
  note("stored", results, around);
}

function mustReplay({ replay }: System): (key: string) => Promise<void> {
  if (replay === undefined) throw new Error("This system is not measured in replaying.");
  return replay;
}

function another(system: System): System {
  if (system.another === undefined) throw new Error("This system has no other one like it.");
  return system.another();
}
