import { createHash } from "node:crypto";
import { once } from "node:events";
import { describe, expect, test } from "vitest";
import {
  callThrough,
  effectOf,
  type HeldCall,
  isHeld,
  shownOf,
  type ToolCall,
  withEffect,
} from "../../src/adapters/tool.ts";
import { checkedRules, type ToolRules } from "../../src/adapters/tool-rules.ts";
import {
  approval,
  createGuard,
  type Guard,
  GuardError,
  NotPerformed,
  type Store,
} from "../../src/index.ts";
import { memoryStore } from "../../src/stores/memory.ts";
import { counted, errorOf } from "../guard/world.ts";

interface Order {
  readonly orderId: string;
  readonly cents: number;
}

const order: Order = { orderId: "A1", cents: 500 };
const key = ({ orderId }: Order) => `refund:${orderId}`;
const freshGuard = (store: Store = memoryStore()) =>
  createGuard({ store, actor: "agent", waitMs: 5_000 });
const paid = () => counted((start) => ({ refund: start }));

interface Given extends Partial<Omit<ToolCall<Order, unknown, undefined>, "scope" | "approvedBy">> {
  readonly guard?: Guard;
  readonly rules?: Partial<ToolRules<Order>>;
  readonly scope?: string | readonly (string | null)[] | (() => never) | undefined;
  readonly approvedBy?: string | (() => never) | undefined;
}

type Told =
  | { readonly held: HeldCall }
  | { readonly held?: undefined; readonly value: unknown; readonly replayed: boolean };

const thunk = (given: string | (() => never) | undefined) =>
  typeof given === "function" ? given : () => given;

const told = ({ guard = freshGuard(), rules = {}, scope, approvedBy, ...call }: Given) =>
  callThrough<Order, unknown, undefined>(
    guard,
    { key, ...rules },
    {
      action: "refund",
      input: order,
      context: undefined,
      callId: "c1",
      run: () => "never",
      scope: typeof scope === "object" ? scope : thunk(scope),
      approvedBy: thunk(approvedBy),
      ...call,
    },
  );

/** Without the receipt, which is looked at where it matters. */
const make = async (given: Given): Promise<Told> => {
  const answer = await told(given);
  if (answer.held !== undefined) return answer;
  const { value, replayed } = answer;
  return { value, replayed };
};

