import { describe, expect, test } from "vitest";
import type { Entry, Platform, TransactionContext } from "../../src/index.ts";
import {
  createGuard,
  type Guard,
  GuardError,
  type GuardOptions,
  NotPerformed,
  type Store,
} from "../../src/index.ts";
import { withServer } from "../postgres/servers/with-server.ts";
import { grounds, type Place } from "./grounds.ts";
import { insert } from "./programs/deeds.ts";
import { errorOf, gated, pause, until, world } from "./world.ts";

const server = withServer();
const [sqlite, postgres] = grounds(server);

function guardOn(store: Store, options: GuardOptions = {}): Guard {
  return createGuard({ store, actor: "agent", waitMs: 5_000, ...options });
}

type Then = (ctx: TransactionContext) => unknown;

/** Writes a deed, then does `then`: on SQLite all of it at once. */
function writing(place: Place, then: Then = () => "done") {
  return (text: string, ctx: TransactionContext): unknown => {
    const written = insert(ctx.tx, place.address.table, text);
    return written instanceof Promise ? written.then(() => then(ctx)) : then(ctx);
  };
}

const order = (guard: Guard, id: string, run: ReturnType<typeof writing>, timeoutMs = 60_000) =>
  guard.execute({
    requestId: id,
    action: "order",
    payload: id,
    effect: "transactional",
    run,
    timeoutMs,
  });

const stateOf = async (guard: Guard, id: string) => (await guard.case(id).get())?.state;

