import { describe, expect, test } from "vitest";
import { z } from "zod";
import { approval, NotPerformed, type StandardSchema } from "../../src/index.ts";
import { counted, errorOf, pause, world } from "./world.ts";

interface Refund {
  readonly orderId: string;
  readonly cents: number;
  readonly note?: string;
}

const key = ({ orderId }: Refund) => `refund:${orderId}`;
const order: Refund = { orderId: "A1", cents: 500 };
const paid = () => counted((start) => ({ paid: start }));

describe("the call", () => {
  test("returns the effect's value, and the same value again without running", async () => {
    const { guard, reported } = world();
    const effect = paid();
    const refund = guard.wrap("refund", { key, run: effect.run });
    expect(await refund(order)).toEqual({ paid: 1 });
    expect(await refund({ cents: 500, orderId: "A1" })).toEqual({ paid: 1 });
    expect(effect.starts).toHaveLength(1);
    expect(reported("replayed")).toBe(1);
  });

  test("another key is another effect, and another payload under the key is a conflict", async () => {
    const { guard } = world();
    const effect = paid();
    const refund = guard.wrap("refund", { key, run: effect.run });
    await refund(order);
    expect(await refund({ orderId: "A2", cents: 500 })).toEqual({ paid: 2 });
    const error = await errorOf(refund({ orderId: "A1", cents: 501 }));
    expect(error).toMatchObject({ code: "payload_conflict", effect: "none", caseId: "refund:A1" });
    expect(error.message).not.toMatch(/501|500/);
    expect(effect.starts).toHaveLength(2);
  });

  test("an effect that returns nothing gives undefined, both times", async () => {
    const { guard } = world();
    const effect = counted(() => undefined);
    const send = guard.wrap("send", { key, run: effect.run });
    expect(await send(order)).toBeUndefined();
    expect(await send(order)).toBeUndefined();
    expect(effect.starts).toHaveLength(1);
  });

  test("says the action, and hands the effect its case and request", async () => {
    const { guard } = world();
    const effect = paid();
    const refund = guard.wrap("refund", { key, run: effect.run });
    expect(refund.action).toBe("refund");
    await refund(order);
    expect(effect.starts[0]?.ctx).toMatchObject({
      action: "refund",
      caseId: "refund:A1",
      requestId: "refund:A1",
      fence: 1,
    });
  });

  test("a request id of its own: two requests, one case, one receipt", async () => {
    const { guard } = world();
    const effect = paid();
    const refund = guard.wrap("refund", { key, run: effect.run });
    await refund(order, { requestId: "call-1" });
    await refund(order, { requestId: "call-2" });
    expect(effect.starts).toHaveLength(1);
    const receipt = await guard.receipt("call-1");
    expect(receipt).toMatchObject({ caseId: "refund:A1", requestId: "call-1" });
    expect(await guard.receipt("call-2")).toEqual(receipt);
    expect(await guard.receipt("refund:A1")).toBeUndefined();
  });

  test("a request id can't move to another case", async () => {
    const { guard } = world();
    const effect = paid();
    const refund = guard.wrap("refund", { key, run: effect.run });
    await refund(order, { requestId: "call-1" });
    const other = { ...order, orderId: "A2" };
    expect((await errorOf(refund(other, { requestId: "call-1" }))).code).toBe("payload_conflict");
    expect(effect.starts).toHaveLength(1);
  });

  test("the actor of the call is the proposer", async () => {
    const { guard } = world();
    const refund = guard.wrap("refund", { key, run: paid().run, policy: approval() });
    await refund.outcome(order, { actor: "ana" });
    expect((await errorOf(guard.approve("refund:A1", { actor: "ana" }))).code).toBe("forbidden");
  });
});

