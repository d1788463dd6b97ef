import type { CaseId, RequestId } from "../core/identity.ts";
import { immediate } from "../core/policy.ts";
import type { JournalEntry } from "../core/store.ts";
import type { Law } from "./law.ts";
import { ensure, refused, same } from "./law-check.ts";
import { wholeFeed } from "./laws-reading.ts";
import { commitAll, unchanged } from "./laws-writing.ts";
import { claim, everyState, open, settle, start, story } from "./store-cases.ts";

const namespace = "default";

/** What a store does at the ends: pruning, damage, closing, a kill. */
export const endingLaws: readonly Law[] = [
  {
    heading: "prune turns finished cases into tombstones",
    name: "only those, only old ones, only of its namespace, and says how many",
    async run({ open: opened }) {
      const store = await opened();
      const old = Array.from({ length: 5 }, (_, index) =>
        story(`old-${index}`, [claim(), settle(index)], { bind: `req-${index}` }),
      );
      const kept = [
        story("young", [claim(), settle(1)], { at: start + 1_000 }),
        story("running", [claim()]),
        story("old-0", [claim(), settle(1)], { namespace: "else" }),
      ];
      const gone = story("gone", [open(immediate()), { type: "withdraw", note: "no" }]);
      for (const told of [...old, gone, ...kept]) await commitAll(store, told);
      const query = { namespace, before: start + 500 };
      same(await store.prune({ ...query, limit: 2 }), 2, "no more than asked");
      same(await store.prune(query), 4, "the rest of the old ones");
      same(await store.prune(query), 0, "then nothing is left to do");
      for (const told of kept) await unchanged(store, told);
      for (const told of [...old, gone]) {
        const ids = { namespace, caseId: told.caseId, requestId: null };
        const kase = (await store.read(ids)).stored?.case;
        ensure(kase?.state === "RETIRED", "an old finished case is a tombstone");
        same(kase.version, (told.steps.at(-1)?.next.version ?? 0) + 1, "one version on");
        same(await store.history(namespace, told.caseId), [], "its journal is gone");
        same(await store.commit(told.steps.slice(0, 1)), false, "its id can't be used again");
      }
      const request = { namespace, caseId: null, requestId: "req-0" as RequestId };
      same((await store.read(request)).bound, "old-0", "its request still leads to it");
    },
  },
  {
    heading: "prune turns finished cases into tombstones",
    name: "that vouch for themselves, and for what is gone",
    async run({ open: opened }) {
      const store = await opened();
      const told = story("a", [claim(), settle({ sum: 1 })], { bind: "request" });
      // Bound to the request of its own name, which no entry tells.
      const own = story("own", [open(immediate()), { type: "withdraw", note: "no" }]);
      const withRequests = [[told, ["request"]] as const, [own, ["own"]] as const];
      for (const [one] of withRequests) await commitAll(store, one);
      same(await store.prune({ namespace, before: start + 500 }), 2, "both are pruned");
      for (const [{ caseId, steps }, requests] of withRequests) {
        const { stored } = await store.read({ namespace, caseId, requestId: null });
        const last = steps.at(-1);
        ensure(stored?.case.state === "RETIRED", "an old finished case is a tombstone");
        ensure(last !== undefined && "receipt" in last.next, "(a story with an end)");
        const { receiptHash, journalHash } = stored.case;
        const wanted = await sha256(JSON.stringify(last.next.receipt));
        same(receiptHash, wanted, "it keeps the hash of its receipt");
        same(journalHash, last.head, "it keeps the hash of its last entry");
        same(stored.case.requests, requests, "it keeps the names of its requests");
        same(stored.head, await sha256(JSON.stringify(stored.case)), "its head is its own hash");
      }
    },
  },
  {
    heading: "prune turns finished cases into tombstones",
    name: "and positions of the feed never come back",
    async run({ open: opened }) {
      const store = await opened();
      await commitAll(store, story("stays", [claim()]));
      await commitAll(store, story("goes", [claim(), settle(1)]));
      const last = (await wholeFeed(store)).at(-1)?.position ?? 0;
      same(await store.prune({ namespace, before: start + 500 }), 1, "one is pruned");
      await commitAll(store, story("next", [claim()]));
      const after = await store.journal({ namespace, after: last });
      same(after.length, 1, "who has read up to the pruned ones sees the next one");
      same((await wholeFeed(store)).length, 2, "the feed has what is left");
    },
  },
  {
    heading: "prune turns finished cases into tombstones",
    name: "unless they changed meanwhile",
    async run({ open: opened }) {
      const store = await opened();
      const tales = Array.from({ length: 30 }, (_, index) =>
        story(`case-${index}`, [
          claim(),
          settle(1),
          { type: "late_result", fence: 1, valueForm: "exact" },
        ]),
      );
      for (const told of tales)
        for (const step of told.steps.slice(0, 2)) await store.commit([step]);
      const pruning = store.prune({ namespace, before: start + 500 });
      const late = await Promise.all(tales.map((told) => store.commit(told.steps.slice(2))));
      const pruned = await pruning;
      let tombstones = 0;
      for (const [index, told] of tales.entries()) {
        const ids = { namespace, caseId: told.caseId, requestId: null };
        const kase = (await store.read(ids)).stored?.case;
        if (kase?.state === "RETIRED") tombstones += 1;
        else same(late[index], true, "a case is a tombstone, or took the late step");
      }
      same(pruned, tombstones, "it says how many it turned");
    },
  },
  {
    heading: "tells its listeners",
    name: "after a commit, of this connection or another, until they leave",
    async run(world) {
      const store = await world.open();
      if (store.subscribe === undefined) return;
      const writer = await world.another(store);
      for (const [index, by] of [store, writer].entries()) {
        let told = 0;
        const leave = store.subscribe(() => {
          told += 1;
        });
        await commitAll(by, story(`case-${index}`, [claim()]));
        for (let waits = 0; told === 0 && waits < 100; waits += 1) await pause(20);
        ensure(told > 0, "a listener hears of a commit");
        leave();
        await pause(150);
        const before = told;
        await commitAll(by, story(`more-${index}`, [claim()]));
        await pause(150);
        same(told, before, "one that left hears nothing");
      }
    },
  },
  {
    heading: "an unknown row is refused, not guessed",
    name: "whatever is wrong with it",
    needs: "damage",
    async run({ open: opened, options }) {
      const store = await opened();
      const told = story("a", [claim(), settle({ sum: 1 })]);
      await commitAll(store, told);
      const ids = { namespace, caseId: told.caseId, requestId: null };
      const record = JSON.stringify((await store.read(ids)).stored?.case);
      for (const [what, change] of damages) {
        const damaged = change(record);
        ensure(damaged !== record, `(the damage is one: ${what})`);
        await options.damage?.(store, told.caseId, () => damaged);
        await refused(() => store.read(ids), "store_corrupt", what);
        await refused(() => store.list({ namespace }), "store_corrupt", `in a list, too: ${what}`);
        const leftOut: string[] = [];
        const { items } = await store.list({
          namespace,
          refused: (error, caseId) => leftOut.push(`${error.code} ${caseId}`),
        });
        same([items, leftOut], [[], ["store_corrupt a"]], `left out where asked: ${what}`);
      }
      await options.damage?.(store, told.caseId, () => record);
      await unchanged(store, told);
    },
  },
  {
    heading: "a sound store finds nothing wrong with itself",
    name: "in whatever state its cases are",
    async run({ open: opened }) {
      const store = await opened();
      same((await store.check?.()) ?? [], [], "an empty store is sound");
      for (const told of everyState()) await commitAll(store, told);
      await commitAll(store, story("else", [claim()], { namespace: "else", bind: "request" }));
      await Promise.all(
        [1, 2, 3].map((by) => store.commit(story("r", [claim()], { by: `${by}` }).steps)),
      );
      await store.prune({ namespace, before: start + 500, limit: 3 });
      same((await store.check?.()) ?? [], [], "a store with cases in all states is sound");
    },
  },
  {
    heading: "a killed process loses nothing it was told true about",
    name: "and leaves nothing half done",
    needs: "killed",
    async run({ options }) {
      const recovered = await options.killed?.();
      ensure(recovered !== undefined, "(a process was killed)");
      const { store, acknowledged } = recovered;
      try {
        ensure(acknowledged.length > 0, "(it was told true about something)");
        for (const { namespace: space, caseId, version } of acknowledged) {
          const { stored } = await store.read({ namespace: space, caseId, requestId: null });
          ensure(stored !== null, `${caseId} was acknowledged and is lost`);
          ensure(stored.case.version >= version, `version ${version} of ${caseId} is lost`);
          const history = await store.history(space, caseId);
          same(history.length, stored.case.entries, "its journal is whole");
        }
      } finally {
        await store.close();
      }
    },
  },
  {
    heading: "closed means closed",
    name: "every later call throws store_unavailable",
    async run({ open: opened }) {
      const store = await opened();
      await commitAll(store, story("a", [claim()]));
      await store.close();
      const calls: (readonly [string, () => unknown])[] = [
        ["now", () => store.now()],
        ["read", () => store.read({ namespace, caseId: "a" as CaseId, requestId: null })],
        ["commit", () => store.commit(story("b", [claim()]).steps)],
        ["list", () => store.list({ namespace })],
        ["history", () => store.history(namespace, "a" as CaseId)],
        ["journal", () => store.journal({ namespace, after: 0 })],
        ["end", () => store.end(namespace)],
        ["prune", () => store.prune({ namespace, before: start })],
      ];
      if (store.check !== undefined) calls.push(["check", () => store.check?.()]);
      for (const [name, call] of calls)
        await refused(call, "store_unavailable", `${name} is closed`);
      await store.close();
    },
  },
  {
    heading: "closed means closed",
    name: "but what is queued is written first",
    needs: "durable",
    async run(world) {
      const store = await world.open();
      const tales = Array.from({ length: 50 }, (_, index) => story(`case-${index}`, [claim()]));
      const answers = tales.map((told) => store.commit(told.steps));
      await store.close();
      same((await Promise.all(answers)).every(Boolean), true, "each is answered");
      const again = await world.another(store);
      for (const told of tales) await unchanged(again, told);
      const entries: readonly JournalEntry[] = await wholeFeed(again);
      same(entries.length, 50, "and is there when it is opened again");
    },
  },
];

