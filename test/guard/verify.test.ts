import { describe, expect, test } from "vitest";
import type { CaseId } from "../../src/core/identity.ts";
import type { JournalEntry, ListQuery } from "../../src/core/store.ts";
import {
  approval,
  type Case,
  type Fault,
  GuardError,
  manual,
  NotPerformed,
  type Store,
  threshold,
} from "../../src/index.ts";
import { errorOf, gated, pause, type World, world } from "./world.ts";

const call = (requestId: string, caseId = requestId) => ({
  requestId,
  caseId,
  action: "pay",
  payload: { cents: 500 },
  run: (): unknown => ({ paid: requestId }),
});
const lost = (): unknown => Promise.reject(new Error("socket hang up"));

/** A world in which most has happened: finished, asked again, in doubt, waiting, voted on, pruned. */
async function livedIn(): Promise<World> {
  const made = world();
  const { guard, another, turn, now } = made;
  await guard.execute(call("r-old", "old"));
  await another().execute(call("r-old-2", "old"));
  const never = () => Promise.reject(new NotPerformed("no", { final: true }));
  await guard.execute({ ...call("void"), run: never });
  turn(1_000);
  await guard.prune({ before: new Date(now()) });
  await guard.execute(call("a"));
  await guard.execute(call("r-b", "b"));
  await another().execute(call("r-b-2", "b"));
  await guard.execute({ ...call("doubt"), run: lost });
  await guard.execute({ ...call("keyed"), effect: "keyed", run: lost });
  const later = () => Promise.reject(new NotPerformed("later"));
  await guard.execute({ ...call("back"), run: later });
  await guard.execute({ ...call("waits"), policy: approval({ expiresIn: 60_000 }) });
  const vote = guard.case("vote", { policy: threshold({ share: 0.8, quorum: 2 }) });
  await vote.signal({ source: "x", outcome: "YES" });
  await guard.case("manual", { policy: manual() }).get();
  return made;
}

const sound = { ok: true, cases: 10, entries: 15, faults: [], faultCount: 0 };

describe("a sound store", () => {
  test("has no fault, and is counted", async () => {
    expect(await (await livedIn()).guard.verify()).toEqual(sound);
  });

  test("that is empty has none", async () => {
    expect(await world().guard.verify()).toEqual({ ...sound, cases: 0, entries: 0 });
  });

  test("is checked by namespace", async () => {
    const { guard, another } = await livedIn();
    const other = another({ namespace: "other" });
    await other.execute(call("a"));
    expect(await other.verify()).toEqual({ ...sound, cases: 1, entries: 2 });
    expect(await guard.verify()).toEqual(sound);
  });

  test("of more than one page", async () => {
    const { guard } = world();
    for (let index = 0; index < 230; index += 1) await guard.execute(call(`r-${index}`));
    expect(await guard.verify()).toEqual({ ...sound, cases: 230, entries: 460 });
  });

  test("has none while others write, wait and prune", async () => {
    const { store, another, turn, now } = world();
    const guard = another({ store: slowed(store) });
    let writing = true;
    const writers = Array.from({ length: 4 }, async (_, writer) => {
      for (let index = 0; index < 30; index += 1) {
        await another()
          .execute(call(`r-${writer}-${index}`, `case-${index % 20}`))
          .catch(retired);
        await another().execute({ ...call(`d-${writer}-${index}`), run: lost });
        if (index % 10 === 9) await another().prune({ before: new Date(now()) });
        turn(1);
        await pause(0);
      }
    });
    const done = Promise.all(writers).finally(() => {
      writing = false;
    });
    const faults: Fault[] = [];
    for (let checks = 0; writing || checks < 3; checks += 1) {
      faults.push(...(await guard.verify()).faults);
    }
    await done;
    expect(faults).toEqual([]);
  });
});

function retired(error: unknown): void {
  if (!(error instanceof GuardError) || error.code !== "retired") throw error;
}

/** The same store, which gives others a turn at each call. */
function slowed(store: Store): Store {
  const slow = <A extends readonly unknown[], R>(method: (...args: A) => Promise<R>) => {
    return async (...args: A): Promise<R> => {
      const answer = await method(...args);
      await pause(0);
      return answer;
    };
  };
  const { read, list, history, journal } = store;
  return {
    ...store,
    read: slow(read),
    list: slow(list),
    history: slow(history),
    journal: slow(journal),
  };
}

