import { setTimeout as sleep } from "node:timers/promises";
import type { Worker } from "./child.ts";
import { type Class, classes } from "./message.ts";
import type { Point } from "./point.ts";
import type { Kase, Scene } from "./scene.ts";

/** Where a worker is stopped: with one case at a point, or with several at a random time. */
export interface StopPlan {
  readonly class: Class;
  readonly point: Point | "at random";
}

/** What a stopped worker is in the middle of. */
export interface Stopped {
  readonly cases: readonly Kase[];
  /** All that it was asked: answered when it is awake again. */
  readonly own: readonly Promise<unknown>[];
}

const casesAtRandom = 5;
/** How long a fresh case may take where nobody holds the store's lock. */
const canaryMs = 400;
const mostRestops = 10;

/** Each worker stops itself at its point, with one case. */
export function stopAtPoint(
  scene: Scene,
  workers: readonly Worker[],
  plan: readonly StopPlan[],
): Promise<readonly Stopped[]> {
  const stopped = workers.map(async (worker, index): Promise<Stopped> => {
    const { class: kind, point } = plan[index] ?? { class: "opaque", point: "at random" };
    if (point === "at random") return { cases: [], own: [] };
    const kase = scene.open(kind);
    const stopping = new Promise<boolean>((resolve) => {
      worker.onStopping = () => resolve(true);
    });
    const own = scene.ask(worker, kase, {}, { caseId: kase.caseId, point, how: "stop" });
    // On a busy machine a claim may be given back before its effect, and the point isn't reached.
    const isStopped = await Promise.race([stopping, own.then(() => false)]);
    return { cases: isStopped ? [kase] : [], own: [own] };
  });
  return Promise.all(stopped);
}

/** All workers are stopped wherever they are, with several cases each. */
export async function stopAtRandom(
  scene: Scene,
  workers: readonly Worker[],
  askers: readonly Worker[],
  round: number,
): Promise<readonly Stopped[]> {
  const chance = scene.chance("stop", round);
  const asked = workers.map((worker) => {
    const open = new Set<Kase>();
    const own = Array.from({ length: casesAtRandom }, async () => {
      const kase = scene.open(chance.pick(classes));
      open.add(kase);
      const happens = chance.happens(0.5) ? "first" : "last";
      await scene.ask(worker, kase, { effect: { happens, takesMs: chance.below(200) } });
      open.delete(kase);
    });
    return { open, own };
  });
  await sleep(5 + chance.below(80), undefined, { signal: scene.signal });
  for (let tries = 0; tries < mostRestops; tries += 1) {
    for (const worker of workers) worker.stop();
    // One that is stopped in the midst of a commit holds the store's lock: nobody else can even ask.
    if (await canAsk(scene, askers[0])) {
      return asked.map(({ open, own }) => ({ cases: [...open], own }));
    }
    for (const worker of workers) worker.wake();
    await sleep(chance.below(10));
  }
  return asked.map(({ own }) => ({ cases: [], own }));
}

async function canAsk(scene: Scene, asker: Worker | undefined): Promise<boolean> {
  if (asker === undefined) return false;
  const canary = scene.ask(asker, scene.open("idempotent")).then(() => true);
  return Promise.race([canary, sleep(canaryMs, false, { ref: false })]);
}