function edited(edit: (record: Record<string, never>) => void): (record: string) => string {
  return (record) => {
    const value = JSON.parse(record) as Record<string, never>;
    edit(value);
    return JSON.stringify(value);
  };
}

const set = (record: Record<string, never>, member: string, value: unknown): void => {
  Object.assign(record, { [member]: value });
};

const damages: readonly (readonly [what: string, change: (record: string) => string])[] = [
  ["no JSON", (record) => record.slice(0, -1)],
  ["empty", () => ""],
  ["no object", () => "null"],
  ["an unknown state", edited((record) => set(record, "state", "PAUSED"))],
  ["another state than its row", edited((record) => set(record, "state", "FINAL"))],
  ["another version than its row", edited((record) => set(record, "version", 7))],
  ["a version that is none", edited((record) => set(record, "version", "2"))],
  ["another case than its row", edited((record) => set(record, "caseId", "b"))],
  ["another namespace than its row", edited((record) => set(record, "namespace", "else"))],
  ["no receipt", edited((record) => Reflect.deleteProperty(record, "receipt"))],
  ["a receipt of nothing", edited((record) => set(record, "receipt", {}))],
  [
    "a receipt that says otherwise",
    edited((record) => set(record.receipt ?? {}, "effect", "none")),
  ],
  ["a fence that is none", edited((record) => set(record.receipt ?? {}, "fence", 0))],
  ["no payload", edited((record) => Reflect.deleteProperty(record.intent ?? {}, "payload"))],
  ["nothing of a queue", edited((record) => Reflect.deleteProperty(record.intent ?? {}, "queued"))],
  ["queued by nobody", edited((record) => set(record.intent ?? {}, "queued", ""))],
  ["an unknown effect class", edited((record) => set(record.receipt ?? {}, "effectClass", "sure"))],
  ["a member too many", edited((record) => set(record, "frozenBy", "ana"))],
  ["a member too many, inside", edited((record) => set(record.intent ?? {}, "dryRun", true))],
  ["a time that is none", edited((record) => set(record, "updatedAt", null))],
  ["nested without end", () => `${"[".repeat(200_000)}${"]".repeat(200_000)}`],
];

/** By the web's own cryptography, which every runtime has. */
async function sha256(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