describe.each([sqlite, postgres])("on $name", ({ place: at, name }) => {
  test("a transactional effect and its receipt commit together", async () => {
    const place = await at();
    const guard = guardOn(place.store());
    const outcome = await order(guard, "o1", writing(place));
    expect(outcome).toMatchObject({ status: "settled", replayed: false, recorded: true });
    const again = await order(guardOn(place.store()), "o1", writing(place));
    expect(again).toMatchObject({ status: "settled", replayed: true });
    expect(await place.deeds()).toEqual(["o1"]);
    const receipt = await guard.receipt("o1");
    expect(receipt).toMatchObject({ effect: "once", effectClass: "transactional", value: "done" });
    expect(await guard.verify()).toMatchObject({ ok: true });
  });

  const throws: readonly (readonly [what: string, then: Then, status: string, says: string])[] = [
    [
      "an error that says nothing",
      () => boom(new Error("socket hang up")),
      "not_performed",
      "socket hang up",
    ],
    ["NotPerformed", () => boom(new NotPerformed("no stock")), "not_performed", "no stock"],
    [
      "NotPerformed, for good",
      () => boom(new NotPerformed("closed", { final: true })),
      "void",
      "never will",
    ],
    ["what is no error", () => boom("text"), "not_performed", "text"],
  ];

  test.each(throws)("%s: nothing is left of it", async (_what, then, status, says) => {
    const place = await at();
    const guard = guardOn(place.store());
    const outcome = await order(guard, "o1", writing(place, then));
    expect(outcome).toMatchObject({ status, effect: "none" });
    expect(outcome).toHaveProperty("next", expect.stringContaining(says));
    expect(await place.deeds()).toEqual([]);
    expect((await guard.list({ states: ["IN_DOUBT"] })).items).toEqual([]);
    if (status === "void") return;
    expect(await order(guard, "o1", writing(place))).toMatchObject({ status: "settled" });
    expect(await place.deeds()).toEqual(["o1"]);
  });

  test("control: the same effect, opaque and by its own connection, disagrees with its case", async () => {
    const place = await at();
    const guard = guardOn(place.store());
    const outcome = await guard.execute({
      requestId: "o1",
      action: "order",
      payload: "o1",
      run: async (text) => {
        await place.deed(text);
        throw new Error("socket hang up");
      },
    });
    expect(outcome.status).toBe("in_doubt");
    expect(await place.deeds()).toEqual(["o1"]);
  });

  test("it can't land for a case that others have moved on, and everything is taken back", async () => {
    const place = await at();
    const guard = guardOn(place.store());
    const other = place.store();
    // The transaction begins after the claim: between the two the lease ends, by the other's clock.
    const store = place.store();
    const hurried = {
      ...store,
      async transaction(work: Parameters<NonNullable<Store["transaction"]>>[0]) {
        const far = createGuard({ store: other, clock: () => Date.now() + 3_600_000 });
        expect(await far.reconcile()).toMatchObject({ released: 1, doubted: 0 });
        return store.transaction?.(work);
      },
    } as Store;
    const outcome = await order(guardOn(hurried), "o1", writing(place));
    expect(outcome).toMatchObject({ status: "not_performed", effect: "none" });
    expect(await place.deeds()).toEqual([]);
    expect(await stateOf(guard, "o1")).toBe("FINAL");
    expect(await order(guard, "o1", writing(place))).toMatchObject({ status: "settled" });
    expect(await place.deeds()).toEqual(["o1"]);
  });

  test.each([
    ["landed", true],
    ["did not land", false],
  ])("a commit whose end is not known, and that %s, is found out", async (_how, lands) => {
    const place = await at();
    const store = place.store();
    const guard = guardOn(unsure(store, lands));
    const outcome = await order(guard, "o1", writing(place));
    expect(outcome.status).toBe(lands ? "settled" : "not_performed");
    expect(await place.deeds()).toEqual(lands ? ["o1"] : []);
    expect(await stateOf(guardOn(store), "o1")).toBe(lands ? "SETTLED" : "FINAL");
  });

  test.each([
    ["landed", true],
    ["did not land", false],
  ])(
    "where the store can't be asked either, and it %s: the caller is told so, and asking again answers",
    async (_how, lands) => {
      const place = await at();
      const store = place.store();
      let isAway = false;
      const flaky = unsure(store, lands, () => {
        isAway = true;
      });
      const guard = guardOn({
        ...flaky,
        read: (ids) => (isAway ? refusing() : store.read(ids)),
        commit: (steps) => (isAway ? refusing() : store.commit(steps)),
      });
      const error = await errorOf(order(guard, "o1", writing(place)));
      expect(error).toMatchObject({ code: "store_unavailable", effect: "unknown" });
      expect(error.message).toMatch(/^It may have been executed\./);
      expect(error.next).toContain("ask again");
      isAway = false;
      const again = await order(guard, "o1", writing(place));
      expect(again).toMatchObject({ status: "settled" });
      expect(await place.deeds()).toEqual(["o1"]);
      await guard.close();
    },
  );

  test("what is left of an earlier class in doubt is not repeated in a transaction", async () => {
    const place = await at();
    const guard = guardOn(place.store());
    const lost = await guard.execute({
      requestId: "o1",
      action: "order",
      payload: "o1",
      effect: "keyed",
      run: () => boom(new Error("the reply was lost")),
    });
    expect(lost.status).toBe("in_doubt");
    expect(await order(guard, "o1", writing(place))).toMatchObject({ status: "in_doubt" });
    expect(await place.deeds()).toEqual([]);
    expect(await stateOf(guard, "o1")).toBe("IN_DOUBT");
    const worker = guardOn(place.store());
    worker.wrap("order", { effect: "transactional", key: (id: string) => id, run: writing(place) });
    expect(await worker.reconcile()).toMatchObject({ inDoubt: 1, settled: 0 });
    expect(await place.deeds()).toEqual([]);
    const events = (await guard.history("o1")).map(({ entry }) => entry.event.type);
    expect(events).toEqual(["claim", "doubt"]);
  });

  test("nor where the doubt comes in the very moment of its claim", async () => {
    const place = await at();
    const store = place.store();
    const other = guardOn(place.store());
    let isFirst = true;
    const hurried: Store = {
      ...store,
      async commit(steps) {
        if (isFirst) {
          isFirst = false;
          await other.execute({
            requestId: "o1",
            action: "order",
            payload: "o1",
            effect: "idempotent",
            run: () => boom(new Error("the reply was lost")),
          });
        }
        return store.commit(steps);
      },
    };
    expect(await order(guardOn(hurried), "o1", writing(place))).toMatchObject({
      status: "in_doubt",
    });
    expect(await place.deeds()).toEqual([]);
    expect(await stateOf(other, "o1")).toBe("IN_DOUBT");
  });

  const scripts = [
    "COMMIT",
    " rollback",
    "begin immediate",
    "END",
    "Rollback Transaction",
    "/* paid */ COMMIT",
    "-- done\nCOMMIT",
    "; COMMIT",
    "SELECT 1; COMMIT; BEGIN",
  ];

  test.each(scripts)("%s is refused before it is sent", async (text) => {
    const place = await at();
    const guard = guardOn(place.store());
    const outcome = await order(
      guard,
      "o1",
      writing(place, ({ tx }) => command(tx, text)),
    );
    expect(outcome).toMatchObject({ status: "not_performed" });
    expect(outcome).toHaveProperty("next", expect.stringContaining("must not end its transaction"));
    expect(await place.deeds()).toEqual([]);
    const refusals: GuardError[] = [];
    const careless = writing(place, async ({ tx }) => {
      for (const send of ways(tx, text)) refusals.push(await errorOf(async () => send()));
    });
    // Where nothing can be waited for, what was refused is looked at afterwards.
    const sync = writing(place, ({ tx }) => {
      for (const send of ways(tx, text)) refusals.push(thrownBy(send));
    });
    const settled = await order(guard, "o1", name === "SQLite" ? sync : careless);
    expect(settled).toMatchObject({ status: "settled", receipt: { fence: 2 } });
    expect(refusals.map(({ code }) => code)).toEqual([
      "invalid_request",
      "invalid_request",
      "invalid_request",
    ]);
    expect(await place.deeds()).toEqual(["o1"]);
  });

  test("savepoints are the effect's own, and after it the transaction is nobody's", async () => {
    const place = await at();
    const guard = guardOn(place.store());
    let kept: unknown;
    const saved = await order(
      guard,
      "o1",
      writing(place, ({ tx }) => {
        kept = tx;
        return inOrder(tx, [
          "SAVEPOINT mine; SELECT 'COMMIT'",
          "ROLLBACK TO SAVEPOINT mine",
          "/* COMMIT */ RELEASE SAVEPOINT mine",
        ]);
      }),
    );
    expect(saved).toMatchObject({ status: "settled" });
    expect(await errorOf(async () => insert(kept, place.address.table, "late"))).toMatchObject({
      code: "invalid_request",
    });
    expect(await place.deeds()).toEqual(["o1"]);
  });

  test("a constraint that was put off to the end is told by its own name, and the store is well", async () => {
    const place = await at();
    const guard = guardOn(place.store());
    const { table } = place.address;
    const outcome = await order(
      guard,
      "o1",
      writing(place, ({ tx }) =>
        inOrder(tx, [
          `CREATE TABLE ${table}_of (id int PRIMARY KEY)`,
          `CREATE TABLE ${table}_in (id int REFERENCES ${table}_of DEFERRABLE INITIALLY DEFERRED)`,
          `INSERT INTO ${table}_in VALUES (7)`,
        ]),
      ),
    );
    expect(outcome).toMatchObject({ status: "not_performed", effect: "none" });
    const { next } = outcome as { next: string };
    expect(next).toMatch(/^Nothing was executed: [Ee]rror \w+: .*foreign key/i);
    expect(next.match(/Nothing was executed/g)).toHaveLength(1);
    expect(next).not.toMatch(/store|GuardError/);
    expect(await place.deeds()).toEqual([]);
  });

  test("waiting for a transaction is no attempt: it is begun when there is one", async () => {
    const place = await at();
    const store = place.store();
    let refused = 0;
    const busy: Store = {
      ...store,
      transaction(work, wait) {
        refused += 1;
        const [code] =
          refused % 2 === 0 ? (["store_contended"] as const) : (["store_unavailable"] as const);
        if (refused <= 5) return Promise.reject(new GuardError(code, "All are taken."));
        return store.transaction?.(work, wait) as never;
      },
    };
    const outcome = await order(guardOn(busy), "o1", writing(place));
    expect(outcome).toMatchObject({ status: "settled", receipt: { fence: 1 } });
    expect(await place.deeds()).toEqual(["o1"]);
  });

  test("a caller who waits in vain is told so, and what no waiting mends is not waited for", async () => {
    const place = await at();
    const store = place.store();
    let code: "store_contended" | "store_outdated" = "store_contended";
    let tries = 0;
    const taken: Store = {
      ...store,
      transaction() {
        tries += 1;
        return Promise.reject(new GuardError(code, "All are taken."));
      },
    };
    const guard = guardOn(taken, { platform: hasty });
    const outcome = await order(guard, "o1", writing(place));
    expect(outcome).toMatchObject({ status: "not_performed", effect: "none" });
    expect(outcome).toHaveProperty(
      "next",
      "Nothing was executed: it could not be started: All are taken. It may be asked again.",
    );
    expect(tries).toBeGreaterThan(1);
    tries = 0;
    code = "store_outdated";
    expect(await order(guard, "o1", writing(place))).toMatchObject({ status: "not_performed" });
    expect(tries).toBe(1);
    expect(await order(guardOn(store), "o1", writing(place))).toMatchObject({ status: "settled" });
  });

  test("a worker's attempts are those that were started", async () => {
    const place = await at();
    const store = place.store();
    let refused = 0;
    const guard = guardOn(
      {
        ...store,
        transaction(work, wait) {
          refused += 1;
          if (refused <= 3)
            return Promise.reject(new GuardError("store_outdated", "None is begun."));
          return store.transaction?.(work, wait) as never;
        },
      },
      { platform: { jitter: () => 0 } },
    );
    let starts = 0;
    guard.wrap("order", {
      effect: "transactional",
      key: (id: string) => id,
      maxAttempts: 2,
      run: writing(place, () => {
        starts += 1;
        throw new Error("out of stock");
      }),
    });
    await guard.enqueue({ requestId: "o1", action: "order", payload: "o1" });
    const end = new AbortController();
    const work = guard.work({ signal: end.signal, everyMs: 20 });
    await until(async () => (await stateOf(guard, "o1")) === "VOID");
    end.abort();
    await work;
    expect([refused, starts]).toEqual([5, 2]);
    expect(await place.deeds()).toEqual([]);
  });

  test("a probe or a reader of errors is refused", async () => {
    const place = await at();
    const guard = guardOn(place.store());
    for (const more of [{ probe: () => "unknown" }, { onError: () => "unknown" }]) {
      const call = { requestId: "o1", action: "order", payload: "o1", run: () => 1, ...more };
      const error = await errorOf(guard.execute({ ...call, effect: "transactional" } as never));
      expect(error.code).toBe("invalid_request");
    }
    expect(await guard.case("o1").get()).toBeUndefined();
  });

  test("the hook is told of its entries once they have landed", async () => {
    const place = await at();
    const told: string[] = [];
    const guard = guardOn(place.store(), {
      hooks: { committed: ({ caseId, event }) => void told.push(`${caseId} ${event.type}`) },
    });
    await order(
      guard,
      "o1",
      writing(place, () => boom(new Error("no"))),
    );
    await order(guard, "o2", writing(place));
    expect(told).toEqual(["o1 claim", "o1 release", "o2 claim", "o2 settle"]);
  });

  test("what it enqueues runs if it commits, and never if it doesn't", async () => {
    const place = await at();
    const guard = guardOn(place.store());
    const mail = (id: string) => ({ requestId: `mail-${id}`, action: "mail", payload: id });
    const enqueueing = (then: Then = () => "done") =>
      writing(place, (ctx) => {
        // On SQLite it can't be waited for; the guard does.
        const queued = guard.enqueue(ctx.tx as object, mail(ctx.caseId));
        return name === "SQLite" ? then(ctx) : queued.then(() => then(ctx));
      });
    await order(
      guard,
      "o1",
      enqueueing(() => boom(new Error("no"))),
    );
    expect(await stateOf(guard, "mail-o1")).toBeUndefined();
    expect(await order(guard, "o2", enqueueing())).toMatchObject({ status: "settled" });
    expect(await guard.case("mail-o2").get()).toMatchObject({
      state: "FINAL",
      intent: { queued: "mail-o2" },
    });
    // What can't be enqueued takes the effect back, too.
    await guard.enqueue({ ...mail("o3"), payload: "else" });
    const outcome = await order(guard, "o3", enqueueing());
    expect(outcome).toMatchObject({ status: "not_performed" });
    expect(await place.deeds()).toEqual(["o2"]);
  });

  test("another guard may enqueue in it, into its own namespace and the same store", async () => {
    const place = await at();
    const store = place.store();
    const guard = guardOn(store);
    const mails = guardOn(store, { namespace: "mails" });
    const stranger = guardOn(place.store());
    const call = { requestId: "m1", action: "mail", payload: 1 };
    const enqueueing = (by: Guard) =>
      writing(place, (ctx) => {
        const queued = by.enqueue(ctx.tx as object, call);
        return name === "SQLite" ? undefined : queued;
      });
    expect(await order(guard, "o1", enqueueing(mails))).toMatchObject({ status: "settled" });
    expect(await stateOf(mails, "m1")).toBe("FINAL");
    expect(await stateOf(guard, "m1")).toBeUndefined();
    expect(await order(guard, "o2", enqueueing(stranger))).toMatchObject({
      status: "not_performed",
    });
    expect(await mails.verify()).toMatchObject({ ok: true });
  });

  test("what is enqueued in the caller's own transaction is tied to it", async () => {
    const place = await at();
    const guard = guardOn(place.store());
    const mail = (id: string) => ({ requestId: id, action: "mail", payload: id });
    for (const how of ["ROLLBACK", "COMMIT"] as const) {
      const { tx, end } = await place.begin();
      await insert(tx, place.address.table, how);
      const outcome = await guard.enqueue(tx, mail(how));
      expect(outcome).toMatchObject({ status: "pending", case: { state: "FINAL" } });
      expect(outcome).toHaveProperty("next", expect.stringContaining("this transaction"));
      expect(await guard.enqueue(tx, mail(how))).toMatchObject({ status: "pending" });
      const conflict = await errorOf(guard.enqueue(tx, { ...mail(how), payload: "else" }));
      expect(conflict.code).toBe("payload_conflict");
      await end(how);
    }
    expect(await stateOf(guard, "ROLLBACK")).toBeUndefined();
    expect(await stateOf(guard, "COMMIT")).toBe("FINAL");
    expect(await place.deeds()).toEqual(["COMMIT"]);
    expect(await guard.history("COMMIT")).toHaveLength(1);
    expect(await guard.verify()).toMatchObject({ ok: true });
  });
});

