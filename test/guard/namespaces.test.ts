import { expect, test } from "vitest";
import { createGuard, immediate, type Run } from "../../src/index.ts";
import { counted, errorOf, gated, pause, world } from "./world.ts";

const call = (run: Run<unknown, unknown>, payload: unknown = 1) => ({
  requestId: "r1",
  action: "pay",
  payload,
  run,
});

const pair = () => {
  const made = world();
  return { ...made, a: made.another({ namespace: "a" }), b: made.another({ namespace: "b" }) };
};

test("the same ids in two namespaces are two cases, with receipts of their own", async () => {
  const { a, b } = pair();
  const first = await a.execute(call(() => "in a"));
  const second = await b.execute(call(() => "in b", "another payload"));
  expect(first).toMatchObject({ receipt: { namespace: "a", value: "in a", fence: 1 } });
  expect(second).toMatchObject({ replayed: false, receipt: { namespace: "b", value: "in b" } });
  expect(await a.receipt("r1")).toMatchObject({ value: "in a" });
  expect(await b.receipt("r1")).toMatchObject({ value: "in b" });
});

test("the same payload has another fingerprint", async () => {
  const { a, b } = pair();
  await a.execute(call(() => 1));
  await b.execute(call(() => 1));
  const prints = [await a.receipt("r1"), await b.receipt("r1")].map((one) => one?.fingerprint);
  expect(new Set(prints).size).toBe(2);
});

test("none can read, decide or end what is another's", async () => {
  const { a, b } = pair();
  await a.execute(
    call(() => {
      throw new Error("reset");
    }),
  );
  expect(await b.case("r1").get()).toBeUndefined();
  expect(await b.receipt("r1")).toBeUndefined();
  expect(await b.history("r1")).toEqual([]);
  expect((await b.list()).items).toEqual([]);
  const resolved = b.resolve("r1", { happened: true }, { by: "ana", evidence: "seen" });
  expect((await errorOf(resolved)).code).toBe("not_found");
  const withdrawn = b.case("r1").withdraw({ by: "ana", reason: "no" });
  expect((await errorOf(withdrawn)).code).toBe("not_found");
  expect((await a.list()).items).toMatchObject([{ caseId: "r1", state: "IN_DOUBT" }]);
});

test("none waits for another", async () => {
  const { a, b } = pair();
  const effect = gated();
  const running = a.execute(call(effect.run));
  await effect.started;
  expect(await b.execute(call(() => "free"))).toMatchObject({ receipt: { value: "free" } });
  effect.finish("done");
  await running;
});

test("a sweep looks after its own", async () => {
  const { a, b, turn } = pair();
  const effect = counted(() => 1);
  void a.execute(call(() => new Promise(() => {})));
  await pause(1);
  turn(30_000);
  b.wrap("pay", { key: () => "r1", run: effect.run, effect: "idempotent" });
  expect(await b.reconcile()).toMatchObject({ doubted: 0, inDoubt: 0 });
  expect((await a.case("r1").get())?.state).toBe("EXECUTING");
  expect(await a.reconcile()).toMatchObject({ doubted: 1, inDoubt: 1 });
});

test("a feed carries its own", async () => {
  const { a, b } = pair();
  await a.execute(call(() => 1));
  await b.case("c2", { policy: immediate() }).get();
  await a.execute({ ...call(() => 1), requestId: "r2" });
  const seen: string[] = [];
  for await (const { entry } of a.subscribe({ after: 0 })) {
    seen.push(`${entry.namespace} ${entry.caseId}`);
    if (seen.length === 4) break;
  }
  expect(seen).toEqual(["a r1", "a r1", "a r2", "a r2"]);
});

test("no two pairs of names are taken for one", async () => {
  const { another } = world();
  const one = another({ namespace: "a b" });
  const two = another({ namespace: "a" });
  await one.execute({ ...call(() => 1), requestId: "c" });
  expect(await two.case("b c").get()).toBeUndefined();
  expect(await two.execute({ ...call(() => 2), requestId: "b c" })).toMatchObject({
    replayed: false,
  });
});

test.each(["", " ", "a\nb", "x".repeat(256), 7])(
  "a namespace is a name: %j is none",
  async (bad) => {
    const error = await errorOf(() => createGuard({ store: "memory:", namespace: bad as string }));
    expect(error.code).toBe("invalid_request");
    expect(error.message).toContain("`namespace`");
  },
);