/** What is wrong with a store, and what the check must say of it, in order. */
type Flaw = (store: Store) => Partial<Store>;

const entries = (
  change: (all: readonly JournalEntry[], caseId: string) => readonly JournalEntry[],
) =>
  ((store) => ({
    history: async (namespace, caseId) => change(await store.history(namespace, caseId), caseId),
  })) satisfies Flaw;

const ofCase = (
  id: string,
  change: (all: readonly JournalEntry[]) => readonly JournalEntry[],
): Flaw => entries((all, caseId) => (caseId === id ? change(all) : all));

/** One entry's text, changed in all places that show it. */
const textOf = (id: string, index: number, change: (text: string) => string): Flaw => {
  return (store) => {
    const damaged = async (): Promise<string | undefined> =>
      (await store.history("default", id as CaseId))[index]?.text;
    const changed = async (all: readonly JournalEntry[]) => {
      const text = await damaged();
      return all.map((entry) => (entry.text === text ? { ...entry, text: change(text) } : entry));
    };
    return {
      history: async (...ids) => changed(await store.history(...ids)),
      journal: async (query) => changed(await store.journal(query)),
    };
  };
};

const record = (id: string, change: (kase: Case) => object): Flaw => {
  const changed = <K extends Case>(kase: K): K =>
    kase.caseId === id ? { ...kase, ...change(kase) } : kase;
  return (store) => ({
    read: async (ids) => {
      const reading = await store.read(ids);
      const { stored } = reading;
      return stored === null
        ? reading
        : { ...reading, stored: { ...stored, case: changed(stored.case) } };
    },
    list: async (query) => {
      const page = await store.list(query);
      return { ...page, items: page.items.map(changed) };
    },
  });
};

const head = (id: string): Flaw => {
  return (store) => ({
    read: async (ids) => {
      const reading = await store.read(ids);
      return reading.stored?.case.caseId === id
        ? { ...reading, stored: { ...reading.stored, head: "0".repeat(64) } }
        : reading;
    },
  });
};

const reading = (isWrong: (ids: Parameters<Store["read"]>[0]) => boolean, answer: object): Flaw => {
  return (store) => ({
    read: async (ids) => {
      const right = await store.read(ids);
      return isWrong(ids) ? { ...right, ...answer } : right;
    },
  });
};

const listing = (change: (cases: readonly Case[], query: ListQuery) => readonly Case[]): Flaw => {
  return (store) => ({
    list: async (query) => {
      const page = await store.list(query);
      return { ...page, items: change(page.items, query) };
    },
  });
};

const feed = (change: (all: readonly JournalEntry[]) => readonly JournalEntry[]): Flaw => {
  return (store) => ({ journal: async (query) => change(await store.journal(query)) });
};

const corrupt = () => new GuardError("store_corrupt", "A page is damaged.");
const stranger = (kase: Case): Case => ({ ...kase, caseId: "nobody" as CaseId });
const unfinished = (query: ListQuery) => query.states !== undefined;
const due = (query: ListQuery) => query.dueBy !== undefined;
const byId = (id: string) => (ids: Parameters<Store["read"]>[0]) => ids.caseId === id;
const byRequest = (id: string) => (ids: Parameters<Store["read"]>[0]) =>
  ids.caseId === null && ids.requestId === id;