describe("on a store where nothing can be waited for", () => {
  test("an effect that returns a promise is taken back, and refused", async () => {
    const place = await sqlite.place();
    const guard = guardOn(place.store());
    const run = async (text: string, ctx: TransactionContext) => {
      insert(ctx.tx, "deeds", text);
      await Promise.resolve();
      insert(ctx.tx, "deeds", "later");
    };
    const error = await errorOf(order(guard, "o1", run));
    expect(error).toMatchObject({ code: "invalid_request", effect: "none" });
    expect(error.message).toContain("promise");
    expect(await place.deeds()).toEqual([]);
    expect(await stateOf(guard, "o1")).toBe("FINAL");
    expect(await order(guard, "o1", writing(place))).toMatchObject({ status: "settled" });
  });

  test("an error that takes the whole transaction back lets nothing be written behind it", async () => {
    const place = await sqlite.place();
    const guard = guardOn(place.store());
    const errors: GuardError[] = [];
    const run = writing(place, ({ tx }) => {
      const statement = prepared(tx, "INSERT INTO deeds VALUES ('prepared')");
      command(tx, "CREATE TABLE one (id int PRIMARY KEY); INSERT INTO one VALUES (1)");
      expect(() => command(tx, "INSERT OR ROLLBACK INTO one VALUES (1)")).toThrow(/UNIQUE/);
      errors.push(thrownBy(() => insert(tx, "deeds", "behind it")));
      errors.push(thrownBy(() => statement.run()));
      throw new Error("given up");
    });
    expect(await order(guard, "o1", run)).toMatchObject({ status: "not_performed" });
    expect(errors.map(({ code }) => code)).toEqual(["invalid_request", "invalid_request"]);
    expect(await place.deeds()).toEqual([]);
  });

  test("a prepared statement ends with the transaction it was prepared in", async () => {
    const place = await sqlite.place();
    const guard = guardOn(place.store());
    let kept: ReturnType<typeof prepared> | undefined;
    const run = writing(place, ({ tx }) => {
      kept = prepared(tx, "INSERT INTO deeds VALUES (?)");
      // A value is none of its SQL.
      kept.run("COMMIT");
    });
    expect(await order(guard, "o1", run)).toMatchObject({ status: "settled" });
    expect(thrownBy(() => kept?.run("late")).code).toBe("invalid_request");
    expect(await place.deeds()).toEqual(["COMMIT", "o1"]);
  });
});

