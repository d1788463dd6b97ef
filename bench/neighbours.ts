import { cpus } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";

/** Above this share of the machine, other processes make a measurement say more about them. */
export const quietShare = 0.2;

interface Moment {
  readonly busyMs: number;
  readonly totalMs: number;
  readonly ownMs: number;
}

/**
 * Begins to count; the answer is the share of the machine's CPU time that other processes took since.
 * @param serverMs CPU time so far of a server that works for this process
 */
export function watchNeighbours(serverMs: () => number = () => 0): () => number {
  const before = moment(serverMs());
  return () => {
    const after = moment(serverMs());
    const others = after.busyMs - before.busyMs - (after.ownMs - before.ownMs);
    return Math.max(0, others / (after.totalMs - before.totalMs));
  };
}

/** Waits, for a while, until the others are quiet. */
export async function quietMoment(): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (performance.now() < deadline) {
    const others = watchNeighbours();
    await sleep(700);
    if (others() < quietShare / 2) return;
  }
}

function moment(serverMs: number): Moment {
  const { user, system } = process.cpuUsage();
  const cores = cpus();
  const busyMs = cores.reduce((sum, { times }) => {
    return sum + times.user + times.nice + times.sys + times.irq;
  }, 0);
  // Not the sum of what the cores report: it leaves out their waiting for the disk.
  return {
    busyMs,
    totalMs: performance.now() * cores.length,
    ownMs: (user + system) / 1_000 + serverMs,
  };
}
