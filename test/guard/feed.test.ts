import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import type { Absent } from "../../src/core/case.ts";
import type { CaseId } from "../../src/core/identity.ts";
import { transition } from "../../src/core/transition.ts";
import {
  approval,
  type Case,
  type FeedEntry,
  type Guard,
  majority,
  NotPerformed,
  type SubscribeQuery,
} from "../../src/index.ts";
import { errorOf, gated, pause, until, world } from "./world.ts";

const done = (guard: Guard, requestId: string, action = "pay") =>
  guard.execute({ requestId, action, payload: requestId, run: () => "done" });

const explode = () => {
  throw new Error("reset");
};

describe("list", () => {
  test("in the order they were opened, a page at a time", async () => {
    const { guard } = world();
    const ids = Array.from({ length: 7 }, (_, at) => `r${9 - at}`);
    for (const id of ids) await done(guard, id);
    const seen: string[] = [];
    let pages = 0;
    let after: string | undefined;
    do {
      const page = await guard.list({ limit: 3, ...(after === undefined ? {} : { after }) });
      seen.push(...page.items.map(({ caseId }) => caseId));
      after = page.next ?? undefined;
      pages += 1;
    } while (after !== undefined);
    expect(seen).toEqual(ids);
    expect(pages).toBe(3);
  });

  test("a page stays what it was while others write", async () => {
    const { guard } = world();
    for (const id of ["a", "b", "c"]) await done(guard, id);
    const first = await guard.list({ limit: 2 });
    await done(guard, "0");
    await done(guard, "a2");
    const second = await guard.list({ limit: 10, after: first.next ?? "" });
    expect(second.items.map(({ caseId }) => caseId)).toEqual(["c", "0", "a2"]);
    expect(second.next).toBeNull();
  });

  test("100 where nothing is said", async () => {
    const { guard } = world();
    for (let at = 0; at < 101; at += 1) await done(guard, `r${at}`);
    const page = await guard.list();
    expect(page.items).toHaveLength(100);
    expect(page.next).not.toBeNull();
    expect((await guard.list({ limit: 1_000 })).items).toHaveLength(101);
  });

  test("by state, by action, by age, and by all of them", async () => {
    const { guard, turn } = world();
    await done(guard, "old", "pay");
    await guard.execute({ requestId: "doubt", action: "pay", payload: 1, run: explode });
    turn(1_000);
    await done(guard, "new", "pay");
    await done(guard, "mail", "send");
    await guard.case("open", {}).get();
    const ids = async (query: Parameters<Guard["list"]>[0]) =>
      (await guard.list(query)).items.map(({ caseId }) => caseId);
    expect(await ids({})).toEqual(["old", "doubt", "new", "mail", "open"]);
    expect(await ids({ states: ["SETTLED"] })).toEqual(["old", "new", "mail"]);
    expect(await ids({ states: ["IN_DOUBT", "OPEN"] })).toEqual(["doubt", "open"]);
    expect(await ids({ states: [] })).toEqual([]);
    expect(await ids({ action: "send" })).toEqual(["mail"]);
    expect(await ids({ olderThanMs: 999 })).toEqual(["old", "doubt"]);
    expect(await ids({ olderThanMs: 1_000 })).toEqual([]);
    expect(await ids({ states: ["SETTLED"], action: "pay", olderThanMs: 1 })).toEqual(["old"]);
  });

  test.each([0, -1, 0.5, 1_001, Number.NaN])("a limit of %s is refused", async (limit) => {
    expect((await errorOf(world().guard.list({ limit }))).code).toBe("invalid_request");
  });
});

