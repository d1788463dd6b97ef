import { setTimeout as sleep } from "node:timers/promises";
import type { HistoryAnswer } from "../../testing/history.ts";
import type { Worker } from "./child.ts";
import { now } from "./clock.ts";
import type { Item } from "./plan.ts";
import type { Point } from "./point.ts";
import { createRecovery } from "./recovery.ts";
import type { Kase, Scene } from "./scene.ts";

/** What came of the named kills, beside the calls themselves. */
export interface NamedKills {
  readonly kills: number;
  /** The cases whose worker was killed at the point that was meant. */
  readonly caseIds: readonly string[];
  /** How often each point was reached. */
  readonly fired: ReadonlyMap<Point, number>;
  /** Points that were planned and never reached. */
  readonly missed: readonly Point[];
}

/** Workers on their way at the same time: most of a worker's life is to load and to wait. */
const lanes = 3;
const triesPerItem = 20;
/** Cases of earlier workers that each new one asks for before it is killed itself. */
const recoveriesPerWorker = 3;

/** An item that is to be done. */
interface Task {
  readonly item: Item;
  /** What its first worker left behind; null: nobody was killed for it yet. */
  readonly left: Kase | null;
  readonly dueAt: number;
  readonly tries: number;
}

/** Kills a worker at a named point, again and again; each next one asks for what the earlier ones left. */
export async function killAtPoints(
  scene: Scene,
  plan: readonly Item[],
  onKill: () => void,
): Promise<NamedKills> {
  const recovery = createRecovery(scene);
  const fired = new Map<Point, number>();
  let tasks: readonly Task[] = plan.map((item) => ({ item, left: null, dueAt: 0, tries: 0 }));
  const caseIds: string[] = [];
  let kills = 0;
  let busy = 0;

  const next = (): Task | undefined => {
    const at = now();
    const one = tasks.find(({ dueAt }) => dueAt <= at);
    tasks = tasks.filter((task) => task !== one);
    return one;
  };

  /** Whether the point killed it. Else, on a busy machine, a claim was given back before its effect, say. */
  const isKilled = async (
    worker: Worker,
    point: Point,
    answer: Promise<HistoryAnswer | undefined>,
  ): Promise<boolean> => {
    if ((await answer) !== undefined) return false;
    await worker.dead;
    kills += 1;
    fired.set(point, (fired.get(point) ?? 0) + 1);
    onKill();
    return true;
  };

  /** Kills the first worker of an item that needs two. */
  const leave = async (worker: Worker, task: Task, setup: Point): Promise<void> => {
    const kase = scene.open(task.item.class);
    const onTheWayMs = setup === "in the effect, its request on the way" ? 20 : 0;
    const ask = scene.ask(worker, kase, { effect: { onTheWayMs } }, trapAt(kase, setup));
    const isLeft = await isKilled(worker, setup, ask);
    if (!isLeft) return again(task);
    // A little before the lease is over: what is done about it then is what is killed next.
    tasks = [{ ...task, left: kase, dueAt: now() + scene.leaseMs * 0.6 }, ...tasks];
  };

  const finish = async (worker: Worker, task: Task): Promise<void> => {
    const { item } = task;
    const kase = task.left ?? scene.open(item.class, item.decision);
    if (item.before === "ask") await scene.ask(worker, kase);
    const trap = trapAt(kase, item.point);
    const how = { effect: item.effect, anew: item.kills === "another ask" };
    const call =
      item.kills === "resolve"
        ? scene.resolve(worker, kase, trap)
        : scene.ask(worker, kase, how, trap);
    const isDone = await isKilled(worker, item.point, call);
    recovery.add(kase, "after the lease");
    if (isDone) caseIds.push(kase.caseId);
    else again(task);
  };

  const again = (task: Task) => {
    if (task.tries < triesPerItem)
      tasks = [{ ...task, left: null, tries: task.tries + 1 }, ...tasks];
  };

  const lane = async (): Promise<void> => {
    while (busy > 0 || tasks.length > 0) {
      const task = next();
      if (task === undefined) {
        await sleep(10, undefined, { signal: scene.signal });
        continue;
      }
      busy += 1;
      const worker = await scene.take();
      await recovery.some(worker, recoveriesPerWorker);
      const { setup } = task.item;
      if (setup !== null && task.left === null) await leave(worker, task, setup);
      else await finish(worker, task);
      worker.kill();
      busy -= 1;
    }
  };

  await Promise.all(Array.from({ length: lanes }, lane));
  await recovery.all();
  const planned = new Set(plan.map(({ point }) => point));
  return { kills, caseIds, fired, missed: [...planned].filter((point) => !fired.has(point)) };
}

function trapAt({ caseId }: Kase, point: Point) {
  return { caseId, point, how: "kill" } as const;
}
