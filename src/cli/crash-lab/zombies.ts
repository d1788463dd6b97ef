import { setTimeout as sleep } from "node:timers/promises";
import type { Worker } from "./child.ts";
import { classes } from "./message.ts";
import type { Kase, Scene } from "./scene.ts";
import { type StopPlan, stopAtPoint, stopAtRandom } from "./stop.ts";

/** What came of the stops, beside the calls themselves. */
export interface Zombies {
  /** Workers stopped until their lease was over and others had been told so. */
  readonly zombies: number;
  /** Their cases of which others were told something meanwhile. */
  readonly caseIds: readonly string[];
  /** Points at which nobody was stopped although it was planned. */
  readonly missed: readonly string[];
}

const stopPoints: readonly StopPlan["point"][] = [
  "after the claim is written",
  "in the effect, before it happens",
  "in the effect, after it happened",
  "before the settle is written",
  "at random",
];

const workersAtOnce = 12;
/** In leases: nobody is left stopped for longer, even where others could not even ask. */
const longestStop = 8;
const triesPerStop = 20;

/** Every point with every class, then again. */
export function stopPlan(count: number): readonly StopPlan[] {
  return Array.from({ length: count }, (_, index) => {
    const turn = Math.floor(index / stopPoints.length);
    return {
      class: classes[(index + turn) % classes.length] ?? "opaque",
      point: stopPoints[index % stopPoints.length] ?? "at random",
    };
  });
}

/** Stops workers past their leases, while others ask for the same cases; then wakes them. */
export async function stopPastLeases(
  scene: Scene,
  plan: readonly StopPlan[],
  onZombie: () => void,
): Promise<Zombies> {
  const caseIds: string[] = [];
  const stopped = new Set<string>();
  const askers = [await scene.take(), await scene.take()];
  let workers: readonly Worker[] = [];
  let rest = plan.map((one) => ({ one, tries: 0 }));
  let rounds = 0;
  let zombies = 0;

  /** Stops so many at once, until others have been told what became of their cases; answers which it has shown. */
  const round = async (part: readonly StopPlan[]): Promise<readonly StopPlan[]> => {
    rounds += 1;
    while (workers.length < part.length) workers = [...workers, await scene.take()];
    const crew = workers.slice(0, part.length);
    const all =
      part[0]?.point === "at random"
        ? await stopAtRandom(scene, crew, askers, rounds)
        : await stopAtPoint(scene, crew, part);
    const cases = all.flatMap((one) => one.cases);
    /** Cases of which others were told something: their lease was over. */
    const told = new Set<Kase>();
    const meanwhile = everybody(scene, askers, cases, rounds, (kase) => told.add(kase));
    await Promise.race([meanwhile, sleep(scene.leaseMs * longestStop, undefined, { ref: false })]);
    const over = new Set(told);
    for (const worker of crew) worker.wake();
    await meanwhile;
    await Promise.all(all.flatMap((one) => one.own));
    await everybody(scene, askers, cases, -rounds, () => undefined);
    return part.filter((one, index) => {
      const left = all[index]?.cases.filter((kase) => over.has(kase)) ?? [];
      if (left.length === 0) return false;
      caseIds.push(...left.map(({ caseId }) => caseId));
      stopped.add(one.point);
      zombies += 1;
      onZombie();
      return true;
    });
  };

  while (rest.length > 0) {
    scene.signal.throwIfAborted();
    const isRandom = rest[0]?.one.point === "at random";
    const part = rest
      .filter(({ one }) => (one.point === "at random") === isRandom)
      .slice(0, workersAtOnce);
    const shown = new Set(await round(part.map(({ one }) => one)));
    const failed = part.filter(({ one, tries }) => !shown.has(one) && tries < triesPerStop);
    rest = [
      ...rest.filter((task) => !part.includes(task)),
      ...failed.map(({ one, tries }) => ({ one, tries: tries + 1 })),
    ];
  }
  for (const worker of [...workers, ...askers]) worker.kill();
  const planned = new Set<string>(plan.map(({ point }) => point));
  return { zombies, caseIds, missed: [...planned].filter((point) => !stopped.has(point)) };
}

/** All askers ask for all cases at once, under the request's own name or a new one; one of them sweeps. */
async function everybody(
  scene: Scene,
  askers: readonly Worker[],
  cases: readonly Kase[],
  round: number,
  onTold: (kase: Kase) => void,
): Promise<void> {
  const chance = scene.chance("askers", round);
  const asked = cases.flatMap((kase) =>
    askers.map(async (asker) => {
      const answer = await scene.ask(asker, kase, { anew: chance.happens(0.5) });
      if (answer !== undefined && answer.status !== "in_progress") onTold(kase);
    }),
  );
  await Promise.all([askers[0]?.send({ do: "sweep" }), ...asked]);
}