/** Brings cases to every end the guard knows, by way of all that a case can go through. */
async function busy() {
  const made = world();
  const { guard, another, turn } = made;
  await done(guard, "plain");
  await guard.execute({
    requestId: "again",
    caseId: "plain",
    action: "pay",
    payload: "plain",
    run: explode,
  });
  let tries = 0;
  const flaky = () => {
    tries += 1;
    if (tries === 1) throw new NotPerformed("busy");
    return { tries, nothing: undefined };
  };
  const call = { requestId: "flaky", action: "pay", payload: { b: 1, a: [null, 1.5] }, run: flaky };
  await guard.execute(call);
  await guard.execute(call);
  const kase = guard.case("voted", {
    outcomes: ["YES", "NO"],
    policy: majority({ quorum: 2 }),
    action: "pay",
    payload: 1,
  });
  await kase.signal({ source: "a", outcome: "YES" });
  await kase.signal({ source: "b", outcome: "NO" });
  await kase.decide("YES", { by: "ana", reason: "seen" });
  await kase.signal({ source: "c", outcome: "NO" });
  await kase.settle({ requestId: "voted-1", action: "pay", payload: 1, run: () => 1 });
  await kase.signal({ source: "d", outcome: "NO" });
  const policy = approval({ need: 2, expiresIn: 1_000 });
  for (const requestId of ["denied", "expired", "withdrawn", "waits"]) {
    await guard.execute({ requestId, action: "pay", payload: 1, run: explode, policy });
  }
  await guard.approve("denied", { actor: "ben", note: "fine" });
  await guard.deny("denied", { actor: "cleo" });
  await guard.case("withdrawn").withdraw({ by: "ana", reason: "no" });
  turn(1_000);
  await guard.approve("waits", { actor: "ben" }).catch(() => undefined);
  await guard.reconcile();
  for (const requestId of ["doubt", "happened", "absent"]) {
    await guard.execute({ requestId, action: "pay", payload: 1, run: explode });
  }
  const word = { by: "ana", evidence: "seen" };
  await guard.resolve("happened", { happened: true, value: 7 }, word);
  await guard.resolve("absent", { happened: false }, word);
  for (const [requestId, answer] of [
    ["probed", { happened: true, value: "found" }],
    ["unprobed", "unknown"],
  ] as const) {
    const probed = { requestId, action: "pay", payload: 1, run: explode, waitMs: 0 };
    const rest = { probe: () => answer, settlingMs: 0 };
    await guard.execute({ ...probed, ...rest });
    await guard.execute({ ...probed, ...rest });
  }
  const late = gated();
  const lost = guard.execute({ requestId: "late", action: "pay", payload: 1, run: late.run });
  await late.started;
  turn(30_000);
  const other = another();
  await other.reconcile();
  await other.resolve("late", { happened: false }, word);
  await other.execute({ requestId: "late", action: "pay", payload: 1, run: () => "second" });
  late.finish("first");
  await lost;
  void other.execute({
    requestId: "runs",
    action: "pay",
    payload: 1,
    run: () => new Promise(() => {}),
  });
  await until(async () => (await guard.list({ states: ["EXECUTING"] })).items.length === 1);
  const { items } = await guard.list();
  return { ...made, cases: items };
}

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

function replayed(names: { namespace: string; caseId: string }, entries: readonly FeedEntry[]) {
  let kase: Case | Absent = {
    state: "ABSENT",
    namespace: names.namespace,
    caseId: names.caseId as CaseId,
  };
  for (const { entry } of entries) {
    // A renewal adds a version and no entry.
    if (kase.state === "EXECUTING") kase = { ...kase, version: entry.version - 1 };
    const answer = transition(kase, entry.event);
    if (!answer.ok) throw new Error(`${names.caseId}: ${answer.refusal}`);
    kase = answer.next;
    expect([kase.version, kase.state, kase.entries]).toEqual([
      entry.version,
      entry.state,
      entry.sequence,
    ]);
  }
  return kase;
}

describe("history", () => {
  test("is a chain: each entry names the hash of the one before", async () => {
    const { guard, store, cases } = await busy();
    expect(cases).toHaveLength(14);
    for (const { caseId, namespace } of cases) {
      const history = await guard.history(caseId);
      expect(history.length).toBeGreaterThan(0);
      let previous: string | null = null;
      for (const [index, { entry, text }] of history.entries()) {
        expect(JSON.parse(text)).toEqual(entry);
        expect(entry).toMatchObject({ v: 1, sequence: index + 1, namespace, caseId, previous });
        previous = sha256(text);
      }
      const ids = { namespace, caseId: caseId as CaseId, requestId: null };
      expect((await store.read(ids)).stored?.head).toBe(previous);
    }
  });

  test("played through the machine it gives exactly the stored case", async () => {
    const { guard, cases } = await busy();
    const states = new Set<string>();
    for (const kase of cases) {
      states.add(kase.state);
      const again = replayed(kase, await guard.history(kase.caseId));
      expect(JSON.stringify(again)).toBe(JSON.stringify(kase));
    }
    expect(states).toEqual(new Set(["SETTLED", "VOID", "FINAL", "IN_DOUBT", "EXECUTING"]));
  });

  test("also where the lease was renewed, but for what a renewal changes", async () => {
    const { guard, turn } = world({ leaseMs: 30 });
    const effect = gated();
    const call = guard.execute({ requestId: "r1", action: "pay", payload: 1, run: effect.run });
    await effect.started;
    turn(10);
    await until(async () => ((await guard.case("r1").get())?.version ?? 0) >= 3);
    const running = await guard.case("r1").get();
    if (running?.state !== "EXECUTING") throw new Error(running?.state);
    const { version, leaseUntil, updatedAt, ...same } = running;
    const again = replayed(running, await guard.history("r1"));
    expect(again).toEqual({
      ...same,
      version: 1,
      leaseUntil: leaseUntil - 10,
      updatedAt: updatedAt - 10,
    });
    effect.finish("done");
    await call;
    const kase = await guard.case("r1").get();
    expect(replayed(running, await guard.history("r1"))).toEqual(kase);
    expect(kase?.version).toBeGreaterThan(version);
  });

  test("of a case that was never opened is empty", async () => {
    expect(await world().guard.history("ghost")).toEqual([]);
    expect((await errorOf(world().guard.history(""))).code).toBe("invalid_request");
  });
});