const flaws: readonly (readonly [name: string, flaw: Flaw, says: readonly string[]])[] = [
  [
    "an entry's text is changed",
    textOf("b", 1, (text) => text.replace('"paid":"r-b"', '"paid":"r-x"')),
    ["Entry 2 of case b (position 9) was changed: the next one was written after another text."],
  ],
  [
    "an entry's link is changed",
    textOf("b", 1, (text) => text.replace(/"previous":"./, '"previous":"x')),
    ["Entry 2 of case b (position 9) was changed: the next one was written after another text."],
  ],
  [
    "the last entry's text is changed",
    textOf("a", 1, (text) => text.replace('"paid":"a"', '"paid":"x"')),
    ["Entry 2 of case a (position 7) was changed, or the hash beside its record was: they differ."],
  ],
  [
    "an entry is no entry any more",
    textOf("a", 0, (text) => text.slice(1)),
    ["Entry 1 of case a (position 6) can't be read: it was changed."],
  ],
  [
    "an entry tells of what can't have happened",
    textOf("a", 1, (text) => text.replace('"fence":1', '"fence":2')),
    ["Entry 2 of case a (position 7) was changed: what it tells can't have happened then."],
  ],
  [
    "an entry doesn't fit",
    textOf("a", 0, (text) => text.replace('"v":1', '"v":7')),
    ["Entry 1 of case a (position 6) was changed: it doesn't fit the entries before it."],
  ],
  [
    "two entries of a case stand in each other's place",
    ofCase("a", ([first, second]) => [second!, first!]),
    ["Entry 1 of case a (position 7) is missing: another one stands in its place."],
  ],
  [
    "a journal has another case's entries",
    (store) => ({
      history: (namespace, caseId) =>
        store.history(namespace, caseId === "a" ? ("doubt" as CaseId) : caseId),
    }),
    ["Entry 1 of case a (position 11) was changed: it doesn't fit the entries before it."],
  ],
  [
    "a journal lacks its last entry",
    ofCase("b", (all) => all.slice(0, 2)),
    ["Entry 3 of case b is missing, with all that came after it."],
  ],
  [
    "a journal is gone",
    ofCase("a", () => []),
    ["Entry 1 of case a is missing, with all that came after it."],
  ],
  [
    "a journal has an entry more than its record knows of",
    ofCase("a", (all) => [...all, { position: 99, text: "{}" }]),
    ["Entry 3 of case a (position 99) was added: the record knows nothing of it."],
  ],
  [
    "a record says something else",
    record("a", (kase) => ({ createdAt: kase.createdAt + 1 })),
    ["Case a has a record that its journal doesn't give: createdAt."],
  ],
  [
    "a record's hash is changed",
    head("a"),
    ["Entry 2 of case a (position 7) was changed, or the hash beside its record was: they differ."],
  ],
  [
    "a tombstone says something else",
    record("old", () => ({ effect: "none" })),
    ["Case old is retired, and its record or the hash beside it was changed: they differ."],
  ],
  [
    "a tombstone has a journal again",
    ofCase("old", () => [{ position: 1, text: "{}" }]),
    ["Case old is retired, and has a journal again."],
  ],
  [
    "a tombstone's request leads elsewhere",
    reading(byRequest("r-old-2"), { stored: null }),
    ["Case old is not found by request r-old-2, which was bound to it."],
  ],
  [
    "a tombstone is bound to the request of its own name, and was not",
    reading(byId("old"), { bound: "old" }),
    ["Case old is bound to the request of its own name, of which its journal doesn't tell."],
  ],
  [
    "a case is gone when it is looked at again",
    (store) => {
      let looks = 0;
      return {
        ...ofCase("b", (all) => all.slice(0, 2))(store),
        read: async (ids) => {
          const reading = await store.read(ids);
          if (ids.caseId === "b") looks += 1;
          return ids.caseId === "b" && looks === 2 ? { ...reading, stored: null } : reading;
        },
      };
    },
    ["Case b is not found by its id: asked for now, its effect would run."],
  ],
  [
    "a case is not found by its id",
    reading(byId("b"), { stored: null }),
    ["Case b is not found by its id: asked for now, its effect would run."],
  ],
  [
    "a request leads to nothing",
    reading(byRequest("r-b-2"), { stored: null, bound: null }),
    ["Case b is not found by request r-b-2, which was bound to it."],
  ],
  [
    "a request leads to another case",
    (store) => ({
      read: (ids) => store.read(byRequest("r-b")(ids) ? { ...ids, caseId: "a" as CaseId } : ids),
    }),
    ["Case b is not found by request r-b, which was bound to it."],
  ],
  [
    "a request of the case's name is bound to it, and nobody asked by it",
    reading(byId("b"), { bound: "b" }),
    ["Case b is bound to the request of its own name, of which its journal doesn't tell."],
  ],
  [
    "a case is listed with an older record than it was",
    listing((cases) =>
      cases.map((kase) => (kase.caseId === "a" ? { ...kase, createdAt: 1 } : kase)),
    ),
    ["Case a is listed with another record than it is read with."],
  ],
  [
    "a case is read with an older record than it is listed with",
    listing((cases) => cases.map((kase) => (kase.caseId === "a" ? { ...kase, version: 9 } : kase))),
    ["Case a is listed with another record than it is read with."],
  ],
  [
    "the list leaves out a case",
    listing((cases) => cases.filter(({ caseId }) => caseId !== "a")),
    ["The list of cases leaves out 1 of which the feed tells."],
  ],
  [
    "the list has a case that is not there",
    listing((cases, query) =>
      unfinished(query) || due(query) ? cases : [...cases, stranger(cases[0]!)],
    ),
    ["Case nobody is not found by its id: asked for now, its effect would run."],
  ],
  [
    "the list runs in a circle",
    (store) => ({
      list: async (query) => ({ ...(await store.list(query)), next: "1" }),
    }),
    ["The list of cases runs in a circle."],
  ],
  [
    "a case in doubt is not in the list of what has not ended",
    listing((cases, query) =>
      unfinished(query) ? cases.filter(({ caseId }) => caseId !== "doubt") : cases,
    ),
    ["Case doubt is missing from the list of what has not ended."],
  ],
  [
    "a case is not in the list of what needs attention",
    listing((cases, query) =>
      due(query) ? cases.filter(({ caseId }) => caseId !== "keyed") : cases,
    ),
    ["Case keyed is missing from the list of what needs attention."],
  ],
  [
    "a case that has ended is in the list of what has not",
    (store) => ({
      list: (query) => store.list(unfinished(query) ? { ...query, states: ["SETTLED"] } : query),
    }),
    [
      "Case a is in the list of what has not ended, and should not be.",
      "Case b is in the list of what has not ended, and should not be.",
      ...["doubt", "keyed", "back", "waits", "vote", "manual"].map(
        (id) => `Case ${id} is missing from the list of what has not ended.`,
      ),
    ],
  ],
  [
    "the feed lacks an entry",
    feed((all) => all.filter(({ position }) => position !== 7)),
    ["Entry 2 of case a (position 7) is missing from the feed."],
  ],
  [
    "the feed ends before its last entry",
    (store) => ({
      end: async (namespace) => (await store.end(namespace)) - 1,
      journal: async (query) =>
        (await store.journal(query)).filter(({ position }) => position !== 20),
    }),
    ["Entry 1 of case manual (position 20) is missing from the feed."],
  ],
  [
    "the feed is empty",
    feed(() => []),
    ["a", "b", "doubt", "keyed", "back", "waits", "vote", "manual"].map((id) =>
      expect.stringMatching(new RegExp(`^Entry 1 of case ${id} .* is missing from the feed`)),
    ) as string[],
  ],
  [
    "the feed has an entry of a case that is not there",
    feed((all) =>
      all.map((entry) =>
        entry.position === 6 ? { ...entry, text: entry.text.replaceAll('"a"', '"z"') } : entry,
      ),
    ),
    ["Entry 1 of case z (position 6) is in the feed, and it has no case with a journal."],
  ],
  [
    "the feed has another text at an entry's place",
    feed((all) =>
      all.map((entry) =>
        entry.position === 7 ? { ...entry, text: entry.text.replace('"paid"', '"owed"') } : entry,
      ),
    ),
    ["Entry 2 of case a (position 7) is in the feed, and not in its journal."],
  ],
  [
    "the feed has what is no entry, and an entry of another namespace",
    feed((all) =>
      all.map((entry) => {
        if (entry.position === 6) return { ...entry, text: "null" };
        if (entry.position !== 7) return entry;
        return { ...entry, text: entry.text.replace('"default"', '"else"') };
      }),
    ),
    [
      "The entry at position 6 of the feed is none of this namespace's, or was changed.",
      "The entry at position 7 of the feed is none of this namespace's, or was changed.",
    ],
  ],
  [
    "the feed goes back",
    feed((all) => [...all].reverse()),
    [expect.stringMatching(/^The feed goes back after position \d+\.$/) as unknown as string],
  ],
  [
    "the list can't be read: the feed leads to the cases",
    (store) => ({
      ...head("b")(store),
      list: () => Promise.reject(corrupt()),
    }),
    [
      "The list of cases can't be read: A page is damaged.",
      "Entry 3 of case b (position 10) was changed, or the hash beside its record was: they differ.",
    ],
  ],
  [
    "the list runs in a circle before its end: the feed leads to the rest",
    (store) => ({
      ...head("manual")(store),
      async list(query) {
        const { items } = await store.list({ ...query, limit: 2 });
        // Two places, over and over.
        return { items, next: query.after === "2" ? "4" : "2" };
      },
    }),
    [
      "The list of cases runs in a circle.",
      expect.stringMatching(/^Entry 1 of case manual .* was changed/) as unknown as string,
    ],
  ],
  [
    "a list of what needs attention can't be read",
    (store) => ({
      list: (query) => (due(query) ? Promise.reject(corrupt()) : store.list(query)),
    }),
    ["The list of what needs attention can't be read: A page is damaged."],
  ],
  [
    "one row of the list can't be read: the others are",
    (store) => ({
      async list(query) {
        const page = await store.list(query);
        const items = page.items.filter(({ caseId }) => caseId !== "a");
        if (items.length < page.items.length) query.refused?.(corrupt(), "a");
        return { ...page, items };
      },
    }),
    ["Case a can't be read: A page is damaged."],
  ],
  [
    "a case can't be read",
    (store) => ({
      read: (ids) => (ids.caseId === "a" ? Promise.reject(corrupt()) : store.read(ids)),
    }),
    ["Case a can't be read: A page is damaged."],
  ],
  [
    "a journal can't be read",
    (store) => ({
      history: (namespace, caseId) =>
        caseId === "b" ? Promise.reject(corrupt()) : store.history(namespace, caseId),
    }),
    ["Case b can't be read: A page is damaged."],
  ],
  [
    "a journal can't be read a second time",
    (store) => {
      let calls = 0;
      return {
        history: (namespace, caseId) => {
          calls += caseId === "b" ? 1 : 0;
          return caseId === "b" && calls === 2
            ? Promise.reject(corrupt())
            : store.history(namespace, caseId);
        },
      };
    },
    ["Case b can't be read: A page is damaged."],
  ],
  [
    "the feed can't be read",
    () => ({ journal: () => Promise.reject(corrupt()) }),
    ["The feed can't be read: A page is damaged."],
  ],
  [
    "the feed's end can't be read",
    () => ({ end: () => Promise.reject(corrupt()) }),
    ["The feed's end can't be read: A page is damaged."],
  ],
  [
    "the store itself finds something",
    () => ({ check: async () => ["A tree is bent.", "A leaf is gone."] }),
    ["A tree is bent.", "A leaf is gone."],
  ],
];

describe("a store is not sound where", () => {
  test.each(flaws)("%s", async (_name, flaw, says) => {
    const { store, another, guard } = await livedIn();
    const flawed = another({ store: { ...store, ...flaw(store) } });
    const { ok, faults, faultCount } = await flawed.verify();
    expect(faults.map(({ what }) => what)).toEqual(says);
    expect({ ok, faultCount }).toEqual({ ok: false, faultCount: says.length });
    // (control) The flaw alone is what it finds.
    expect(await guard.verify()).toEqual(sound);
  });
});

/** Does something once, between two calls of the store. */
const between = (
  method: "read" | "history" | "list" | "journal",
  happens: () => Promise<unknown>,
) =>
  ((store) => {
    let done = false;
    return {
      [method]: async (...args: readonly never[]) => {
        const answer = await (store[method] as (...args: readonly never[]) => unknown)(...args);
        if (!done) {
          done = true;
          await happens();
        }
        return answer;
      },
    };
  }) satisfies Flaw;

test("a case that is found wrong is counted, and its entries are not", async () => {
  const { store, another } = await livedIn();
  const flaw = ofCase("b", () => []);
  const found = await another({ store: { ...store, ...flaw(store) } }).verify();
  expect(found).toMatchObject({ ok: false, cases: 10, entries: 12, faultCount: 1 });
  const unlisted = { ...flaw(store), list: () => Promise.reject(corrupt()) };
  const led = await another({ store: { ...store, ...unlisted } }).verify();
  // Tombstones are in no feed.
  expect(led).toMatchObject({ ok: false, cases: 8, entries: 12, faultCount: 2 });
});

test("a sound store is walked once, a page at a time", async () => {
  const { store, another, guard } = world();
  for (let index = 0; index < 150; index += 1) await guard.execute(call(`r-${index}`));
  const calls = { list: 0, journal: 0, history: 0 };
  const counted = another({
    store: {
      ...store,
      list: (query) => {
        calls.list += 1;
        return store.list(query);
      },
      journal: (query) => {
        calls.journal += 1;
        return store.journal(query);
      },
      history: (...ids) => {
        calls.history += 1;
        return store.history(...ids);
      },
    },
  });
  expect(await counted.verify()).toMatchObject({ ok: true, cases: 150, entries: 300 });
  // Two pages of three lists; three of the feed, and a look at its last entry; each journal once from either side.
  expect(calls).toEqual({ list: 6, journal: 4, history: 300 });
});

test("a page of tombstones ends nothing: what comes after it is checked", async () => {
  const { store, another, guard, turn, now } = world();
  for (let index = 0; index < 120; index += 1) await guard.execute(call(`old-${index}`));
  turn(1);
  await guard.prune({ before: new Date(now()) });
  for (let index = 0; index < 120; index += 1) await guard.execute(call(`r-${index}`));
  const flawed = another({ store: { ...store, ...head("r-90")(store) } });
  expect(await flawed.verify()).toMatchObject({ cases: 240, faults: [{ caseId: "r-90" }] });
  const cut: Flaw = feed((all) => all.filter(({ position }) => position !== 440));
  const lacking = another({ store: { ...store, ...cut(store) } });
  expect(await lacking.verify()).toMatchObject({ cases: 240, faults: [{ position: 440 }] });
});

describe("what changes meanwhile is no fault", () => {
  const settledAfter = async (method: "read" | "list" | "journal") => {
    const { guard, store, another } = world();
    const effect = gated();
    const running = guard.execute({ ...call("a"), run: effect.run });
    await effect.started;
    const happens = () => {
      effect.finish("done");
      return running;
    };
    const flawed = another({ store: { ...store, ...between(method, happens)(store) } });
    return flawed.verify();
  };

  test.each(["read", "list", "journal"] as const)("a case settles after a %s", async (method) => {
    expect(await settledAfter(method)).toMatchObject({ ok: true, cases: 1 });
  });

  test.each(["read", "history", "list", "journal"] as const)(
    "a case is pruned after a %s",
    async (method) => {
      const { guard, store, another, turn, now } = world();
      await guard.execute(call("a"));
      await guard.execute(call("b"));
      turn(1);
      const happens = () => guard.prune({ before: new Date(now()) });
      const flawed = another({ store: { ...store, ...between(method, happens)(store) } });
      expect(await flawed.verify()).toMatchObject({ ok: true, cases: 2 });
      expect((await guard.list({ states: ["RETIRED"] })).items).toHaveLength(2);
    },
  );

  test("a case is pruned while its entry is looked for in the feed", async () => {
    const { guard, store, another, turn, now } = world();
    await guard.execute(call("a"));
    await guard.execute(call("b"));
    turn(1);
    const flawed = another({
      store: {
        ...store,
        async journal(query) {
          if (query.limit !== 1) return (await store.journal(query)).slice(1);
          await guard.prune({ before: new Date(now()) });
          return store.journal(query);
        },
      },
    });
    expect(await flawed.verify()).toMatchObject({ ok: true });
  });

  test("a request is bound after the case was read", async () => {
    const { guard, store, another } = world();
    await guard.execute(call("r", "a"));
    const happens = () => another().execute(call("a"));
    const flawed = another({ store: { ...store, ...between("read", happens)(store) } });
    expect(await flawed.verify()).toMatchObject({ ok: true });
    expect(await guard.receipt("a")).toBeDefined();
  });

  test("cases that come while it looks are left to the next check", async () => {
    const { guard, store, another } = world();
    await guard.execute(call("a"));
    let count = 0;
    const flawed = another({
      store: {
        ...store,
        async list(query) {
          // A page more for each one that is looked at.
          if (count < 1_000) {
            for (let page = 0; page < 100; page += 1) await guard.execute(call(`r-${count++}`));
          }
          return store.list(query);
        },
      },
    });
    const { ok, cases } = await flawed.verify();
    expect({ ok, isBounded: cases < 500 }).toEqual({ ok: true, isBounded: true });
  });

  test("a case that changes at each look is left to the next check", async () => {
    const { guard, store, another } = world();
    const vote = guard.case("vote", {
      policy: approval({ expiresIn: 9_000 }),
      action: "a",
      payload: 1,
    });
    await vote.get();
    let version = 1;
    const moving = (kase: Case): Case => ({ ...kase, version: version++ });
    const flawed = another({
      store: {
        ...store,
        async read(ids) {
          const { stored, bound } = await store.read(ids);
          if (stored === null || ids.requestId !== null) return { stored, bound };
          return { stored: { ...stored, case: moving(stored.case) }, bound };
        },
        list: async (query) => (due(query) ? { items: [], next: null } : store.list(query)),
      },
    });
    expect(await flawed.verify()).toMatchObject({ ok: true });
    // (control) One that stands still is missed.
    const still = another({
      store: {
        ...store,
        list: async (query) => (due(query) ? { items: [], next: null } : store.list(query)),
      },
    });
    expect((await still.verify()).faults).toHaveLength(1);
  });
});

describe("the call", () => {
  test("checks one case alone where it is asked to", async () => {
    const { guard, store, another } = await livedIn();
    const flaw = textOf("a", 0, () => "{}");
    const flawed = another({ store: { ...store, ...flaw(store) } });
    expect(await flawed.verify({ caseId: "b" })).toEqual({ ...sound, cases: 1, entries: 3 });
    const { faults } = await flawed.verify({ caseId: "a" });
    expect(faults).toEqual([
      {
        where: "entry",
        caseId: "a",
        sequence: 1,
        position: 6,
        what: "Entry 1 of case a (position 6) is missing: another one stands in its place.",
      },
    ]);
    expect((await guard.verify({ caseId: "nobody" })).faults).toMatchObject([
      { where: "case", caseId: "nobody" },
    ]);
    expect(await errorOf(guard.verify({ caseId: "" }))).toMatchObject({ code: "invalid_request" });
  });

  test("names a hundred faults, and counts the rest", async () => {
    const { guard, store, another } = world();
    for (let index = 0; index < 130; index += 1) await guard.execute(call(`r-${index}`));
    const flaw = entries((all) => all.slice(0, 1));
    const { faults, faultCount } = await another({ store: { ...store, ...flaw(store) } }).verify();
    expect([faults.length, faultCount]).toEqual([100, 130]);
    expect(faults[99]).toMatchObject({
      where: "entry",
      caseId: "r-99",
      sequence: 2,
      position: null,
    });
  });

  test("is thrown out of where the store can't be read", async () => {
    const { store, another } = await livedIn();
    const gone = () => Promise.reject(new GuardError("store_unavailable", "The disk is gone."));
    for (const method of ["read", "list", "history", "journal", "end", "check"]) {
      const guard = another({ store: { ...store, [method]: gone } });
      expect((await errorOf(guard.verify())).code, method).toBe("store_unavailable");
    }
    let calls = 0;
    const history: Store["history"] = (...ids) => {
      calls += 1;
      return calls > 10 ? gone() : store.history(...ids);
    };
    const later = another({ store: { ...store, history } });
    expect((await errorOf(later.verify())).code).toBe("store_unavailable");
  });

  test("is ended by its signal, with the signal's reason", async () => {
    const { guard, store, another } = await livedIn();
    const reason = new Error("enough");
    await expect(guard.verify({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const ending = new AbortController();
    const { history } = store;
    const cut: Store = {
      ...store,
      history: (...ids) => {
        ending.abort(reason);
        return history(...ids);
      },
    };
    const checking = another({ store: cut }).verify({ signal: ending.signal });
    await expect(checking).rejects.toBe(reason);
  });

  test("lets others work in the midst of a long journal, and of many requests", async () => {
    let ms = 0;
    const { guard } = world({ platform: { monotonicMs: () => (ms += 6) } });
    for (let index = 0; index < 200; index += 1) await guard.execute(call(`r-${index}`, "a"));
    let turns = 0;
    const onProgress = (): void => {
      turns += 1;
    };
    const checked = await guard.verify({ caseId: "a", onProgress });
    expect(checked).toMatchObject({ ok: true, cases: 1, entries: 201 });
    // One each 64 entries, and one for each request.
    expect(turns).toBe(3 + 200);
  });

  test("lets others work meanwhile, and tells how far it is", async () => {
    let ms = 0;
    // Each look at the watch finds that much time has gone by.
    const { guard } = world({ platform: { monotonicMs: () => (ms += 6) } });
    for (let index = 0; index < 30; index += 1) await guard.execute(call(`r-${index}`));
    let turns = 0;
    let isOver = false;
    const count = (): void => {
      turns += 1;
      if (!isOver) setImmediate(count);
    };
    setImmediate(count);
    const seen: number[] = [];
    await guard.verify({ onProgress: ({ cases }) => void seen.push(cases) });
    isOver = true;
    expect(turns).toBeGreaterThan(30);
    expect(new Set(seen)).toEqual(new Set(Array.from({ length: 31 }, (_, cases) => cases)));
  });
});
