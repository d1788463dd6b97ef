import { describe, expect, onTestFinished, test } from "vitest";
import { approval, createGuard, type GuardError, memoryStore } from "../../src/index.ts";
import { adapters, type Order, type Refund, type Rules } from "./every-adapter.ts";

const order: Order = { orderId: "A1", cents: 500 };
const key = ({ orderId }: Order) => `refund:${orderId}`;

function newGuard(actor = "agent", store = memoryStore()) {
  const guard = createGuard({ store, actor, waitMs: 200 });
  onTestFinished(() => guard.close());
  return guard;
}

/** What the tool does is written here: outside of the guard. */
function ledger() {
  const refunds: Order[] = [];
  const refund: Refund = (given) => `re_${refunds.push(given)}`;
  return { refunds, refund };
}

/** Rules whose faults are kept. */
function listening(rules: Rules) {
  const faults: GuardError[] = [];
  return { faults, rules: { ...rules, onFault: (error: GuardError) => void faults.push(error) } };
}

const notNow =
  "Not executed. Do not call again now; say that it is not done, and continue with other work.";

describe.each(adapters)("$name", ({ make, userOf }) => {
  test.each([
    ["undefined", () => undefined],
    ["null", () => null],
    ["an empty text", () => ""],
    ["a number", () => 7],
    ["a promise", () => Promise.resolve("refund:A1")],
    ["a promise that fails", () => Promise.reject(new Error("no order"))],
    [
      "an error",
      () => {
        throw new TypeError("no order A1");
      },
    ],
  ])(
    "a key that gives %s: nothing runs, and the developer is told, not the model",
    async (_name, wrong) => {
      const { refund, refunds } = ledger();
      const { faults, rules } = listening({ key: wrong });
      const guard = newGuard();
      const call = make(guard, refund, rules);
      for (const id of ["call_1", "call_2", "call_1"]) expect(await call(order, id)).toBe(notNow);
      expect(refunds).toEqual([]);
      expect((await guard.list({})).items).toEqual([]);
      expect(faults).toHaveLength(3);
      expect(faults[0]).toMatchObject({ code: "invalid_request", effect: "none" });
      expect(faults[0]?.message).toContain('key of "refund"');
    },
  );

  test("two users with one order number: one gets the other's result, unless the key says whose it is", async () => {
    const { refund, refunds } = ledger();
    const bare = make(newGuard(), refund, { key });
    expect(await bare(order, "call_1", { user: "ana" })).toContain("re_1");
    expect(await bare(order, "call_2", { user: "ben" })).toContain("re_1");
    expect(refunds).toHaveLength(1);

    const guard = newGuard();
    const whose = (given: Order, context: never) => `${userOf(context)}:refund:${given.orderId}`;
    const call = make(guard, refund, { key: whose });
    expect(await call(order, "call_1", { user: "ana" })).toContain("re_2");
    expect(await call(order, "call_1", { user: "ben" })).toContain("re_3");
    expect(await call(order, "call_2", { user: "ana" })).toContain("re_2");
    expect(refunds).toHaveLength(3);
    expect(await guard.case("ben:refund:A1").get()).toMatchObject({ state: "SETTLED" });
  });

  test("who asks may be told from the context, and can't approve", async () => {
    const guard = newGuard("server");
    const { refund, refunds } = ledger();
    const call = make(guard, refund, { key, policy: approval(), actor: userOf });
    await call(order, "call_1", { user: "ana" });
    await expect(guard.approve("refund:A1", { actor: "ana" })).rejects.toMatchObject({
      code: "forbidden",
    });
    await guard.approve("refund:A1", { actor: "ben" });
    expect(await call(order, "call_2", { user: "ana" })).toContain("re_1");
    expect(refunds).toHaveLength(1);
  });

  test.each([
    ["nobody", undefined],
    ["a name that is none", "\n"],
  ])("an actor that is %s is a fault of the rules where it can't be used", async (_name, user) => {
    const { refund, refunds } = ledger();
    const actor = (context: never) => userOf(context);
    const { faults, rules } = listening({ key, actor });
    const call = make(newGuard(), refund, rules);
    expect(await call(order, "call_1", user === undefined ? {} : { user })).toBe(notNow);
    expect(faults).toHaveLength(1);
    expect(refunds).toEqual([]);
  });

  test.each<[string, Rules]>([
    ["policy", { policy: { kind: "maybe" } }],
    ["effect", { effect: "once" }],
    ["effect", { effect: "transactional" }],
    ["probe", { effect: "probeable" }],
    ["probe", { probe: "ask" }],
    ["timeoutMs", { timeoutMs: -1 }],
    ["waitMs", { waitMs: "long" }],
    ["ignore", { ignore: ["note"] }],
    ["actor", { actor: "" }],
    ["onError", { onError: 1 }],
    ["onFault", { onFault: true }],
  ])("a wrong %s is refused where the tool is made: %j", (_name, rules) => {
    const { refund } = ledger();
    expect(() => make(newGuard(), refund, { key, ...rules })).toThrow(
      expect.objectContaining({ code: "invalid_request" }),
    );
  });

  test("arguments that can't be kept are the model's to correct, and no fault", async () => {
    const { refund } = ledger();
    const { faults, rules } = listening({ key });
    const call = make(newGuard(), refund, rules);
    expect(await call({ ...order, cents: 2 ** 60 }, "call_1")).toMatch(/Correct them before/);
    expect(faults).toEqual([]);
  });

  test("a guarded tool that another one calls and that is held is not the other's result", async () => {
    const guard = newGuard();
    const { refund, refunds } = ledger();
    const pay = make(guard, refund, { key, policy: approval() }, "pay");
    const close: Refund = (given, within) => pay(given, "inner", { within });
    const outer = make(guard, close, { key: ({ orderId }: Order) => `close:${orderId}` }, "close");
    expect(await outer(order, "call_1")).toMatch(/^Not executed yet\. It waits for a decision/);
    expect(await guard.case("close:A1").get()).toMatchObject({ state: "FINAL" });
    await guard.approve("refund:A1", { actor: "ana" });
    for (const id of ["call_1", "call_2"]) expect(await outer(order, id)).toContain("re_1");
    expect(refunds).toHaveLength(1);
  });

  test("one that nobody knows of leaves the other in doubt", async () => {
    const guard = newGuard();
    const lost: Refund = () => {
      throw new Error("socket hang up");
    };
    const pay = make(guard, lost, { key }, "pay");
    let starts = 0;
    const close: Refund = (given, within) => {
      starts += 1;
      return pay(given, "inner", { within });
    };
    const outer = make(guard, close, { key: ({ orderId }: Order) => `close:${orderId}` }, "close");
    for (const id of ["call_1", "call_2"]) {
      expect(await outer(order, id)).toMatch(/^Unknown whether it ran/);
    }
    expect(await guard.case("close:A1").get()).toMatchObject({ state: "IN_DOUBT" });
    expect(starts).toBe(1);
  });

  test("a tool that calls itself is told so, and waits for nothing", async () => {
    const guard = newGuard();
    const { refund, refunds } = ledger();
    const { faults, rules } = listening({ key, waitMs: 30_000 });
    const inner = make(guard, refund, rules);
    const outer = make(guard, (given, within) => inner(given, "inner", { within }), rules);
    expect(await outer(order, "call_1")).toBe(notNow);
    expect(faults.map(({ message }) => message)).toEqual([expect.stringContaining("calls itself")]);
    expect(await guard.case("refund:A1").get()).toMatchObject({ state: "FINAL" });
    expect(refunds).toEqual([]);
  });
});