/** Takes so many entries of a feed, then ends it. */
async function take(guard: Guard, count: number, query: SubscribeQuery = {}) {
  const entries: FeedEntry[] = [];
  for await (const one of guard.subscribe(query)) {
    entries.push(one);
    if (entries.length === count) break;
  }
  return entries;
}

const namesOf = (entries: readonly FeedEntry[]) =>
  entries.map(({ entry }) => `${entry.caseId} ${entry.event.type}`);

describe("subscribe", () => {
  test("from the beginning: every entry, in the order it was written", async () => {
    const { guard, store, cases } = await busy();
    const histories = await Promise.all(cases.map(({ caseId }) => guard.history(caseId)));
    const all = histories.flat().sort((left, right) => left.position - right.position);
    expect(await take(guard, all.length, { after: 0 })).toEqual(all);
    expect(await store.end("default")).toBe(all.at(-1)?.position);
  });

  test("more entries than one look brings", async () => {
    const { guard } = world();
    for (let at = 0; at < 120; at += 1) await done(guard, `r${at}`);
    const names = namesOf(await take(guard, 240, { after: 0 }));
    expect(new Set(names).size).toBe(240);
    expect(names.at(-1)).toBe("r119 settle");
  });

  test("from now, where nothing is said", async () => {
    const { guard } = world();
    await done(guard, "before");
    const feed = guard.subscribe()[Symbol.asyncIterator]();
    const next = feed.next();
    await pause(1);
    await done(guard, "after");
    expect((await next).value).toMatchObject({ entry: { caseId: "after" } });
    expect((await feed.next()).value).toMatchObject({ entry: { event: { type: "settle" } } });
    await feed.return?.();
  });

  test("resumes after a position, missing and repeating nothing", async () => {
    const { guard } = world();
    for (const id of ["a", "b"]) await done(guard, id);
    const first = await take(guard, 3, { after: 0 });
    await done(guard, "c");
    const rest = await take(guard, 3, { after: first.at(-1)?.position ?? 0 });
    expect(namesOf([...first, ...rest])).toEqual([
      "a claim",
      "a settle",
      "b claim",
      "b settle",
      "c claim",
      "c settle",
    ]);
  });

  test("of one case alone", async () => {
    const { guard } = world();
    const feed = take(guard, 4, { after: 0, caseId: "b" });
    for (const id of ["a", "b", "c"]) await done(guard, id);
    const kase = guard.case("b");
    for (const by of ["x", "y"]) {
      await guard.execute({
        requestId: by,
        caseId: "b",
        action: "pay",
        payload: "b",
        run: explode,
      });
    }
    expect((await kase.get())?.entries).toBe(4);
    expect(namesOf(await feed)).toEqual(["b claim", "b settle", "b ask", "b ask"]);
  });

  test("ends when its signal is aborted: while it waits, and between two entries", async () => {
    const { guard } = world();
    const end = new AbortController();
    const seen: FeedEntry[] = [];
    const feed = (async () => {
      for await (const one of guard.subscribe({ after: 0, signal: end.signal })) seen.push(one);
    })();
    await done(guard, "a");
    await until(() => seen.length === 2);
    end.abort();
    await feed;
    await done(guard, "b");
    const early = new AbortController();
    const few: FeedEntry[] = [];
    for await (const one of guard.subscribe({ after: 0, signal: early.signal })) {
      few.push(one);
      early.abort();
    }
    expect([seen.length, few.length]).toEqual([2, 1]);
    for await (const one of guard.subscribe({ after: 0, signal: AbortSignal.abort() }))
      few.push(one);
    expect(few).toHaveLength(1);
  });

  test("hears what another guard on the same store writes", async () => {
    const { guard, another } = world();
    const feed = take(guard, 2, { after: 0 });
    await pause(1);
    await done(another({ actor: "other" }), "a");
    expect((await feed).map(({ entry }) => entry.event.by)).toEqual(["other", "other"]);
  });

  test("hears it without a hint from the store", async () => {
    const { store, another } = world();
    const { subscribe: _, ...mute } = store;
    const feed = take(another({ store: mute }), 2, { after: 0 });
    await pause(1);
    await done(another(), "a");
    expect(namesOf(await feed)).toEqual(["a claim", "a settle"]);
  });

  test("what one guard wrote the other replays, and both list it", async () => {
    const { guard, another } = world();
    const other = another();
    const first = await done(guard, "a");
    const run = explode;
    expect(await other.execute({ requestId: "a", action: "pay", payload: "a", run })).toEqual({
      ...first,
      replayed: true,
    });
    expect(await other.list()).toEqual(await guard.list());
    expect(await other.history("a")).toEqual(await guard.history("a"));
  });
});
