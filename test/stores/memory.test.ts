import { describe, expect, test } from "vitest";
import type { Case } from "../../src/core/case.ts";
import type { Step, Store } from "../../src/core/store.ts";
import { memoryStore } from "../../src/stores/memory.ts";
import { storeLaws } from "../../src/testing/store-laws.ts";

describe("the laws", () => {
  const untested = storeLaws({ test, open: () => memoryStore() });

  test("those that can't hold are the ones of a store that outlives its process, or has transactions", () => {
    expect(untested.filter((law) => !/transaction/.test(law))).toEqual([
      "an unknown row is refused, not guessed: whatever is wrong with it",
      "a killed process loses nothing it was told true about: and leaves nothing half done",
      "closed means closed: but what is queued is written first",
    ]);
  });
});

/** A store that is right but for one thing. */
type Flaw = (store: Store) => Partial<Store>;

async function versionOf(store: Store, { next }: Step): Promise<number> {
  const ids = { namespace: next.namespace, caseId: next.caseId, requestId: null };
  return (await store.read(ids)).stored?.case.version ?? 0;
}

/** The steps as if they had started from what is there now. */
async function forced(store: Store, steps: readonly Step[]): Promise<Step[]> {
  const versions = await Promise.all(steps.map((step) => versionOf(store, step)));
  return steps.map((step, index) => ({ ...step, expected: versions[index] ?? 0 }));
}

const turn = () => new Promise((resolve) => setTimeout(resolve, 0));

function sortKeys(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(sortKeys);
  const members = Object.entries(value).sort(([left], [right]) => (left < right ? -1 : 1));
  return Object.fromEntries(members.map(([name, member]) => [name, sortKeys(member)]));
}