describe("an effect that ends its transaction behind the guard's back", () => {
  /** The store's own handle comes to the effect by another way than `ctx.tx`. */
  function leaking(store: Store): { readonly store: Store; readonly raw: () => unknown } {
    let raw: unknown;
    const leaky: Store = {
      ...store,
      transaction: (work, wait) =>
        store.transaction?.((tx) => {
          raw = tx.handle;
          return work(tx);
        }, wait) as never,
    };
    return { store: leaky, raw: () => raw };
  }

  /** Runs it from the queue until its case stands still; how often it was started. */
  async function worked(place: Place, then: (raw: unknown) => unknown) {
    const { store, raw } = leaking(place.store());
    const failures: unknown[] = [];
    const guard = guardOn(store, {
      platform: { jitter: () => 0 },
      hooks: { failed: (_, error) => void failures.push(error) },
    });
    let starts = 0;
    guard.wrap("order", {
      effect: "transactional",
      key: (id: string) => id,
      maxAttempts: 3,
      run: writing(place, () => {
        starts += 1;
        return then(raw());
      }),
    });
    await guard.enqueue({ requestId: "q1", action: "order", payload: "q1" });
    const end = new AbortController();
    const work = guard.work({ signal: end.signal, everyMs: 5 });
    await until(() => failures.length > 0);
    // Long enough for all the attempts that it may have.
    await pause(400);
    end.abort();
    await work;
    return { guard, failures, starts: () => starts };
  }

  test("has happened where that is known: its receipt is written apart, and it is told of", async () => {
    const place = await postgres.place();
    const { store, raw } = leaking(place.store());
    const told: string[] = [];
    const hooks = { committed: ({ event }: Entry) => void told.push(event.type) };
    const guard = guardOn(store, { hooks });
    const run = writing(place, async () => {
      await command(raw(), "COMMIT");
      return "paid";
    });
    const error = await errorOf(order(guard, "o1", run));
    expect(error).toMatchObject({ code: "invalid_request", effect: "unknown" });
    expect(error.message).toMatch(/^It was executed\. .*ended its transaction itself/);
    expect(told).toEqual(["claim", "settle"]);
    expect(await order(guard, "o1", run)).toMatchObject({
      status: "settled",
      replayed: true,
      receipt: { value: "paid", source: "effect" },
    });
    expect(await place.deeds()).toEqual(["o1"]);
  });

  test("and no worker runs it again", async () => {
    const place = await postgres.place();
    const { guard, failures, starts } = await worked(place, (raw) => command(raw, "COMMIT"));
    expect(starts()).toBe(1);
    expect(failures).toMatchObject([{ code: "invalid_request", effect: "unknown" }]);
    expect(await stateOf(guard, "q1")).toBe("SETTLED");
    expect(await place.deeds()).toEqual(["q1"]);
  });

  test("has happened by half where it fails after that: nobody knows, and no worker runs it again", async () => {
    const place = await postgres.place();
    const { guard, failures, starts } = await worked(place, async (raw) => {
      await command(raw, "COMMIT; BEGIN");
      throw new Error("and then?");
    });
    expect(starts()).toBe(1);
    expect(failures).toMatchObject([{ code: "invalid_request", effect: "unknown" }]);
    expect((failures[0] as GuardError).message).toMatch(/^It may have been executed\./);
    expect(await guard.case("q1").get()).toMatchObject({
      state: "IN_DOUBT",
      doubt: { reason: "ended_itself", probeAt: null },
    });
    expect(await place.deeds()).toEqual(["q1"]);
  });

  test("has not happened where it was rolled back", async () => {
    const place = await postgres.place();
    const { store, raw } = leaking(place.store());
    const guard = guardOn(store);
    const outcome = await order(
      guard,
      "o1",
      writing(place, () => command(raw(), "ROLLBACK")),
    );
    expect(outcome).toMatchObject({ status: "not_performed", effect: "none" });
    expect(await order(guard, "o1", writing(place))).toMatchObject({ status: "settled" });
    expect(await place.deeds()).toEqual(["o1"]);
  });

  test("may have happened where the database doesn't tell: no worker runs it again", async () => {
    const place = await sqlite.place();
    const { guard, failures, starts } = await worked(place, (raw) => void command(raw, "COMMIT"));
    expect(starts()).toBe(1);
    expect(failures).toMatchObject([{ code: "invalid_request", effect: "unknown" }]);
    expect((failures[0] as GuardError).message).toContain("ended its transaction itself");
    expect(await guard.case("q1").get()).toMatchObject({
      state: "IN_DOUBT",
      doubt: { reason: "ended_itself", probeAt: null },
    });
    expect(await place.deeds()).toEqual(["q1"]);
  });
});