describe("the answer", () => {
  test("is the effect's value, and the same value again without running", async () => {
    const guard = freshGuard();
    const { run, starts } = paid();
    expect(await make({ guard, run })).toEqual({ value: { refund: 1 }, replayed: false });
    expect(await make({ guard, run })).toEqual({ value: { refund: 1 }, replayed: true });
    expect(await make({ guard, run, callId: "c2" })).toEqual({
      value: { refund: 1 },
      replayed: true,
    });
    expect(starts).toHaveLength(1);
  });

  test.each([null, 0, "", false, undefined])("%j is a value like another", async (value) => {
    const guard = freshGuard();
    const { run, starts } = counted(() => value);
    for (const replayed of [false, true]) {
      expect(await make({ guard, run })).toEqual({ value, replayed });
    }
    expect(starts).toHaveLength(1);
  });

  test("what no receipt can hold is told as done", async () => {
    const guard = freshGuard();
    const { run, starts } = counted(() => 1n);
    const shown = [shownOf(await told({ guard, run })), shownOf(await told({ guard, run }))];
    for (const one of shown) {
      expect(isHeld(one)).toBe(true);
      expect(one).toMatchObject({ held: "settled", effect: "once", caseId: "refund:A1" });
      expect((one as { message: string }).message).toMatch(/^It was done, once\./);
    }
    expect(starts).toHaveLength(1);
  });

  test("comes with its receipt", async () => {
    const guard = freshGuard();
    const { run } = paid();
    const answers = [await told({ guard, run }), await told({ guard, run })];
    const receipt = await guard.receipt("refund:A1/c1");
    expect(receipt).toMatchObject({ effect: "once", caseId: "refund:A1" });
    for (const answer of answers) expect(answer).toHaveProperty("receipt", receipt);
  });

  test("a store that breaks its contract is no error to be tried again", async () => {
    const store = memoryStore();
    const guard = freshGuard({
      ...store,
      commit() {
        throw new TypeError("undefined is not a function");
      },
    });
    const answer = await told({ guard, run: () => "never" });
    expect(answer).toMatchObject({ held: { effect: "unknown" } });
    expect(answer.held?.message).toMatch(/Do not call it again/);
  });

  test.each(["scope", "approvedBy"])("an error in %s is a value, too", async (what) => {
    const rules = { policy: approval({ from: ["ana"] }) };
    const answer = await told({
      rules,
      [what]: () => {
        throw new Error("no session");
      },
    });
    expect(answer).toMatchObject({ held: { held: "invalid_request", effect: "none" } });
  });

  const throwing = (error: unknown) => () => {
    throw error;
  };
  test.each([
    {
      name: "an unknown error",
      call: { run: throwing(new Error("hung up")) },
      held: { held: "in_doubt", effect: "unknown" },
      says: /^Unknown whether it ran\. Do not call it again/,
    },
    {
      name: "a guard's own error from within the effect",
      call: { run: () => make({ rules: { key: () => "" } }).then(throwing(new Error("inner"))) },
      held: { held: "in_doubt", effect: "unknown" },
      says: /^Unknown whether it ran/,
    },
    {
      name: "not performed",
      call: { run: throwing(new NotPerformed("declined")) },
      held: { held: "not_performed", effect: "none" },
      says: /^Not executed\. It is safe to call it again/,
    },
    {
      name: "void",
      call: { run: throwing(new NotPerformed("closed", { final: true })) },
      held: { held: "void", effect: "none" },
      says: /^Not executed: .* do not call it again\.$/,
    },
    {
      name: "an open decision",
      call: { rules: { policy: approval() } },
      held: { held: "pending", effect: "none" },
      says: /^Not executed yet\./,
    },
    {
      name: "an input that is no JSON",
      call: { input: { ...order, cents: Number.NaN } },
      held: { held: "invalid_request", effect: "none" },
      says: /^Not executed: the arguments are not acceptable/,
    },
    {
      name: "rules that are wrong",
      call: { rules: { timeoutMs: -1 } },
      held: { held: "invalid_request", effect: "none" },
      says: /^Not executed/,
    },
    {
      name: "a caller who had given up",
      call: { signal: AbortSignal.abort() },
      held: { held: "not_performed", effect: "none" },
      says: /^Not executed/,
    },
  ])("$name: a value that says what to do", async ({ call, held, says }) => {
    const answer = await make(call);
    expect(answer.held).toMatchObject({ ...held, caseId: "refund:A1" });
    expect(answer.held?.message).toMatch(says);
  });

  test("a key that can't be taken: a value, nothing runs, and the input is not told", async () => {
    const { run, starts } = paid();
    const rules = {
      key: () => {
        throw new TypeError("no order A1");
      },
    };
    const answer = await make({ rules, run });
    expect(answer.held).toMatchObject({ held: "invalid_request", effect: "none" });
    expect(answer.held?.message).not.toMatch(/A1/);
    expect(starts).toEqual([]);
  });

  test("another input under the same key: a value, nothing runs", async () => {
    const guard = freshGuard();
    const { run, starts } = paid();
    await make({ guard, run });
    const answer = await make({ guard, run, input: { ...order, cents: 501 }, callId: "c2" });
    expect(answer.held).toMatchObject({ held: "payload_conflict", effect: "none" });
    expect(answer.held?.message).not.toMatch(/50[01]/);
    expect(starts).toHaveLength(1);
  });

  test("a store that can't be reached: a value, nothing runs", async () => {
    const store = memoryStore();
    const { run, starts } = paid();
    const commit = () => Promise.reject(new GuardError("store_unavailable", "No disk."));
    const answer = await make({ guard: freshGuard({ ...store, commit }), run });
    expect(answer.held).toMatchObject({ held: "store_unavailable" });
    expect(starts).toEqual([]);
  });
});

