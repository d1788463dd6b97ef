import type { Store, StoreTransaction } from "../core/store.ts";
import type { Law, LawOptions } from "./law.ts";
import { ensure, refused, same } from "./law-check.ts";
import { commitAll, unchanged } from "./laws-writing.ts";
import { claim, type Story, settle, story } from "./store-cases.ts";

const namespace = "default";

/**
 * What a store must do with transactions that it shares. Between a transaction's begin and its end
 * nothing here waits for more than the store and the rows: some stores can't wait longer.
 */
export const transactionLaws: readonly Law[] = [
  {
    heading: "what is written through a transaction and its steps land together",
    name: "at its end, and not before",
    needs: "rows",
    async run(world) {
      const store = await world.open();
      const rows = rowsOf(world.options);
      const reader = await world.another(store);
      const told = story("a", [claim(), settle(1)], { bind: "req" });
      let before: unknown;
      let inside: unknown;
      const answer = await transact(store, async (tx) => {
        await rows.write(tx.handle, "a");
        for (const step of told.steps) ensure(await tx.commit([step]), "a step lands");
        ensure(Number.isSafeInteger(await tx.now()), "it tells the time");
        inside = (await tx.read(idsOf(told))).stored?.case;
        same((await tx.ended?.()) ?? "open", "open", "nobody has ended it");
        before = rows.alone === true ? null : (await reader.read(idsOf(told))).stored;
        return "done";
      });
      same(answer, "done", "the work's answer is the transaction's");
      same(inside, told.steps.at(-1)?.next, "it reads its own steps");
      same(before, null, "nobody else sees them before its end");
      await unchanged(reader, told);
      same(await rows.read(store), ["a"], "its row is there, too");
    },
  },
  {
    heading: "what is written through a transaction and its steps land together",
    name: "or not at all where the work throws, and its error comes out as it is",
    needs: "rows",
    async run({ open, options }) {
      const store = await open();
      const rows = rowsOf(options);
      const stays = story("stays", [claim(), settle(1)]);
      await commitAll(store, { ...stays, steps: stays.steps.slice(0, 1) });
      const feed = await store.end(namespace);
      const wrong = new Error("as meant");
      const thrown = await transact(store, async (tx) => {
        await rows.write(tx.handle, "a");
        await tx.commit(story("a", [claim()], { bind: "req" }).steps);
        await tx.commit(stays.steps.slice(1));
        throw wrong;
      }).catch((error: unknown) => error);
      ensure(thrown === wrong, "the work's own error comes out");
      same(await rows.read(store), [], "its row is gone");
      await unchanged(store, { ...stays, steps: stays.steps.slice(0, 1) }, "req");
      same(await store.end(namespace), feed, "the feed is as it was");
      same(await commitAll(store, story("a", [claim()], { bind: "req" })), true, "its id is free");
    },
  },
  {
    heading: "what is written through a transaction and its steps land together",
    name: "a step that is refused leaves no trace, and the rest goes on",
    needs: "rows",
    async run({ open, options }) {
      const store = await open();
      const rows = rowsOf(options);
      const stands = story("stands", [claim()], { bind: "bound" });
      await commitAll(store, stands);
      const kept = story("kept", [claim()]);
      const answers = await transact(store, async (tx) => {
        await rows.write(tx.handle, "before");
        const whole = await tx.commit(kept.steps);
        const again = await tx.commit(story("stands", [claim()], { by: "other" }).steps);
        const half = await tx.commit([
          ...story("half", [claim()]).steps,
          ...story("else", [claim()], { bind: "bound" }).steps,
        ]);
        await rows.write(tx.handle, "after");
        return [whole, again, half];
      });
      same(answers, [true, false, false], "each commit gets its own answer");
      await unchanged(store, kept);
      await unchanged(store, stands, "half");
      same(await rows.read(store), ["before", "after"], "what was written around it stays");
    },
  },
  {
    heading: "what is written through a transaction and its steps land together",
    name: "of several commits in flight one is refused: the others stand, and what was written between them",
    needs: "rows",
    async run({ open, options }) {
      const store = await open();
      const rows = rowsOf(options);
      const stands = story("stands", [claim()], { bind: "bound" });
      await commitAll(store, stands);
      const kept = ["a", "b", "c", "d"].map((id) => story(id, [claim(), settle(1)]));
      const taken = story("stands", [claim()], { by: "other" }).steps;
      const half = [
        ...story("half", [claim()]).steps,
        ...story("else", [claim()], { bind: "bound" }).steps,
      ];
      const answers = await transact(store, async (tx) => {
        const commits: Promise<boolean>[] = [];
        const written: (void | Promise<void>)[] = [];
        for (const [index, { caseId, steps }] of kept.entries()) {
          commits.push(tx.commit(steps));
          written.push(rows.write(tx.handle, caseId));
          commits.push(tx.commit(index % 2 === 0 ? taken : half));
        }
        await Promise.all(written);
        return Promise.all(commits);
      });
      same(answers.join(), kept.map(() => "true,false").join(), "each gets its own answer");
      for (const told of kept) await unchanged(store, told);
      await unchanged(store, stands, "half");
      same(await rows.read(store), ["a", "b", "c", "d"], "every row that was written stays");
    },
  },
  {
    heading: "what is written through a transaction and its steps land together",
    name: "many at once take turns, and each case has one winner",
    needs: "rows",
    async run(world) {
      const store = await world.open();
      const rows = rowsOf(world.options);
      const others = [store, await world.another(store), await world.another(store)];
      for (const other of others) await other.end(namespace);
      const tries = Array.from({ length: 24 }, async (_, index) => {
        const told = story(`case-${index % 8}`, [claim()], { by: `try-${index}` });
        const by = others[index % others.length] as Store;
        return transact(by, async (tx) => {
          await rows.write(tx.handle, told.caseId);
          if (!(await tx.commit(told.steps))) throw new Error("lost");
        }).then(
          () => 1,
          () => 0,
        );
      });
      const won = (await Promise.all(tries)).reduce<number>((sum, one) => sum + one, 0);
      same(won, 8, "one transaction of each case lands");
      const ids = Array.from({ length: 8 }, (_, index) => `case-${index}`);
      same([...(await rows.read(store))].sort(), ids, "and the rows of those are all there are");
    },
  },
  {
    heading: "what is written through a transaction and its steps land together",
    name: "who has left before his turn came is refused, and his work is never called",
    needs: "rows",
    async run({ open }) {
      const store = await open();
      const called: string[] = [];
      const signal = AbortSignal.abort();
      const gone = () => transact(store, async () => void called.push("gone"), { signal });
      await refused(gone, "store_contended", "nobody waits for it any more");
      const told = story("next", [claim()]);
      same(await transact(store, (tx) => tx.commit(told.steps)), true, "the next one lands");
      same(called, [], "the work of who has left was not called");
    },
  },
  {
    heading: "tells its listeners of a transaction",
    name: "after its end, and not before",
    needs: "rows",
    async run({ open }) {
      const store = await open();
      if (store.subscribe === undefined) return;
      await store.end(namespace);
      let told = 0;
      const leave = store.subscribe(() => {
        told += 1;
      });
      await pause(200);
      told = 0;
      const early = await transact(store, async (tx) => {
        await tx.commit(story("b", [claim()]).steps);
        return told;
      });
      same(early, 0, "nothing is told of what has not landed yet");
      for (let waits = 0; told === 0 && waits < 100; waits += 1) await pause(20);
      ensure(told > 0, "it is told once it has");
      leave();
    },
  },
  {
    heading: "steps land with a transaction that the caller has begun",
    name: "and ends himself, by a commit or a rollback",
    needs: "rows",
    async run({ open, options }) {
      const store = await open();
      const rows = rowsOf(options);
      for (const how of ["commit", "rollback"] as const) {
        const begun = await rows.begin(store);
        const tx = within(store, begun.handle);
        const told = story(how, [claim()], { bind: `req-${how}` });
        await rows.write(begun.handle, how);
        same(await tx.commit(told.steps), true, "the step lands");
        same(await tx.commit(told.steps), false, "once");
        same((await tx.read(idsOf(told))).stored?.case, told.steps[0]?.next, "it is read there");
        await begun.end(how);
        if (how === "commit") await unchanged(store, told);
        else same((await store.read(idsOf(told))).stored, null, "a rollback takes it back");
      }
      same(await rows.read(store), ["commit"], "as it does what was written beside it");
    },
  },
  {
    heading: "steps land with a transaction that the caller has begun",
    name: "what is no such transaction is invalid_request",
    needs: "rows",
    async run({ open }) {
      const store = await open();
      for (const handle of [undefined, null, 7, "BEGIN", {}, () => undefined]) {
        await refused(() => within(store, handle), "invalid_request", `no handle: ${handle}`);
      }
    },
  },
  {
    heading: "closed means closed",
    name: "for transactions, too; one under way is ended first",
    needs: "rows",
    async run({ open, options }) {
      const store = await open();
      const begun = await rowsOf(options).begin(store);
      await begun.end("rollback");
      const told = story("a", [claim()]);
      const running = transact(store, (tx) => tx.commit(told.steps));
      await store.close();
      same(await running, true, "what was begun has landed");
      const late = () => transact(store, async () => undefined);
      await refused(late, "store_unavailable", "no transaction is begun any more");
      await refused(() => within(store, begun.handle), "store_unavailable", "none is joined");
    },
  },
];

function rowsOf({ rows }: LawOptions): NonNullable<LawOptions["rows"]> {
  ensure(rows !== undefined, "(rows were given)");
  return rows;
}

async function transact<T>(
  store: Store,
  work: (tx: StoreTransaction) => Promise<T>,
  wait?: { readonly signal?: AbortSignal },
): Promise<T> {
  ensure(store.transaction !== undefined, "a store with rows has transactions");
  return store.transaction(work, wait);
}

function within(store: Store, handle: unknown): StoreTransaction {
  ensure(store.within !== undefined, "a store with transactions takes part in others'");
  return store.within(handle);
}

function idsOf({ caseId }: Story): Parameters<Store["read"]>[0] {
  return { namespace, caseId, requestId: null };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