const flaws: readonly (readonly [name: string, heading: string, flaw: Flaw])[] = [
  [
    "forgets to compare the version",
    "advances only from `expected`",
    (store) => ({ commit: async (steps) => store.commit(await forced(store, steps)) }),
  ],
  [
    "creates what exists",
    "creates only what is absent",
    (store) => ({
      async commit(steps) {
        if (steps.some((step) => step.expected !== 0)) return store.commit(steps);
        return store.commit(await forced(store, steps));
      },
    }),
  ],
  [
    "compares first and writes later",
    "of N racing commits exactly one is true",
    (store) => ({
      async commit(steps) {
        const now = await forced(store, steps);
        if (now.some((step, index) => step.expected !== steps[index]?.expected)) return false;
        await turn();
        return store.commit(await forced(store, steps));
      },
    }),
  ],
  [
    "binds a request id twice",
    "a request id binds once",
    (store) => ({
      async commit(steps) {
        if (await store.commit(steps)) return true;
        return store.commit(steps.map((step) => ({ ...step, bind: null })));
      },
    }),
  ],
  [
    "forgets to bind later requests",
    "a request id binds once",
    (store) => ({
      commit: (steps) =>
        store.commit(steps.map((step) => (step.expected === 0 ? step : { ...step, bind: null }))),
    }),
  ],
  [
    "lands the steps one by one",
    "several steps land together or not at all",
    (store) => ({
      async commit(steps) {
        for (const step of steps) if (!(await store.commit([step]))) return false;
        return true;
      },
    }),
  ],
  [
    "answers false after it wrote",
    "of N racing commits exactly one is true",
    (store) => {
      let count = 0;
      return {
        async commit(steps) {
          const landed = await store.commit(steps);
          count += 1;
          return landed && count % 3 !== 0;
        },
      };
    },
  ],
  [
    "answers true and writes nothing",
    "reads what it committed",
    () => ({ commit: async () => true }),
  ],
  [
    "drops the last row of a full page",
    "a list is complete and stable under writes",
    (store) => ({
      async list(query) {
        const page = await store.list(query);
        return page.next === null ? page : { ...page, items: page.items.slice(0, -1) };
      },
    }),
  ],
  [
    "lists by what changed last",
    "a list is complete and stable under writes",
    (store) => ({
      async list(query) {
        const { items, next } = await store.list(query);
        return { items: [...items].sort((left, right) => left.version - right.version), next };
      },
    }),
  ],
  [
    "says that there is more when there is not",
    "a list is complete and stable under writes",
    (store) => ({
      async list(query) {
        const page = await store.list(query);
        return page.items.length === query.limit ? { ...page, next: page.next ?? "99" } : page;
      },
    }),
  ],
  [
    "is late to see what is due",
    "a list is complete and stable under writes",
    (store) => ({
      list: (query) =>
        store.list(query.dueBy === undefined ? query : { ...query, dueBy: query.dueBy - 1 }),
    }),
  ],
  [
    "reorders a history",
    "each case's journal is gapless and in order",
    (store) => ({
      history: async (...ids) => [...(await store.history(...ids))].reverse(),
    }),
  ],
  [
    "loses an entry of a history",
    "each case's journal is gapless and in order",
    (store) => ({
      history: async (...ids) => (await store.history(...ids)).filter((_, at) => at !== 1),
    }),
  ],
  [
    "shows the feed's newest entry one turn too early",
    "the feed misses nothing and never reorders what it has shown",
    (store) => ({
      // As numbers from a sequence do: the next one becomes visible before the one before it.
      async journal(query) {
        const page = await store.journal(query);
        return page.length > 1 ? page.slice(1) : page;
      },
    }),
  ],
  [
    "mixes the namespaces' feeds",
    "the feed misses nothing and never reorders what it has shown",
    (store) => ({
      async journal(query) {
        const feeds = await Promise.all(
          ["here", "there", "default"].map((namespace) => store.journal({ ...query, namespace })),
        );
        return feeds.flat();
      },
    }),
  ],
  [
    "brings the order of members to its own",
    "every state and every JSON value survives the trip",
    (store) => ({
      async read(ids) {
        const { stored, bound } = await store.read(ids);
        if (stored === null) return { stored, bound };
        return { stored: { ...stored, case: sortKeys(stored.case) as Case }, bound };
      },
    }),
  ],
  [
    "gives out its own inside",
    "reads what it committed",
    (store) => {
      const inside = new Map<string, Case>();
      return {
        async commit(steps) {
          const landed = await store.commit(steps);
          if (landed) for (const { next } of steps) inside.set(next.namespace + next.caseId, next);
          return landed;
        },
        async read(ids) {
          const { stored, bound } = await store.read(ids);
          const kase = inside.get(ids.namespace + (ids.caseId ?? bound));
          return { stored: stored && { ...stored, case: kase ?? stored.case }, bound };
        },
      };
    },
  ],
  [
    "takes names for the same whatever their case",
    "reads what it committed",
    (store) => ({
      read: (ids) =>
        store.read({
          ...ids,
          caseId: (ids.caseId?.toLowerCase() ?? null) as typeof ids.caseId,
          requestId: (ids.requestId?.toLowerCase() ?? null) as typeof ids.requestId,
        }),
    }),
  ],
  [
    "prunes the young with the old",
    "prune turns finished cases into tombstones",
    (store) => ({
      prune: (query) => store.prune({ ...query, before: Number.POSITIVE_INFINITY }),
    }),
  ],
  [
    "keeps the head of a journal that is gone",
    "prune turns finished cases into tombstones",
    (store) => ({
      async read(ids) {
        const { stored, bound } = await store.read(ids);
        if (stored?.case.state !== "RETIRED") return { stored, bound };
        return { stored: { ...stored, head: stored.case.journalHash }, bound };
      },
    }),
  ],
  [
    "gives its lists cursors that only they understand",
    "a list is complete and stable under writes",
    (store) => ({
      async list(query) {
        const own = query.states === undefined ? "all " : "some ";
        const after = query.after?.startsWith(own) ? query.after.slice(own.length) : undefined;
        const page = await store.list({ ...query, after: after ?? "0" });
        return { ...page, next: page.next === null ? null : own + page.next };
      },
    }),
  ],
  [
    "finds something wrong where nothing is",
    "a sound store finds nothing wrong with itself",
    () => ({ check: async () => ["A page is bent."] }),
  ],
  ["tells nobody", "tells its listeners", () => ({ subscribe: () => () => {} })],
  ["goes on after its end", "closed means closed", () => ({ close: async () => {} })],
];

/** Runs the laws of a heading on a store and tells which it breaks. */
async function broken(open: () => Store, heading = ""): Promise<string[]> {
  const laws: (readonly [name: string, run: () => Promise<void>])[] = [];
  storeLaws({ open, test: (name, run) => laws.push([name, run]) });
  const failed: string[] = [];
  for (const [name, run] of laws) {
    if (name.startsWith(heading)) await run().catch(() => failed.push(name));
  }
  return failed;
}

describe("the laws find a store that", () => {
  test("(control) is right, and breaks none", async () => {
    expect(await broken(() => memoryStore())).toEqual([]);
  });

  test.each(flaws)("%s", async (_name, heading, flaw) => {
    const failed = await broken(() => {
      const store = memoryStore();
      return { ...store, ...flaw(store) };
    }, heading);
    expect(failed).not.toEqual([]);
  });
});
