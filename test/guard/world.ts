import {
  createGuard,
  type EffectContext,
  type Guard,
  type GuardOptions,
  isGuardError,
  type Store,
} from "../../src/index.ts";
import { memoryStore } from "../../src/stores/memory.ts";
import { countingIds, manualClock } from "../../src/testing/manual.ts";

/** What a guard reported: the hook's name, then what it was told. */
export type Report = readonly [name: string, ...details: readonly unknown[]];

type Options = GuardOptions & { readonly store?: Store };

export interface World {
  readonly guard: Guard;
  readonly store: ReturnType<typeof memoryStore>;
  /** All reports but `committed`, in order. */
  readonly reports: Report[];
  readonly now: () => number;
  /** Turns the clock on by hand; nothing else does. */
  readonly turn: (ms: number) => void;
  /** Another guard on the same store, as another process would be. */
  readonly another: (options?: Options) => Guard;
  /** How often a hook was called. */
  readonly reported: (name: string) => number;
}

/** A guard on a store that lives in memory, under a clock that stands still until it is turned. */
export function world(options: GuardOptions = {}): World {
  const clock = manualClock();
  const ids = countingIds();
  const store = memoryStore({ clock: clock.now });
  const reports: Report[] = [];
  const tell =
    (name: string) =>
    (...details: readonly unknown[]) =>
      void reports.push([name, ...details]);
  const hooks = {
    replayed: tell("replayed"),
    conflict: tell("conflict"),
    leaseLost: tell("leaseLost"),
    unrecorded: tell("unrecorded"),
    duplicateEffect: tell("duplicateEffect"),
    contradicted: tell("contradicted"),
    failed: tell("failed"),
  };
  const another = (more: Options = {}): Guard =>
    createGuard({
      store,
      actor: "agent",
      waitMs: 5_000,
      hooks,
      ids,
      ...options,
      ...more,
    });
  return {
    guard: another(),
    store,
    reports,
    now: clock.now,
    turn: clock.advance,
    another,
    reported: (name) => reports.filter(([one]) => one === name).length,
  };
}

/** An effect that ends when it is told to, and says when it was started. */
export function gated<T = string>() {
  const starts: Start[] = [];
  const started = Promise.withResolvers<void>();
  const end = Promise.withResolvers<T>();
  return {
    starts,
    started: started.promise,
    finish: (value: T) => end.resolve(value),
    fail: (error: unknown) => end.reject(error),
    run: (payload: unknown, ctx: EffectContext) => {
      starts.push({ payload, ctx });
      started.resolve();
      return end.promise;
    },
  };
}

export interface Start {
  readonly payload: unknown;
  readonly ctx: EffectContext;
}

/** An effect that counts how often it was started. */
export function counted<T>(effect: (start: number) => T) {
  const starts: Start[] = [];
  return {
    starts,
    run: (payload: unknown, ctx: EffectContext): T => {
      starts.push({ payload, ctx });
      return effect(starts.length);
    },
  };
}

export const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms);
  });

/** Looks again until it is so. A hang is the failure, slowness is not. */
export async function until(is: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await is())) await pause(2);
}

/** The guard's error that a call ends with; any other end fails the test. */
export async function errorOf(call: Promise<unknown> | (() => unknown)) {
  try {
    await (typeof call === "function" ? call() : call);
  } catch (error) {
    if (isGuardError(error)) return error;
    throw new Error(`not the guard's error: ${String(error)}`, { cause: error });
  }
  throw new Error("it did not throw");
}
