import type { Case, CaseState } from "../core/case.ts";
import type { CaseId, RequestId } from "../core/identity.ts";
import { approval, manual } from "../core/policy.ts";
import type { JournalEntry, ListQuery, Store } from "../core/store.ts";
import type { Law } from "./law.ts";
import { ensure, same } from "./law-check.ts";
import { commitAll, unchanged } from "./laws-writing.ts";
import {
  awkwardJson,
  claim,
  everyState,
  open,
  putOff,
  renew,
  type Story,
  settle,
  start,
  story,
} from "./store-cases.ts";

const namespace = "default";

/** What a store must answer. */
export const readingLaws: readonly Law[] = [
  {
    heading: "reads what it committed",
    name: "by case id, by request id, by both, and nothing where there is nothing",
    async run(world) {
      const store = await world.open();
      const told = story("a", [claim()], { bind: "req" });
      const nothing = { stored: null, bound: null };
      const ids = (caseId: string | null, requestId: string | null, space = namespace) => ({
        namespace: space,
        caseId: caseId as CaseId | null,
        requestId: requestId as RequestId | null,
      });
      same(await store.read(ids("a", "req")), nothing, "an empty store holds nothing");
      await commitAll(store, told);
      const stored = { case: told.steps[0]?.next, head: told.steps[0]?.head };
      for (const reader of [store, await world.another(store)]) {
        const read = (...args: Parameters<typeof ids>) => reader.read(ids(...args));
        same(await read("a", null), { stored, bound: null }, "it is found by its id");
        same(await read(null, "req"), { stored, bound: "a" }, "it is found by its request");
        same(await read("a", "req"), { stored, bound: "a" }, "it is found by both");
        same(await read("a", "a"), { stored, bound: null }, "its id is no request id");
        same(await read("b", "req"), { stored: null, bound: "a" }, "another id finds nothing");
        same(await read("A", "REQ"), nothing, "names are case-sensitive");
        same(await read("a", "req", "else"), nothing, "another namespace sees nothing");
        same(await read(null, "req", "else"), nothing, "another namespace binds nothing");
        same(await read(null, null), nothing, "no ids, no answer");
      }
    },
  },
  {
    heading: "reads what it committed",
    name: "and nobody can change it through what was given out",
    async run({ open: opened }) {
      const store = await opened();
      const told = story("a", [claim({ payload: { list: [1, 2] } })]);
      const step = told.steps[0];
      ensure(step !== undefined, "(a story has a step)");
      const given = structuredClone(step);
      const before = structuredClone(step.next);
      await store.commit([given]);
      spoil(given.next);
      const { stored } = await store.read({ namespace, caseId: told.caseId, requestId: null });
      spoil(stored?.case);
      const again = await store.read({ namespace, caseId: told.caseId, requestId: null });
      same(again.stored?.case, before, "a change from outside does not reach the store");
    },
  },
  {
    heading: "each case's journal is gapless and in order",
    name: "over many steps of many cases, renewals left out",
    async run(world) {
      const store = await world.open();
      const tales = Array.from({ length: 8 }, (_, index) =>
        story(`case-${index}`, [
          claim(),
          renew(1),
          renew(2),
          { type: "doubt", fence: 1, reason: "threw", error: null },
          { type: "resolve", fence: 1, happened: true, evidence: "seen", valueForm: "exact" },
        ]),
      );
      await Promise.all(tales.map((told) => commitAll(store, told)));
      for (const told of tales) await unchanged(await world.another(store), told);
      const nobody = "nobody" as CaseId;
      same(await store.history(namespace, nobody), [], "an unknown case has no journal");
      same(
        await store.history("else", tales[0]?.caseId ?? nobody),
        [],
        "nor has another namespace",
      );
      const positions = (await store.history(namespace, "case-0" as CaseId)).map(positionOf);
      ensure(grows(positions), "its positions grow");
    },
  },
  {
    heading: "the feed misses nothing and never reorders what it has shown",
    name: "while cases are written, by one connection and another",
    async run(world) {
      const store = await world.open();
      const writers = [store, await world.another(store)];
      const tales = Array.from({ length: 120 }, (_, index) =>
        story(`case-${index}`, [claim(), renew(1), settle(index)]),
      );
      let writing = true;
      const shown: JournalEntry[] = [];
      const follow = async (): Promise<void> => {
        for (let more = true; more; ) {
          const wasWriting = writing;
          const page = await store.journal({ namespace, after: lastOf(shown), limit: 7 });
          ensure(page.length <= 7, "a page of the feed is no longer than asked");
          shown.push(...page);
          more = wasWriting || page.length > 0;
          await turn();
        }
      };
      const following = follow();
      await Promise.all(tales.map((told, at) => commitAll(writers[at % 2] as Store, told)));
      writing = false;
      await following;
      ensure(grows(shown.map(positionOf)), "positions in the feed grow");
      const wanted = tales.flatMap((told) => told.steps.map((step) => step.entry));
      same(
        sorted(shown.map(textOf)),
        sorted(wanted.filter((entry) => entry !== null)),
        "every entry was shown once",
      );
      same(await wholeFeed(store), shown, "what was shown stays as it was");
      same(await store.end(namespace), lastOf(shown), "its end is its last position");
      for (const told of tales.slice(0, 5)) {
        const own = await store.history(namespace, told.caseId);
        const texts = new Set(own.map(textOf));
        same(
          own,
          shown.filter((entry) => texts.has(entry.text)),
          "a case's journal is its part of the feed",
        );
      }
    },
  },
  {
    heading: "the feed misses nothing and never reorders what it has shown",
    name: "each namespace has its own",
    async run({ open: opened }) {
      const store = await opened();
      same(await store.end("here"), 0, "an empty feed ends at 0");
      await commitAll(store, story("a", [claim()], { namespace: "here" }));
      await commitAll(store, story("b", [claim()], { namespace: "there" }));
      const here = await store.journal({ namespace: "here", after: 0 });
      same(
        here.map((entry) => entry.text.includes('"caseId":"a"')),
        [true],
        "only its own entries",
      );
      same(await store.end("here"), lastOf(here), "it ends at its own last");
      same(await store.end("nowhere"), 0, "no feed, no end");
    },
  },
  {
    heading: "a list is complete and stable under writes",
    name: "pages in the order of opening, each case once, new ones after the cursor",
    async run(world) {
      const store = await world.open();
      const writer = await world.another(store);
      const ids = Array.from({ length: 23 }, (_, index) => `case-${(index * 7) % 23}`);
      for (const id of ids) await commitAll(store, story(id, [claim()]));
      const seen: string[] = [];
      for (let after: string | undefined, round = 0; ; round += 1) {
        const query = { namespace, limit: 5, ...(after === undefined ? {} : { after }) };
        const { items, next } = await store.list(query);
        seen.push(...items.map((kase) => kase.caseId));
        if (next === null) break;
        after = next;
        await commitAll(writer, story(`new-${round}`, [claim()]));
        for (const id of [ids[round], ids[22 - round]]) {
          const [, advance] = story(id ?? "", [claim(), settle(round)]).steps;
          if (advance !== undefined) await writer.commit([advance]);
        }
        ensure(round < 50, "the pages come to an end");
      }
      same(seen.slice(0, 23), ids, "each case once, in the order of opening");
      ensure(seen.length > 23, "cases opened meanwhile come after the cursor");
      same(new Set(seen).size, seen.length, "no case comes twice");
    },
  },
  {
    heading: "a list is complete and stable under writes",
    name: "a full last page has no next one",
    async run({ open: opened }) {
      const store = await opened();
      for (const id of ["a", "b", "c", "d"]) await commitAll(store, story(id, [claim()]));
      const first = await store.list({ namespace, limit: 2 });
      ensure(first.next !== null, "there is more");
      const second = await store.list({ namespace, limit: 2, after: first.next });
      same([idsOf(second.items), second.next], [["c", "d"], null], "this was the last page");
      const all = await store.list({ namespace });
      same([all.items.length, all.next], [4, null], "all in one page");
      const executing = await store.list({ namespace, states: ["EXECUTING"], after: first.next });
      same(idsOf(executing.items), ["c", "d"], "a cursor is good for another list, too");
      same(await store.list({ namespace: "else" }), { items: [], next: null }, "an empty list");
    },
  },
  {
    heading: "a list is complete and stable under writes",
    name: "by state, action, age and need of attention",
    async run({ open: opened }) {
      const store = await opened();
      for (const told of listed) await commitAll(store, told);
      const found = async (query: Omit<ListQuery, "namespace">) => {
        const whole = await store.list({ namespace, ...query });
        const first = await store.list({ namespace, ...query, limit: 1 });
        same(
          idsOf(first.items),
          idsOf(whole.items).slice(0, 1),
          "its first page is its first case",
        );
        return idsOf(whole.items).join(" ");
      };
      const states = (...names: CaseState[]) => found({ states: names });
      same(await states("SETTLED"), "settled", "one state, finished");
      same(await states("EXECUTING"), "running other", "one state, unfinished");
      same(await states("EXECUTING", "SETTLED"), "running settled other", "two states");
      same(await states(), "", "no state, no case");
      same(await found({ action: "pay" }), "other", "by action");
      same(await found({ action: "send", states: ["EXECUTING"] }), "running", "by both");
      same(await found({ updatedBefore: start + 1 }), "running other waiting manual", "by age");
      same(await found({ updatedBefore: start }), "", "before, and not at, an instant");
      same(await found({ dueBy: start + 99 }), "", "nothing is due yet");
      same(await found({ dueBy: start + 100 }), "doubt", "due at that very instant");
      same(await found({ dueBy: start + 500 }), "doubt put", "a worker may run it");
      same(await found({ dueBy: start + 1_000 }), "doubt waiting put", "an approval expires");
      same(await found({ dueBy: start + 60_000 }), "running doubt other waiting put", "leases end");
      same(await found({ dueBy: start + 60_000, states: ["IN_DOUBT"] }), "doubt", "due, by state");
    },
  },
  {
    heading: "every state and every JSON value survives the trip",
    name: "every state",
    async run(world) {
      const store = await world.open();
      const tales = everyState();
      for (const told of tales) {
        same(await commitAll(store, told), true, `${told.caseId} is committed`);
        await unchanged(await world.another(store), told);
      }
      same((await store.list({ namespace })).items, tales.map(lastCase), "and a list has them all");
    },
  },
  {
    heading: "every state and every JSON value survives the trip",
    name: "every JSON value, as payload and as result",
    async run({ open: opened }) {
      const store = await opened();
      for (const [index, value] of awkwardJson.entries()) {
        const told = story(`case-${index}`, [claim({ payload: value }), settle(value)]);
        await commitAll(store, told);
        await unchanged(store, told);
      }
    },
  },
  {
    heading: "every state and every JSON value survives the trip",
    name: "every character a name may have",
    async run({ open: opened }) {
      const store = await opened();
      const names = [
        "e\u0301",
        "\u00e9",
        "E\u0301",
        "a b",
        " a",
        "a ",
        "%_'\"\\",
        "\u{1f9ea}",
        "x".repeat(255),
      ];
      for (const name of names) {
        await commitAll(store, story(name, [claim()], { namespace: name, by: name }));
      }
      for (const name of names) {
        await unchanged(store, story(name, [claim()], { namespace: name, by: name }));
        same(idsOf((await store.list({ namespace: name })).items), [name], "it is alone there");
      }
    },
  },
];

