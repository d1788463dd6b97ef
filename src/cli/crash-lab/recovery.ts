import { setTimeout as sleep } from "node:timers/promises";
import type { Worker } from "./child.ts";
import { now } from "./clock.ts";
import type { Kase, Scene } from "./scene.ts";

/** Cases whose worker was killed, and that others have to ask for again. */
export interface Recovery {
  /** This case is to be asked for again: about when its lease ends, where its worker was killed. */
  add(kase: Kase, when: "after the lease" | "now"): void;
  /** Has a worker that knows nothing of them ask for some that are due. */
  some(worker: Worker, most: number): Promise<void>;
  /** Until there are none left, each by a fresh process. */
  all(): Promise<void>;
  /** How many were asked for again. */
  count(): number;
}

interface Waiting {
  readonly kase: Kase;
  readonly dueAt: number;
  readonly number: number;
}

const atOnce = 16;

export function createRecovery(scene: Scene): Recovery {
  let waiting: readonly Waiting[] = [];
  let added = 0;
  let done = 0;

  const due = (most: number): readonly Waiting[] => {
    const at = now();
    const some = waiting.filter(({ dueAt }) => dueAt <= at).slice(0, most);
    waiting = waiting.filter((one) => !some.includes(one));
    return some;
  };

  /** As an agent does: the same request once more, and a model's own, which has a new name. */
  const again = async (worker: Worker, one: Waiting): Promise<void> => {
    const { kase, number } = one;
    const chance = scene.chance("recovery", number);
    const sweeps = chance.happens(0.2);
    const anew = { anew: true } as const;
    if (sweeps && chance.happens(0.5)) await worker.send({ do: "sweep" });
    const inOrder = chance.happens(0.5);
    const first = scene.ask(worker, kase, inOrder ? {} : anew);
    // One after the other, or both at the same moment.
    if (chance.happens(0.5)) await first;
    await Promise.all([first, scene.ask(worker, kase, inOrder ? anew : {})]);
    if (chance.happens(0.1)) await scene.ask(worker, kase, { ...anew, otherPayload: true });
    if (sweeps) await worker.send({ do: "sweep" });
    await scene.readReceipts(worker, [kase]);
    if (worker.isDead()) waiting = [...waiting, one];
    else done += 1;
  };

  const recovery: Recovery = {
    add(kase, when) {
      added += 1;
      // Mostly when the lease is over; sometimes while it still runs, and they have to wait.
      const late = scene.chance("due", added).happens(0.25) ? 0.3 : 1.1;
      const share = when === "now" ? 0 : late;
      waiting = [...waiting, { kase, dueAt: now() + scene.leaseMs * share, number: added }];
    },
    async some(worker, most) {
      await Promise.all(due(most).map((one) => again(worker, one)));
    },
    async all() {
      while (waiting.length > 0) {
        const worker = await scene.take();
        await recovery.some(worker, atOnce);
        worker.kill();
        if (waiting.length > 0) await sleep(20, undefined, { signal: scene.signal });
      }
    },
    count: () => done,
  };
  return recovery;
}
