import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import {
  createGuard,
  type Entry,
  type Guard,
  GuardError,
  type Hooks,
  type Run,
  type Store,
} from "../../src/index.ts";
import { memoryStore } from "../../src/stores/memory.ts";
import { counted, errorOf, gated, until, world } from "./world.ts";

const call = (run: Run<unknown, unknown>, requestId = "r1") => ({
  requestId,
  action: "pay",
  payload: { cents: 500 },
  run,
});

const explode = () => {
  throw new Error("reset");
};

const full = () => new GuardError("store_unavailable", "The disk is full.");

/** A store that can't write a settlement. */
const unwritable = (store: Store): Store => ({
  ...store,
  commit: async (steps) => {
    if (steps[0]?.next.state === "SETTLED") throw full();
    return store.commit(steps);
  },
});

/** One way to make each hook be called, on a guard that has it. */
const occasions: {
  readonly [Name in keyof Hooks]-?: (made: {
    readonly store: Store;
    readonly turn: (ms: number) => void;
    readonly guard: (store?: Store) => Guard;
    readonly other: () => Guard;
  }) => Promise<unknown>;
} = {
  committed: ({ guard }) => guard().execute(call(() => 1)),
  async replayed({ guard }) {
    const one = guard();
    await one.execute(call(() => 1));
    return one.execute(call(() => 2));
  },
  async conflict({ guard, other }) {
    await other().execute(call(() => 1));
    await errorOf(guard().execute({ ...call(() => 1), payload: "other" }));
    return "conflict";
  },
  async leaseLost({ guard, turn, other }) {
    const effect = gated();
    const running = guard().execute(call(effect.run));
    await effect.started;
    const { signal } = effect.starts[0]!.ctx;
    turn(60);
    await other().reconcile();
    await until(() => signal.aborted);
    effect.finish("done");
    return running;
  },
  unrecorded: ({ guard, store }) => guard(unwritable(store)).execute(call(() => 1)),
  async duplicateEffect({ guard, turn, other }) {
    const effect = gated();
    const running = guard().execute(call(effect.run));
    await effect.started;
    turn(60);
    const another = other();
    await another.reconcile();
    await another.resolve("r1", { happened: false }, { by: "ana", evidence: "not seen" });
    await another.execute(call(() => "second"));
    effect.finish("first");
    return running;
  },
  async contradicted({ guard, turn, other }) {
    const effect = gated();
    const running = guard().execute(call(effect.run));
    await effect.started;
    turn(60);
    const another = other();
    await another.reconcile();
    await another.resolve("r1", { happened: false }, { by: "ana", evidence: "not seen" });
    await another.case("r1").withdraw({ by: "ana", reason: "not wanted any more" });
    effect.finish("paid");
    return running;
  },
  async failed({ guard }) {
    const probe = () => {
      throw new Error("the provider is down");
    };
    const one = guard();
    const probed = { ...call(explode), probe, settlingMs: 0, waitMs: 0 };
    await one.execute(probed);
    return one.execute(probed);
  },
};

const names = Object.keys(occasions) as readonly (keyof Hooks)[];

const made = () => {
  let at = 1_000;
  const store = memoryStore({ clock: () => at });
  const turn = (ms: number) => {
    at += ms;
  };
  let count = 0;
  const ids = () => `id-${++count}`;
  const options = { leaseMs: 60, actor: "agent", ids };
  return { store, turn, options, other: () => createGuard({ ...options, store, actor: "other" }) };
};

const shape = (told: readonly unknown[]) =>
  told.map((one) => (one instanceof Error ? one.message : one));

describe("each hook is called, with what it is about", () => {
  const about: { readonly [Name in keyof Hooks]-?: unknown } = {
    committed: [expect.objectContaining({ caseId: "r1", sequence: 1, state: "EXECUTING" })],
    replayed: [expect.objectContaining({ caseId: "r1", state: "SETTLED", action: "pay" })],
    conflict: [expect.objectContaining({ caseId: "r1" }), "r1"],
    leaseLost: [expect.objectContaining({ caseId: "r1", state: "IN_DOUBT", action: "pay" })],
    unrecorded: [expect.objectContaining({ caseId: "r1" }), expect.anything()],
    duplicateEffect: [expect.objectContaining({ caseId: "r1", state: "SETTLED" }), 1],
    contradicted: [expect.objectContaining({ caseId: "r1", state: "VOID" }), 1],
    failed: ["probe", "the provider is down"],
  };

  test.each(names)("%s", async (name) => {
    const { options, store, ...rest } = made();
    const told: unknown[][] = [];
    const hooks = { [name]: (...details: unknown[]) => void told.push(details) };
    const guard = (other: Store = store) => createGuard({ ...options, store: other, hooks });
    await occasions[name]({ ...rest, store, guard });
    expect(told.length).toBeGreaterThan(0);
    expect(shape(told[0] ?? [])).toEqual(about[name]);
    expect(JSON.stringify(name === "committed" ? [] : told)).not.toContain("500");
  });
});

describe("a hook that throws changes nothing, and becomes a warning", () => {
  const warnings: unknown[] = [];
  beforeEach(() => {
    warnings.length = 0;
    vi.spyOn(process, "emitWarning").mockImplementation((warning) => void warnings.push(warning));
  });
  afterEach(() => {
    vi.restoreAllMocks();
  });

  const answerOf = async (name: keyof Hooks, hooks: Hooks) => {
    const { options, store, ...rest } = made();
    const guard = (other: Store = store) => createGuard({ ...options, store: other, hooks });
    const answer = await occasions[name]({ ...rest, store, guard });
    return JSON.stringify(answer);
  };

  test.each(names)("%s", async (name) => {
    const quiet = await answerOf(name, {});
    expect(warnings).toEqual([]);
    const broken = () => {
      throw new Error(`broken ${name}`);
    };
    expect(await answerOf(name, { [name]: broken })).toBe(quiet);
    expect(shape(warnings)).toContain(`broken ${name}`);
  });

  test("what is thrown needn't be an error", async () => {
    await answerOf("committed", {
      committed: () => {
        throw "just a word";
      },
    });
    expect(warnings).toEqual(["just a word", "just a word"]);
  });
});

test("committed hears every entry that this guard wrote, in order, and no other's", async () => {
  const heard: Entry[] = [];
  const { another } = world();
  const guard = another({ hooks: { committed: (entry) => void heard.push(entry) } });
  const effect = counted(() => 1);
  await another().execute(call(effect.run, "other"));
  await guard.execute(call(effect.run));
  expect(heard).toEqual((await guard.history("r1")).map(({ entry }) => entry));
  expect(heard.map(({ event }) => event.type)).toEqual(["claim", "settle"]);
});

test("a hook is called on its own object", async () => {
  class Meter {
    count = 0;
    committed() {
      this.count += 1;
    }
  }
  const meter = new Meter();
  await createGuard({ store: "memory:", hooks: meter }).execute(call(() => 1));
  expect(meter.count).toBe(2);
});