const listed: readonly Story[] = [
  story("running", [claim({ leaseUntil: start + 30_000 })]),
  story("settled", [claim(), settle(1)]),
  story("doubt", [
    claim({ terms: { class: "probeable", settlingMs: 99 } }),
    { type: "doubt", fence: 1, reason: "threw", error: null },
  ]),
  story("other", [claim({ action: "pay", leaseUntil: start + 60_000 })]),
  story("waiting", [open(approval({ expiresIn: 1_000 }), { payload: 1 })]),
  story("manual", [open(manual())]),
  // An opaque effect in doubt waits for a person: it is never due.
  story("stuck", [claim(), { type: "doubt", fence: 1, reason: "threw", error: null }]),
  story("void", [open(manual()), { type: "withdraw", note: "no" }]),
  story("put", putOff(500)),
];

function lastCase(told: Story): Case | undefined {
  return told.steps.at(-1)?.next;
}

function idsOf(cases: readonly Case[]): string[] {
  return cases.map((kase) => kase.caseId);
}

const positionOf = (entry: JournalEntry): number => entry.position;
const textOf = (entry: JournalEntry): string => entry.text;

function lastOf(entries: readonly JournalEntry[]): number {
  return entries.at(-1)?.position ?? 0;
}

function grows(positions: readonly number[]): boolean {
  return positions.every((position, index) => position > (positions[index - 1] ?? 0));
}

function sorted(texts: readonly (string | null)[]): (string | null)[] {
  return [...texts].sort();
}

export async function wholeFeed(store: Store): Promise<readonly JournalEntry[]> {
  const entries: JournalEntry[] = [];
  for (;;) {
    const page = await store.journal({ namespace, after: lastOf(entries), limit: 50 });
    if (page.length === 0) return entries;
    entries.push(...page);
  }
}

/** Writes through everything that can be written to: a frozen value refuses, which is as good. */
function spoil(value: unknown): void {
  if (typeof value !== "object" || value === null) return;
  for (const member of Object.values(value)) spoil(member);
  Reflect.set(value, "0", "spoiled");
  Reflect.set(value, "state", "SPOILED");
}

/** Lets other work go on: a timer, since a store may answer without ever leaving the microtasks. */
function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