describe("held", () => {
  const cases = [
    {
      name: "not performed",
      run: () => {
        throw new NotPerformed("the card was declined");
      },
      status: "not_performed",
      effect: "none",
    },
    {
      name: "void",
      run: () => {
        throw new NotPerformed("the card was declined", { final: true });
      },
      status: "void",
      effect: "none",
    },
    {
      name: "in doubt",
      run: () => {
        throw new Error("socket hang up");
      },
      status: "in_doubt",
      effect: "unknown",
    },
    { name: "pending", run: () => 1, policy: approval(), status: "pending", effect: "none" },
  ] as const;

  test.each(cases)("$name: throws with the outcome inside", async (one) => {
    const { guard } = world();
    const refund = guard.wrap("refund", {
      key,
      run: one.run,
      ...("policy" in one ? { policy: one.policy } : {}),
    });
    const error = await errorOf(refund(order, { requestId: "call-1" }));
    expect(error).toMatchObject({
      code: "held",
      effect: one.effect,
      requestId: "call-1",
      caseId: "refund:A1",
    });
    const { outcome } = error;
    expect(outcome).toMatchObject({ status: one.status, effect: one.effect });
    expect(error.next).toBe(outcome?.status === "settled" ? "" : outcome?.next);
    expect(error.forModel).toBe(outcome?.status === "settled" ? "" : outcome?.forModel);
    // The outcome's own text says first what happened to the effect, and once.
    expect(error.message).toBe(error.next);
  });

  test("`.outcome` gives the same as a value and never throws for it", async () => {
    const { guard } = world();
    const effect = counted(() => {
      throw new NotPerformed("no");
    });
    const refund = guard.wrap("refund", { key, run: effect.run });
    expect(await refund.outcome(order)).toMatchObject({ status: "not_performed", effect: "none" });
    const pay = guard.wrap("pay", { key: () => "pay:1", run: () => "paid" });
    expect(await pay.outcome(order)).toMatchObject({
      status: "settled",
      replayed: false,
      receipt: { value: "paid" },
    });
    expect(await pay.outcome(order)).toMatchObject({ status: "settled", replayed: true });
  });

  test("what was not performed may be called again", async () => {
    const { guard } = world();
    const effect = counted((start) => {
      if (start === 1) throw new NotPerformed("busy");
      return "paid";
    });
    const refund = guard.wrap("refund", { key, run: effect.run });
    expect(await errorOf(refund(order))).toMatchObject({ code: "held", requestId: "refund:A1" });
    expect(await refund(order)).toBe("paid");
    expect(effect.starts.map(({ ctx }) => ctx.fence)).toEqual([1, 2]);
  });
});

describe("wrong rules", () => {
  const run = () => 1;
  const wrong: readonly (readonly [name: string, rules: object | undefined, says: RegExp])[] = [
    ["no rules", undefined, /needs a `run`/],
    ["no run", { key }, /needs a `run`/],
    ["run is no function", { key, run: "run" }, /needs a `run`/],
    ["no key", { run }, /needs `key`/],
    ["key is no function", { run, key: "id" }, /needs `key`/],
    ["an unknown class", { run, key, effect: "harmless" }, /`effect` must be/],
    ["probeable without a probe", { run, key, effect: "probeable" }, /needs a `probe`/],
    ["opaque with a probe", { run, key, effect: "opaque", probe: () => "absent" }, /no probe/],
    ["no time at all", { run, key, timeoutMs: 0 }, /`timeoutMs`/],
    ["a key that never lives", { run, key, effect: "keyed", keyTtlMs: 0 }, /`keyTtlMs`/],
    ["no settling", { run, key, probe: () => "absent", settlingMs: -1 }, /`settlingMs`/],
  ];

  test.each(wrong)("%s: refused when it is wrapped", async (_name, rules, says) => {
    const { guard } = world();
    const error = await errorOf(() => guard.wrap("refund", rules as never));
    expect(error).toMatchObject({ code: "invalid_request", effect: "none" });
    expect(error.message).toMatch(says);
    // The name is still free.
    expect(await guard.wrap("refund", { key, run })(order)).toBe(1);
  });

  test("an action must have a name, and is wrapped once", async () => {
    const { guard, another } = world();
    expect((await errorOf(() => guard.wrap("", { key, run }))).code).toBe("invalid_request");
    guard.wrap("refund", { key, run });
    const error = await errorOf(() => guard.wrap("refund", { key, run }));
    expect(error.code).toBe("invalid_request");
    expect(error.message).toContain('"refund" is wrapped already');
    expect(another().wrap("refund", { key, run }).action).toBe("refund");
  });

  test.each([undefined, "", 7, "a\nb", "x".repeat(256)])(
    "a key that gives %j is refused, and nothing runs",
    async (bad) => {
      const { guard } = world();
      const effect = paid();
      const refund = guard.wrap("refund", { key: () => bad as string, run: effect.run });
      expect((await errorOf(refund(order))).code).toBe("invalid_request");
      expect(effect.starts).toHaveLength(0);
    },
  );
});

