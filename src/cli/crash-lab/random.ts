import { setTimeout as sleep } from "node:timers/promises";
import type { Worker } from "./child.ts";
import { now } from "./clock.ts";
import { classes } from "./message.ts";
import { createRecovery } from "./recovery.ts";
import type { How, Kase, Scene } from "./scene.ts";

/** What came of the random kills, beside the calls themselves. */
export interface RandomKills {
  readonly kills: number;
  /** Calls that were cut off: never answered. */
  readonly cutOff: readonly CutOff[];
}

/** A call whose process was killed. */
export interface CutOff {
  readonly caseId: string;
  readonly began: number;
  readonly died: number;
}

/** Processes under load at the same time. */
const lanes = 3;
const leastInFlight = 4;
const mostInFlight = 8;
/** A worker is killed after so many answers at most, and at a random instant after that. */
const mostAnswers = 12;
const longestRestMs = 40;
const recoveriesPerWorker = 6;
/** Of all kills, those that hit every process under load at the same moment. */
const shareOfAll = 0.1;

/** Kills workers at random times while all of them have several calls in flight. */
export async function killAtRandom(
  scene: Scene,
  count: number,
  onKill: () => void,
): Promise<RandomKills> {
  const recovery = createRecovery(scene);
  const cutOff: CutOff[] = [];
  const alive = new Set<Worker>();
  /** The latest cases of all workers: others ask for them as well. */
  const latest: Kase[] = [];
  let begun = 0;
  let kills = 0;

  /** One call after the other, until the worker is killed in the middle of one. */
  const flight = async (
    worker: Worker,
    number: number,
    place: number,
    onAnswer: () => void,
  ): Promise<void> => {
    const chance = scene.chance("flight", number, place);
    for (;;) {
      const isShared = chance.happens(0.2) && latest.length > 0;
      const kase = isShared ? chance.pick(latest) : scene.open(chance.pick(classes), decisionFor());
      latest.push(kase);
      if (latest.length > mostInFlight * lanes) latest.shift();
      const how: How = { anew: isShared && chance.happens(0.5), effect: effectFor() };
      const began = now();
      const answer = await scene.ask(worker, kase, how);
      if (answer !== undefined) {
        onAnswer();
        continue;
      }
      cutOff.push({ caseId: kase.caseId, began, died: now() });
      recovery.add(kase, "after the lease");
      return;
    }

    function decisionFor() {
      if (!chance.happens(0.1)) return undefined;
      return chance.happens(0.7) ? "go" : "stop";
    }

    function effectFor() {
      const ends = chance.happens(0.1)
        ? "throws"
        : chance.happens(0.05)
          ? "not performed"
          : "returns";
      const happens = chance.happens(0.5) ? "first" : "last";
      return { ends, happens, takesMs: chance.below(25) } as const;
    }
  };

  const lane = async (): Promise<void> => {
    while (begun < count) {
      begun += 1;
      const number = begun;
      const chance = scene.chance("kill", number);
      const worker = await scene.take();
      alive.add(worker);
      const inFlight = leastInFlight + chance.below(mostInFlight - leastInFlight + 1);
      const ripe = Promise.withResolvers<void>();
      let left = chance.below(mostAnswers + 1);
      const onAnswer = () => {
        left -= 1;
        if (left <= 0) ripe.resolve();
      };
      const flights = [
        recovery.some(worker, recoveriesPerWorker),
        ...Array.from({ length: inFlight }, (_, place) => flight(worker, number, place, onAnswer)),
      ];
      if (left > 0) await Promise.race([ripe.promise, worker.dead]);
      await sleep(chance.unit() * longestRestMs, undefined, { signal: scene.signal });
      for (const one of chance.happens(shareOfAll) ? alive : [worker]) one.kill();
      await worker.dead;
      alive.delete(worker);
      kills += 1;
      onKill();
      await Promise.all(flights);
    }
  };

  await Promise.all(Array.from({ length: lanes }, lane));
  await recovery.all();
  return { kills, cutOff };
}