describe.each(adapters.filter(({ name }) => ["AI SDK", "OpenAI Agents", "Mastra"].includes(name)))(
  "$name, approved in the framework",
  ({ make }) => {
    const rules = {
      key,
      ignore: ["/note"],
      policy: approval({ from: ["ana"] }),
    };
    const ask = { ...order, note: "to my account" };

    test("what was approved is what runs: other words in a field that doesn't count wait", async () => {
      const guard = newGuard();
      const { refund, refunds } = ledger();
      await make(guard, refund, rules)(ask, "call_1");
      const call = make(guard, refund, { ...rules, approvedBy: () => "ana" });
      expect(await call({ ...ask, note: "lunch" }, "call_2")).toMatch(/^Not executed yet/);
      expect(refunds).toEqual([]);
      const reordered = { note: ask.note, cents: order.cents, orderId: order.orderId };
      expect(await call(reordered, "call_3")).toContain("re_1");
      expect(refunds).toEqual([ask]);
    });

    test("a field more or less than what waits: pending", async () => {
      const guard = newGuard();
      const { refund, refunds } = ledger();
      await make(guard, refund, rules)(ask, "call_1");
      // These rules don't leave the field out: without it the fingerprint is the same.
      const { ignore: _, ...strict } = rules;
      const call = make(guard, refund, { ...strict, approvedBy: () => "ana" });
      expect(await call(order, "call_2")).toMatch(/^Not executed yet/);
      const bare = { ...order, orderId: "B2" };
      await make(guard, refund, rules)(bare, "call_3");
      const more = make(guard, refund, { ...rules, approvedBy: () => "ana" });
      expect(await more({ ...bare, note: ask.note }, "call_4")).toMatch(/^Not executed yet/);
      expect(refunds).toEqual([]);
    });

    test.each([
      [
        "throws",
        () => {
          throw new Error("no session");
        },
      ],
      ["gives an empty text", () => ""],
      ["gives what is no name", () => "a\u0000b"],
    ])("an approvedBy that %s is a fault of the rules", async (_name, approvedBy) => {
      const { faults, rules: all } = listening({ ...rules, approvedBy });
      const { refund, refunds } = ledger();
      expect(await make(newGuard(), refund, all)(ask, "call_1")).toBe(notNow);
      expect(faults).toHaveLength(1);
      expect(refunds).toEqual([]);
    });
  },
);