describe("on a store where it can", () => {
  test("an effect that takes too long is taken back, whatever it does later", async () => {
    const place = await postgres.place();
    const guard = guardOn(place.store());
    const gate = gated<void>();
    let late: unknown;
    const outcome = await order(
      guard,
      "o1",
      writing(place, async (ctx) => {
        await gate.run("o1", ctx);
        late = await Promise.resolve()
          .then(() => insert(ctx.tx, place.address.table, "late"))
          .catch((error: unknown) => error);
      }),
      20,
    );
    expect(outcome).toMatchObject({ status: "not_performed", effect: "none" });
    expect(gate.starts[0]?.ctx.signal.aborted).toBe(true);
    gate.finish();
    await until(() => late !== undefined);
    expect(late).toMatchObject({ code: "invalid_request" });
    expect(await place.deeds()).toEqual([]);
  });

  test("an effect whose claim is lost is taken back", async () => {
    const place = await postgres.place();
    const guard = guardOn(place.store(), { leaseMs: 200 });
    const gate = gated<void>();
    const running = order(
      guard,
      "o1",
      writing(place, (ctx) => gate.run("o1", ctx)),
    );
    await gate.started;
    const far = createGuard({ store: place.store(), clock: () => Date.now() + 3_600_000 });
    expect(await far.reconcile()).toMatchObject({ released: 1 });
    expect(await running).toMatchObject({ status: "not_performed", effect: "none" });
    expect(gate.starts[0]?.ctx.signal.aborted).toBe(true);
    gate.finish();
    expect(await order(guard, "o1", writing(place))).toMatchObject({ status: "settled" });
    expect(await place.deeds()).toEqual(["o1"]);
  });

  test("a zombie that knows of nothing can't land, and its writes are taken back", async () => {
    const place = await postgres.place();
    const guard = guardOn(place.store());
    const gate = gated<void>();
    const zombie = order(
      guard,
      "o1",
      writing(place, (ctx) => gate.run("o1", ctx)),
    );
    await gate.started;
    // Its lease is long and not renewed yet: nothing but the case's version tells it.
    const far = createGuard({ store: place.store(), clock: () => Date.now() + 3_600_000 });
    const second = await order(far, "o1", async (_, { tx }) =>
      insert(tx, place.address.table, "by the second"),
    );
    expect(second).toMatchObject({ status: "settled", receipt: { fence: 2 } });
    gate.finish();
    expect(await zombie).toMatchObject({ status: "settled", receipt: { fence: 2 } });
    expect(await place.deeds()).toEqual(["by the second"]);
  });

  test("a renewal that finds the case settled by this very commit reports no loss", async () => {
    const place = await postgres.place();
    const store = place.store();
    let reads = 0;
    const slow: Store = {
      ...store,
      async transaction(work) {
        const done = await store.transaction?.(work);
        // The answer of the commit is on its way for more than a renewal.
        await new Promise((resolve) => setTimeout(resolve, 400));
        return done as never;
      },
      read(ids) {
        reads += 1;
        return store.read(ids);
      },
    };
    const losses: unknown[] = [];
    const leaseLost = (kase: unknown) => void losses.push(kase);
    const guard = guardOn(slow, { leaseMs: 300, hooks: { leaseLost } });
    expect(await order(guard, "o1", writing(place))).toMatchObject({ status: "settled" });
    expect([losses, reads]).toEqual([[], 0]);
  });

  test("a lease that is renewed meanwhile does no harm", async () => {
    const place = await postgres.place();
    const store = place.store();
    let renewals = 0;
    const counting: Store = {
      ...store,
      commit(steps) {
        if (steps[0]?.entry === null) renewals += 1;
        return store.commit(steps);
      },
    };
    const outcome = await order(
      guardOn(counting, { leaseMs: 300 }),
      "o1",
      writing(place, () => until(() => renewals >= 2)),
    );
    expect(outcome).toMatchObject({ status: "settled" });
    expect(await place.deeds()).toEqual(["o1"]);
  });
});