describe("the name of an ask", () => {
  const requestIds = async (calls: readonly Given[]) => {
    const guard = freshGuard();
    const seen: string[] = [];
    const run: ToolCall<Order, unknown>["run"] = (_, { requestId }) => void seen.push(requestId);
    for (const call of calls) await make({ guard, run, ...call });
    return seen;
  };
  const other = { ...order, orderId: "A2" };

  test("the same call id for two cases: two asks", async () => {
    expect(await requestIds([{}, { input: other }])).toEqual(["refund:A1/c1", "refund:A2/c1"]);
  });

  test("under a scope of its own", async () => {
    expect(await requestIds([{ scope: "chat-7" }])).toEqual(['["scope","chat-7","c1"]']);
  });

  test("without a call id: the case", async () => {
    expect(await requestIds([{ callId: undefined, scope: "chat-7" }])).toEqual(["refund:A1"]);
  });

  test("names that read alike stay apart", async () => {
    const slashes = [
      { rules: { key: () => "a/b" }, callId: "c" },
      { rules: { key: () => "a" }, callId: "b/c" },
      { rules: { key: () => "a/b/c" }, callId: undefined },
      { rules: { key: () => "b" }, scope: "a", callId: "c" },
      { rules: { key: () => "d" }, scope: "a/b", callId: "c" },
      { rules: { key: () => "e" }, scope: "a", callId: "b/c" },
      { rules: { key: () => '["scope","a","c"]' }, callId: undefined },
      { rules: { key: () => "f" }, scope: ["mcp-key", "a"], callId: "c" },
      { rules: { key: () => "g" }, scope: ["mcp-key", null], callId: "c" },
      { rules: { key: () => "h" }, callId: "c\u00e9" },
    ];
    const names = await requestIds(slashes as readonly Given[]);
    expect(names).toHaveLength(slashes.length);
    expect(new Set(names).size).toBe(slashes.length);
    expect(names.slice(0, 3)).toEqual(["a/b/c", '["call","a","b/c"]', '["case","a/b/c"]']);
    const [digest = ""] = names.slice(-1);
    expect(digest).toMatch(/^call:[0-9a-f]{64}$/);
    const rules = { key: () => digest };
    expect(await requestIds([{ rules, callId: undefined }])).not.toContain(digest);
  });

  test("one scope, one call id, another case: refused, nothing runs", async () => {
    const guard = freshGuard();
    const { run, starts } = paid();
    await make({ guard, run, scope: "chat-7" });
    const answer = await make({ guard, run, scope: "chat-7", input: other });
    expect(answer.held).toMatchObject({ held: "payload_conflict", effect: "none" });
    expect(starts).toHaveLength(1);
  });

  test("as long as an id may be: as it is; longer: its digest, the same each time", async () => {
    const named = (scope: string) => JSON.stringify(["scope", scope, "c1"]);
    const fits = "s".repeat(255 - named("").length);
    const long = `${fits}s`;
    const digest = (text: string) => createHash("sha256").update(text).digest("hex");
    expect(await requestIds([{ scope: fits }])).toEqual([named(fits)]);
    expect(await requestIds([{ scope: long }])).toEqual([`call:${digest(named(long))}`]);
    // Names that begin alike stay apart.
    expect(await requestIds([{ scope: long }, { scope: `${long}s`, input: other }])).toHaveLength(
      2,
    );
    const guard = freshGuard();
    const { run, starts } = paid();
    await make({ guard, run, scope: long });
    expect(await make({ guard, run, scope: long })).toMatchObject({ replayed: true });
    expect(starts).toHaveLength(1);
  });
});

describe("an approval given in the framework's own way", () => {
  const rules = { policy: approval({ from: ["ana", "ben"] }) };

  test("counts for the case, once", async () => {
    const guard = freshGuard();
    const { run, starts } = paid();
    const call = { guard, rules, run, approvedBy: "ana" };
    expect(await make(call)).toEqual({ value: { refund: 1 }, replayed: false });
    expect(await make(call)).toEqual({ value: { refund: 1 }, replayed: true });
    expect(starts).toHaveLength(1);
    const entries = await guard.history("refund:A1");
    const approvals = entries.filter(({ entry }) => entry.event.type === "approve");
    expect(approvals).toMatchObject([{ entry: { event: { by: "ana", note: "call c1" } } }]);
  });

  test("two callers at once: one effect", async () => {
    const guard = freshGuard();
    const { run, starts } = paid();
    const calls = ["c1", "c2", "c3"].map((callId) =>
      make({ guard, rules, run, callId, approvedBy: "ana" }),
    );
    for (const answer of await Promise.all(calls)) {
      expect(answer).toMatchObject({ value: { refund: 1 } });
    }
    expect(starts).toHaveLength(1);
  });

  test.each([
    { name: "the one who asks", approvedBy: "agent" },
    { name: "one who is not asked", approvedBy: "eve" },
  ])("by $name: refused, nothing runs", async ({ approvedBy }) => {
    const { run, starts } = paid();
    const answer = await make({ rules, run, approvedBy });
    expect(answer.held).toMatchObject({ held: "forbidden", effect: "none" });
    expect(starts).toEqual([]);
  });

  test("one of two that are needed: pending", async () => {
    const guard = freshGuard();
    const { run, starts } = paid();
    const both = { policy: approval({ need: 2, from: ["ana", "ben"] }) };
    const call = { guard, rules: both, run };
    expect((await make({ ...call, approvedBy: "ana" })).held?.held).toBe("pending");
    expect((await make({ ...call, approvedBy: "ana" })).held?.held).toBe("pending");
    expect(starts).toEqual([]);
    expect(await make({ ...call, approvedBy: "ben" })).toMatchObject({ value: { refund: 1 } });
  });

  test("for another input than the case waits with: refused, and nothing is approved", async () => {
    const guard = freshGuard();
    const { run, starts } = paid();
    expect((await make({ guard, rules, run })).held?.held).toBe("pending");
    const input = { ...order, cents: 70_000 };
    const answer = await make({ guard, rules, run, input, callId: "c2", approvedBy: "ana" });
    expect(answer.held).toMatchObject({ held: "payload_conflict", effect: "none" });
    expect(starts).toEqual([]);
    expect((await make({ guard, rules, run })).held?.held).toBe("pending");
  });

  test("where nobody is asked: it runs, and nothing is written of it", async () => {
    const guard = freshGuard();
    const { run } = paid();
    expect(await make({ guard, run, approvedBy: "ana" })).toMatchObject({ value: { refund: 1 } });
    const entries = await guard.history("refund:A1");
    expect(entries.map(({ entry }) => entry.event.type)).not.toContain("approve");
  });
});

