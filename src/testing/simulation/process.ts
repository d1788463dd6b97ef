import { createGuard, type Guard, type GuardedFunction } from "../../index.ts";
import type { Callee, Done, Wish } from "./callee.ts";
import { connectionOf, type Hints } from "./faulty-store.ts";
import { createLife, type Life } from "./life.ts";
import { type ActionName, proposer, spans } from "./setting.ts";
import type { World } from "./world.ts";

/** A process that uses the guard: it lives, is killed or closed, and lives again. */
export interface Process {
  /** What runs in it right now; undefined while it is down. */
  running(): Running | undefined;
  start(): void;
  kill(): void;
  close(): void;
  stop(ms: number): void;
}

export interface Running {
  readonly life: Life;
  readonly guard: Guard;
  readonly wrapped: ReadonlyMap<ActionName, GuardedFunction<Wish, Done>>;
}

const actionNames = ["opaque", "keyed", "keyed and probed", "probeable", "idempotent"] as const;

export function createProcess(world: World, index: number, callee: Callee, hints: Hints): Process {
  const { trace, faults } = world;
  let lives = 0;
  let running: Running | undefined;

  function start(): void {
    lives += 1;
    const life = createLife(`p${index}.${lives}`, world.agenda);
    const chance = world.chance.fork(`life ${life.name}`);
    let ids = 0;
    const guard = createGuard({
      store: connectionOf(world, life, index, hints),
      leaseMs: spans.lease,
      actor: proposer,
      ids: () => {
        ids += 1;
        return `${life.name}-${ids}`;
      },
      platform: {
        monotonicMs: world.agenda.now,
        jitter: chance.unit,
        after: (ms, _background, call) => life.after(ms, call),
        warn: (error) => world.witness.blame(`P10: a hook failed: ${String(error)}`),
      },
    });
    const wrapped = new Map(
      actionNames.map((action) => [action, guard.wrap(action, callee.rules(action, life))]),
    );
    running = { life, guard, wrapped };
    trace.note(`${life.name} starts`);
  }

  return {
    running: () => running,
    start,
    kill() {
      if (running === undefined) return;
      faults.fired("process: killed");
      trace.note(`${running.life.name} is killed`);
      running.life.end();
      running = undefined;
    },
    close() {
      if (running === undefined) return;
      const { guard, life } = running;
      faults.fired("process: closed and started again");
      trace.note(`${life.name} closes`);
      running = undefined;
      // What it still has to write, it writes; then it is gone.
      void guard.close().then(
        () => {
          world.witness.blame(unfinished(world, life.name));
          life.end();
        },
        (error: unknown) => world.witness.refused("closing", error, []),
      );
    },
    stop(ms) {
      if (running === undefined) return;
      if (ms >= spans.lease) faults.fired("process: stopped past its lease");
      trace.note(`${running.life.name} is stopped for ${ms}`);
      running.life.stop(ms);
    },
  };
}

/** A guard that is closed has waited for what it runs, but for what took longer than it may. */
function unfinished({ witness, agenda }: World, life: string): string | undefined {
  const since = agenda.now() - spans.timeout;
  const left = witness.books
    .flatMap(({ attempts }) => attempts)
    .find((one) => one.life === life && one.told === "nothing" && one.startedAt > since);
  return left === undefined ? undefined : `P8: ${life} was closed while ${left.name} ran`;
}