describe("on a store without transactions", () => {
  test("it is refused before anything is claimed", async () => {
    const { guard } = world();
    const call = { requestId: "o1", action: "order", payload: 1, run: () => 1 } as const;
    const error = await errorOf(guard.execute({ ...call, effect: "transactional" }));
    expect(error).toMatchObject({ code: "invalid_request", effect: "none" });
    expect(await guard.case("o1").get()).toBeUndefined();
    const rules = { key: () => "o1", run: () => 1, effect: "transactional" } as const;
    expect(await errorOf(() => guard.wrap("order", rules))).toMatchObject({
      code: "invalid_request",
    });
  });
});

function boom(error: unknown): never {
  throw error;
}

/** Timers that a patient caller waits by are over soon. */
const hasty: Partial<Platform> = {
  after(ms, background, call) {
    const timer = setTimeout(call, ms >= 5_000 && !background ? 50 : ms);
    return () => clearTimeout(timer);
  },
};

function thrownBy(call: () => unknown): GuardError {
  try {
    call();
  } catch (error) {
    if (error instanceof GuardError) return error;
    throw error;
  }
  throw new Error("it did not throw");
}

/** One after the other, waited for where that is needed. */
function inOrder(tx: unknown, texts: readonly string[]): unknown {
  return texts.reduce<unknown>(
    (done, text) =>
      done instanceof Promise ? done.then(() => command(tx, text)) : command(tx, text),
    undefined,
  );
}