describe("a pause of the framework", () => {
  class Pause extends Error {}
  const pauses = (error: unknown) => error instanceof Pause;

  test("is thrown on; nothing has happened, and the next call runs", async () => {
    const guard = freshGuard();
    const pause = new Pause("ask a person");
    let starts = 0;
    const run = () => {
      starts += 1;
      if (starts === 1) throw pause;
      return "refunded";
    };
    await expect(make({ guard, run, pauses })).rejects.toBe(pause);
    expect((await guard.list({ states: ["FINAL"] })).items).toHaveLength(1);
    expect(await make({ guard, run, pauses })).toEqual({ value: "refunded", replayed: false });
    expect(starts).toBe(2);
  });

  test("any other error is none", async () => {
    const run = () => {
      throw new Error("hung up");
    };
    expect((await make({ run, pauses })).held?.held).toBe("in_doubt");
  });
});

describe("a fault of the rules", () => {
  const wrong = { key: () => undefined as never };

  test("is a warning of the process where nobody listens", async () => {
    const warned = once(process, "warning");
    expect((await make({ rules: wrong })).held).toMatchObject({ held: "invalid_request" });
    const [warning] = await warned;
    expect(warning).toMatchObject({ code: "invalid_request", effect: "none" });
    expect(warning.message).toContain('The key of "refund" can\'t be taken');
  });

  test("goes to who listens, with its cause; what he throws changes nothing", async () => {
    const cause = new TypeError("no order A1");
    const seen: GuardError[] = [];
    const rules = {
      key: () => {
        throw cause;
      },
      onFault: async (error: GuardError) => {
        seen.push(error);
        throw new Error("no log");
      },
    };
    const answer = await make({ rules });
    expect(answer.held?.message).toMatch(/^Not executed\. Do not call again now/);
    expect(seen.map((error) => error.cause)).toEqual([cause]);
    const onFault = () => {
      throw new Error("no log");
    };
    expect(await make({ rules: { ...rules, onFault } })).toEqual(answer);
  });

  test("rules that are wrong are one, with the guard's reason; a store that breaks its contract, too", async () => {
    const seen: GuardError[] = [];
    const onFault = (error: GuardError) => void seen.push(error);
    await make({ rules: { timeoutMs: -1, onFault } });
    const commit = () => {
      throw new TypeError("undefined is not a function");
    };
    await make({ guard: freshGuard({ ...memoryStore(), commit }), rules: { onFault } });
    expect(seen).toMatchObject([
      { code: "invalid_request", cause: { message: expect.stringContaining("timeoutMs") } },
      { code: "broken_invariant", effect: "unknown", cause: { name: "TypeError" } },
    ]);
  });
});

describe("effectOf", () => {
  test("what the guard handed, in the framework's own argument", async () => {
    const given = { toolCallId: "c1" };
    const { held } = await make({
      run: (_, effect) => {
        const handed = withEffect(given, effect);
        expect(handed.toolCallId).toBe("c1");
        expect(handed).not.toBe(given);
        expect(effectOf(handed)).toBe(effect);
        expect(Object.keys(handed)).toEqual(["toolCallId"]);
        expect(effectOf(withEffect(undefined, effect))).toBe(effect);
      },
    });
    expect(held).toBeUndefined();
    expect(() => effectOf(given)).toThrow();
  });

  test.each([undefined, null, {}, "options"])("not through the guard: %j", async (argument) => {
    const error = await errorOf(() => effectOf(argument));
    expect(error).toMatchObject({ code: "invalid_request", effect: "none" });
  });
});

describe("checkedRules", () => {
  test("gives the rules back", () => {
    const rules = { key };
    expect(checkedRules("refund", rules)).toBe(rules);
  });

  test.each([undefined, null, {}, { key: "orderId" }])("%j has no key", async (rules) => {
    const made = errorOf(() => checkedRules("refund", rules as never));
    expect(await made).toMatchObject({ code: "invalid_request", effect: "none" });
  });
});
