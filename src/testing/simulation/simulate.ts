import { memoryStore, type Store } from "../../index.ts";
import { chanceOf } from "../chance.ts";
import { createAgenda } from "./agenda.ts";
import { createCallee } from "./callee.ts";
import { createDoing, type Doing } from "./doing.ts";
import { type Counts, createFaults } from "./faults.ts";
import { heal } from "./heal.ts";
import { type Act, planOf } from "./plan.ts";
import { createProcess } from "./process.ts";
import { settingOf } from "./setting.ts";
import { createTrace } from "./trace.ts";
import { createWitness } from "./witness.ts";
import { epoch, type World } from "./world.ts";

/** What came of one simulated world. */
export interface Simulated {
  readonly seed: number;
  /** The broken promise, in a sentence that begins with its number; undefined: all held. */
  readonly fault: string | undefined;
  /** The same for the same seed, store and code, always. */
  readonly traceHash: string;
  /** What happened, in order, where it was asked for. */
  readonly trace: readonly string[];
  /** The acts that were done. */
  readonly acts: readonly Act[];
  readonly faults: number;
  readonly counts: Counts;
  /** Effects that were started. */
  readonly starts: number;
  /** Calls that were answered `settled`. */
  readonly settled: number;
}

export interface SimulateOptions {
  readonly seed: number;
  /** An empty store that waits for nothing outside of itself. Default: the one in memory. */
  readonly store?: (clock: () => number) => Store;
  /** Only these acts of the plan, by their ids: a schedule that was cut down. Default: all it takes. */
  readonly keep?: ReadonlySet<number>;
  readonly keepsTrace?: boolean;
}

/** A world goes on until so much has gone wrong, and so much was done. */
const enough = { faults: 20, acts: 30 } as const;

/**
 * Runs the guard in a small world of a few processes, a store, callees and clocks, in which everything
 * that can go wrong does by chance, and asserts the promises after each step. One seed decides
 * everything: the same seed gives the same world.
 *
 * @example
 * const { fault, traceHash } = await simulate({ seed: 17 });
 */
export async function simulate(options: SimulateOptions): Promise<Simulated> {
  const { seed, keep } = options;
  const chance = chanceOf(String(seed));
  const setting = settingOf(chance.fork("setting"));
  const plan = planOf(setting, chance.fork("plan"));
  const agenda = createAgenda();
  const clock = () => epoch + Math.floor(agenda.now());
  const world: World = {
    setting,
    agenda,
    chance,
    faults: createFaults(),
    trace: createTrace(agenda.now, options.keepsTrace ?? false),
    witness: createWitness(setting.cases),
    store: (options.store ?? ((now) => memoryStore({ clock: now })))(clock),
    weather: {
      isFair: false,
      storeDownUntil: 0,
      outageIsFelt: true,
      clockOff: Array.from({ length: setting.processes }, () => 0),
    },
  };
  const callee = createCallee(world);
  const hints = { listeners: new Set<() => void>() };
  const processes = world.weather.clockOff.map((_, index) =>
    createProcess(world, index, callee, hints),
  );
  for (const process of processes) process.start();
  const doing = createDoing(world, callee, processes);

  const acts = await live(world, doing, plan, keep);
  if (world.witness.fault() === undefined) await heal(world, doing, processes);
  await world.store.close();
  return {
    seed,
    fault: world.witness.fault(),
    traceHash: world.trace.hash(),
    trace: world.trace.lines,
    acts,
    faults: world.faults.total(),
    counts: world.faults.counts,
    starts: world.witness.books.reduce((sum, book) => sum + book.attempts.length, 0),
    settled: doing.settled(),
  };
}

/** Does the plan until enough has gone wrong. */
async function live(
  world: World,
  doing: Doing,
  plan: Iterable<Act>,
  keep: ReadonlySet<number> | undefined,
): Promise<readonly Act[]> {
  const { agenda, witness, faults } = world;
  const done: Act[] = [];
  for (const act of plan) {
    const isEnough = done.length >= enough.acts && faults.total() >= enough.faults;
    if (keep === undefined && isEnough) break;
    if (keep?.has(act.id) === false) continue;
    let isDue = false;
    agenda.after(act.at - agenda.now(), () => {
      isDue = true;
      done.push(act);
      doing.do(act);
    });
    await agenda.runUntil(() => isDue || witness.fault() !== undefined);
    if (witness.fault() !== undefined) break;
  }
  return done;
}