interface Prepared {
  run(...values: string[]): unknown;
}

function prepared(tx: unknown, text: string): Prepared {
  return (tx as { prepare(text: string): Prepared }).prepare(text);
}

/** Every way that a statement goes into a transaction. */
function ways(tx: unknown, text: string): readonly (() => unknown)[] {
  if ("exec" in (tx as object)) {
    const { createTagStore } = tx as { createTagStore?(): { run(sql: object): unknown } };
    return [
      () => command(tx, text),
      () => prepared(tx, text),
      () =>
        createTagStore === undefined ? command(tx, text) : createTagStore().run(templateOf(text)),
    ];
  }
  const { query } = tx as { query(text: unknown, values?: unknown[]): unknown };
  return [
    () => query(text, []),
    () => query({ text, values: [] }),
    () => query({ name: "end", text, rowMode: "array" }),
  ];
}

function templateOf(text: string): object {
  return Object.assign([text], { raw: [text] });
}

function command(tx: unknown, text: string): unknown {
  const at = tx as { exec?(text: string): void; query?(text: string): Promise<unknown> };
  return at.exec === undefined ? at.query?.(text) : at.exec(text);
}

/** The end of the first transaction is not told; it has landed, or was taken back. */
function unsure(store: Store, lands: boolean, then: () => void = () => undefined): Store {
  const lost = new Error("the connection broke");
  let isFirst = true;
  return {
    ...store,
    async transaction(work) {
      if (!isFirst) return store.transaction?.(work) as ReturnType<typeof work>;
      isFirst = false;
      await store
        .transaction?.(async (tx) => {
          await work(tx);
          if (!lands) throw lost;
        })
        .catch((error: unknown) => {
          if (error !== lost) throw error;
        });
      then();
      return refusing();
    },
  };
}

async function refusing(): Promise<never> {
  throw new GuardError("store_unavailable", "The server went away.");
}
