import { type Case, type Entry, GuardError, type Step, type Store } from "../../index.ts";
import type { FaultKind } from "./faults.ts";
import type { Life } from "./life.ts";
import { epoch, strikes, type World } from "./world.ts";

/** Hints of change, to whoever listens in any process. */
export interface Hints {
  readonly listeners: Set<() => void>;
}

/**
 * One process's way to the store: every call takes its time there and back, and may be refused, lost
 * on either way, or made twice. What has left a process arrives, whatever becomes of the process.
 */
export function connectionOf(world: World, life: Life, process: number, hints: Hints): Store {
  const { agenda, setting, weather, store, witness, trace, faults } = world;
  const chance = world.chance.fork(`store ${life.name}`);
  const { rates } = setting;

  /** Counts a fault where it strikes. */
  const hit = (kind: FaultKind, rate: number): boolean => {
    const does = strikes(world, rate, chance);
    if (does) faults.fired(kind);
    return does;
  };

  const travelMs = (): number =>
    hit("store: an answer is slow", rates.slow / 2)
      ? chance.between(300, 4_000)
      : chance.between(0, 4);

  /** What gets no answer is given up on sooner or later. */
  const untilGivenUpMs = (): number => (chance.happens(0.5) ? chance.between(300, 3_000) : 0);

  /** There, `work`, and back. */
  const visit = <T>(what: string, fails: FaultKind | null, rate: number, work: () => Promise<T>) =>
    new Promise<T>((resolve, reject) => {
      const back = (call: () => void) => agenda.after(travelMs(), () => life.deliver(call));
      const refuse = (why: string) => {
        trace.note(`${life.name} ${what}: ${why}`);
        witness.troubled(life.name);
        back(() => reject(unavailable(why)));
      };
      agenda.after(travelMs(), () => {
        if (agenda.now() < weather.storeDownUntil && !weather.isFair) {
          if (!weather.outageIsFelt) faults.fired("store: down");
          weather.outageIsFelt = true;
          refuse("the store is down");
        } else if (fails !== null && hit(fails, rate)) {
          refuse("it failed");
        } else {
          work().then(
            (answer) => back(() => resolve(answer)),
            (error) => back(() => reject(error)),
          );
        }
      });
    });

  const read = <T>(what: string, work: () => Promise<T>): Promise<T> =>
    visit(what, "store: a read fails", rates.readFails, work);

  const land = async (steps: readonly Step[]): Promise<boolean> => {
    const landed = await store.commit(steps);
    for (const { next, entry, bind } of steps) {
      const event = entry === null ? null : (JSON.parse(entry) as Entry).event;
      trace.note(
        `${life.name} ${event?.type ?? "renew"} ${next.caseId} v${next.version} ${next.state}: ${landed}`,
      );
      if (landed) witness.landed(next, event, bind);
    }
    if (landed) hintAll();
    return landed;
  };

  const hintAll = () => {
    for (const listener of hints.listeners) {
      if (hit("store: a hint is lost", rates.hintLost)) continue;
      agenda.after(chance.between(0, 6), listener);
    }
  };

  const commit = (steps: readonly Step[]): Promise<boolean> =>
    visit("commit", "store: a commit fails before it is written", rates.commitFails, async () => {
      const landed = await land(steps);
      if (landed && hit("store: a commit arrives twice", rates.arrivesTwice)) {
        agenda.after(chance.between(1, 50), () => {
          void land(steps).then((again) => {
            if (again) witness.blame("P4: a commit that arrived twice landed twice");
          });
        });
      }
      if (landed && hit("store: a commit's acknowledgement is lost", rates.ackLost)) {
        await new Promise<void>((resolve) => agenda.after(untilGivenUpMs(), resolve));
        witness.troubled(life.name);
        throw unavailable("the acknowledgement was lost");
      }
      return landed;
    });

  const clock = (): number => {
    if (hit("clock: gives no time", rates.noTime)) throw unavailable("the clock gives no time");
    const off = weather.clockOff[weather.isFair ? 0 : process] ?? 0;
    return epoch + Math.floor(agenda.now()) + off;
  };

  return {
    now: setting.clockIsRemote ? () => visit("now", null, 0, async () => clock()) : clock,
    read: (ids) => read("read", () => store.read(ids)),
    commit,
    list: (query) => read("list", () => store.list(query)),
    history: (namespace, caseId) => read("history", () => store.history(namespace, caseId)),
    journal: (query) => read("journal", () => store.journal(query)),
    end: (namespace) => read("end", () => store.end(namespace)),
    prune: (query) =>
      visit("prune", "store: a commit fails before it is written", rates.commitFails, async () => {
        const count = await store.prune(query);
        for (const kase of await retired(store, query.namespace)) witness.retired(kase);
        return count;
      }),
    subscribe(listener) {
      const heard = () => life.deliver(listener);
      hints.listeners.add(heard);
      return () => void hints.listeners.delete(heard);
    },
    async close() {},
  };
}

async function retired(store: Store, namespace: string): Promise<readonly Case[]> {
  return (await store.list({ namespace, states: ["RETIRED"] })).items;
}

function unavailable(why: string): GuardError {
  return new GuardError("store_unavailable", `Simulated: ${why}.`);
}