describe("a schema", () => {
  const input = z.object({
    orderId: z.string().min(2),
    cents: z.int().positive().default(500),
  });

  test("its defaults are there before the key, the fingerprint and the effect", async () => {
    const { guard } = world();
    const effect = paid();
    const seen: unknown[] = [];
    const refund = guard.wrap("refund", {
      input,
      key: (payload) => {
        seen.push(payload);
        return `refund:${payload.orderId}:${payload.cents}`;
      },
      run: effect.run,
    });
    expect(await refund({ orderId: "A1" })).toEqual({ paid: 1 });
    // What was said and what was left to the default are one payload.
    expect(await refund({ orderId: "A1", cents: 500 })).toEqual({ paid: 1 });
    expect(seen).toEqual([order, order]);
    expect(effect.starts.map(({ payload }) => payload)).toEqual([order]);
    expect(await guard.receipt("refund:A1:500")).toMatchObject({ effect: "once" });
  });

  test("what does not fit is refused with its path and without its value", async () => {
    const { guard } = world();
    const effect = paid();
    const refund = guard.wrap("refund", { input, key, run: effect.run });
    const error = await errorOf(refund({ orderId: "Z", cents: -98_765 } as never));
    expect(error).toMatchObject({ code: "invalid_request", effect: "none" });
    expect(error.message).toContain('"/orderId"');
    expect(error.message).toContain('"/cents"');
    expect(`${error.message} ${error.forModel} ${error.next}`).not.toMatch(/98.?765|"Z"/);
    expect(effect.starts).toHaveLength(0);
  });

  test("what is wrong as a whole has the path of the whole", async () => {
    const { guard } = world();
    const refund = guard.wrap("refund", { input, key, run: paid().run });
    expect((await errorOf(refund("secret" as never))).message).toContain('schema at ""');
  });

  test("a nested path, with its parts given as keys or as objects", async () => {
    const { guard } = world();
    const schema: StandardSchema<Refund, Refund> = {
      "~standard": {
        version: 1,
        vendor: "test",
        validate: () => ({
          issues: [
            { message: "secret", path: ["lines", 3, { key: "cents" }] },
            { message: "secret", path: ["lines", 3, { key: "cents" }] },
          ],
        }),
      },
    };
    const refund = guard.wrap("refund", { input: schema, key, run: paid().run });
    const { message } = await errorOf(refund(order));
    expect(message.match(/"\/lines\/3\/cents"/g)).toHaveLength(1);
    expect(message).not.toContain("secret");
  });

  test("may take its time, and be no zod", async () => {
    const { guard } = world();
    const effect = paid();
    const slow: StandardSchema<Refund, Refund> = {
      "~standard": {
        version: 1,
        vendor: "test",
        validate: async (value) => {
          await pause(1);
          const { orderId, cents } = value as Refund;
          return cents > 0 ? { value: { orderId, cents } } : { issues: [{ message: "no" }] };
        },
      },
    };
    const refund = guard.wrap("refund", { input: slow, key, run: effect.run });
    expect(await refund({ ...order, note: "dropped" })).toEqual({ paid: 1 });
    expect(effect.starts[0]?.payload).toEqual(order);
    expect((await errorOf(refund({ ...order, cents: 0 }))).code).toBe("invalid_request");
  });

  test("what a schema makes of the input must be JSON all the same", async () => {
    const { guard } = world();
    const effect = paid();
    const dated = z.object({ orderId: z.string(), on: z.coerce.date() });
    const refund = guard.wrap("refund", {
      input: dated,
      key: ({ orderId }) => orderId,
      run: effect.run,
    });
    const error = await errorOf(refund({ orderId: "A1", on: "2020-01-01" }));
    expect(error.code).toBe("invalid_request");
    expect(error.message).toContain('"/on"');
    expect(effect.starts).toHaveLength(0);
  });
});

describe("paths left out of the fingerprint", () => {
  test("a field that is reworded is the same effect; any other field is a conflict", async () => {
    const { guard, another } = world();
    const effect = paid();
    const rules = { key, run: effect.run, ignore: ["/note"] };
    const refund = guard.wrap("refund", rules);
    expect(await refund({ ...order, note: "sorry" })).toEqual({ paid: 1 });
    expect(await refund({ ...order, note: "so sorry" })).toEqual({ paid: 1 });
    expect(await refund(order)).toEqual({ paid: 1 });
    expect((await errorOf(refund({ ...order, cents: 1 }))).code).toBe("payload_conflict");
    // The same from the store, without what this guard remembers.
    const again = another().wrap("refund", rules);
    expect(await again({ ...order, note: "once more" })).toEqual({ paid: 1 });
    expect((await errorOf(again({ ...order, cents: 1 }))).code).toBe("payload_conflict");
    expect(effect.starts.map(({ payload }) => payload)).toEqual([{ ...order, note: "sorry" }]);
  });

  test.each([["note"], [""], [7], Array.from({ length: 33 }, (_, at) => `/${at}`)])(
    "what is no list of pointers is refused: %j …",
    async (...ignore) => {
      const { guard } = world();
      const refund = guard.wrap("refund", { key, run: paid().run, ignore: ignore as string[] });
      expect((await errorOf(refund(order))).message).toContain("`ignore`");
    },
  );
});
