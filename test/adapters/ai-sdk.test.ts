import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { dynamicTool, type Tool, ToolLoopAgent, tool as toolOf7 } from "ai";
import { MockLanguageModelV4 } from "ai/test";
import { tool as toolOf6 } from "ai-v6";
import { describe, expect, expectTypeOf, test } from "vitest";
import { z } from "zod";
import {
  type AiToolRules,
  effectOf,
  guardTool,
  guardTools,
  isApproved,
  isHeld,
} from "../../src/adapters/ai-sdk.ts";
import { approval, createGuard, type Guard, GuardError, NotPerformed } from "../../src/index.ts";
import { testFolder } from "../crash/folder.ts";
import { errorOf } from "../guard/world.ts";
import type { AgentConfig } from "./programs/ai-sdk-agent.ts";
import {
  answered,
  type Order,
  type OwnTool,
  type RefundTool,
  sdks,
  type Turn,
} from "./programs/ai-sdk-versions.ts";

const order = { orderId: "A1", cents: 500 };
const key = ({ orderId }: Order) => `refund:${orderId}`;
const call = (id: string, input: unknown = order): Turn => [{ id, input }];
const freshGuard = () => createGuard({ store: "memory:", actor: "agent", waitMs: 5_000 });

/** What the plain tool does is written here: outside of the guard. */
function ledger() {
  const refunds: Order[] = [];
  const execute = (given: Order) => {
    refunds.push(given);
    return { refundId: `re_${refunds.length}` };
  };
  return { refunds, execute };
}

type Rules = Omit<AiToolRules<RefundTool>, "key">;

const guarded = (tool: RefundTool, rules: Rules = {}, guard: Guard = freshGuard()) =>
  guardTool(guard, tool, { action: "refund", key, ...rules });

const json = (value: unknown) => ({ type: "json", value });

describe.each(sdks)("$name", (sdk) => {
  describe.each([{ stream: false }, { stream: true }])("stream: $stream", ({ stream }) => {
    test("an approved history posted twice: two refunds without the guard, one with it", async () => {
      const run = async (guard: Guard | undefined) => {
        const { refunds, execute } = ledger();
        const plain = sdk.tool({ execute, needsApproval: true });
        const tools = { refund: guard === undefined ? plain : guarded(plain, {}, guard) };
        const asked = await sdk.talk([call("c1")], { tools, stream });
        expect(refunds).toEqual([]);
        const messages = answered(asked.messages);
        const first = await sdk.talk(["done"], { tools, messages, stream });
        const second = await sdk.talk(["done"], { tools, messages, stream });
        return { refunds, first: first.told, second: second.told };
      };
      const without = await run(undefined);
      expect(without.refunds).toHaveLength(2);
      expect(without.second).toEqual([json({ refundId: "re_2" })]);
      const within = await run(freshGuard());
      expect(within.refunds).toEqual([order]);
      expect(within.first).toEqual([json({ refundId: "re_1" })]);
      expect(within.second).toEqual(within.first);
    });

    test("the model asks again under a new id: two refunds without the guard, one with it", async () => {
      const run = async (wrap: (tool: RefundTool) => RefundTool) => {
        const { refunds, execute } = ledger();
        const tools = { refund: wrap(sdk.tool({ execute })) };
        const { told } = await sdk.talk([call("c1"), call("c2"), "done"], { tools, stream });
        return { refunds, told };
      };
      expect((await run((tool) => tool)).refunds).toHaveLength(2);
      const { refunds, told } = await run((tool) => guarded(tool));
      expect(refunds).toHaveLength(1);
      expect(told).toEqual([json({ refundId: "re_1" }), json({ refundId: "re_1" })]);
    });

    test("two calls of one turn: two refunds without the guard, one with it", async () => {
      const run = async (wrap: (tool: RefundTool) => RefundTool) => {
        const { refunds, execute } = ledger();
        const tools = { refund: wrap(sdk.tool({ execute })) };
        const twins = [
          { id: "c1", input: order },
          { id: "c2", input: order },
        ];
        const { told } = await sdk.talk([twins, "done"], { tools, stream });
        return { refunds, told };
      };
      expect((await run((tool) => tool)).refunds).toHaveLength(2);
      const { refunds, told } = await run((tool) => guarded(tool));
      expect(refunds).toHaveLength(1);
      expect(told).toEqual([json({ refundId: "re_1" }), json({ refundId: "re_1" })]);
    });

    // What ends an effect, and the text that the model's next prompt has: never that of an error.
    const ends = [
      {
        name: "an effect that throws is in doubt",
        execute: () => {
          throw new Error("socket hang up");
        },
        held: "in_doubt",
        effect: "unknown",
        says: /^Unknown whether it ran\. Do not call it again\./,
        starts: 1,
      },
      {
        name: "NotPerformed may be asked again",
        execute: () => {
          throw new NotPerformed("the card was declined");
        },
        held: "not_performed",
        effect: "none",
        says: /^Not executed\. It is safe to call it again/,
        starts: 2,
      },
      {
        name: "NotPerformed for good is void",
        execute: () => {
          throw new NotPerformed("the account is closed", { final: true });
        },
        held: "void",
        effect: "none",
        says: /^Not executed: .* This is final; do not call it again\.$/,
        starts: 1,
      },
      {
        name: "a decision that is open is pending",
        execute: () => "never",
        rules: { policy: approval() },
        held: "pending",
        effect: "none",
        says: /^Not executed yet\. It waits for a decision by others\./,
        starts: 0,
      },
      {
        name: "arguments that are no JSON are refused",
        execute: () => "never",
        input: { orderId: "A1", cents: 2 ** 60 },
        held: "invalid_request",
        effect: "none",
        says: /^Not executed: the arguments are not acceptable\./,
        starts: 0,
      },
    ];
    test.each(ends)("$name, twice", async (end) => {
      const { execute, held, effect, says, starts, rules = {}, input = order } = end;
      let started = 0;
      const plain = sdk.tool({
        execute: () => {
          started += 1;
          return execute();
        },
      });
      const tools = { refund: guarded(plain, rules) };
      const turns = [call("c1", input), call("c2", input), "done"];
      const { parts, told, text } = await sdk.talk(turns, { tools, stream });
      expect(started).toBe(starts);
      expect(parts.map(({ type }) => type)).toEqual(["tool-result", "tool-result"]);
      for (const { output } of parts) expect(output).toMatchObject({ held, effect });
      const text1 = { type: "text", value: expect.stringMatching(says) };
      expect(told).toEqual([text1, text1]);
      expect(text).toBe("done");
    });

    test("without the guard what the effect throws reaches the model as an error", async () => {
      const execute = () => {
        throw new Error("socket hang up");
      };
      const tools = { refund: sdk.tool({ execute }) };
      const { parts, told } = await sdk.talk([call("c1"), "done"], { tools, stream });
      expect(parts).toMatchObject([{ type: "tool-error" }]);
      expect(told).toEqual([
        { type: "error-text", value: expect.stringMatching(/socket hang up$/) },
      ]);
    });

    test("other arguments under the same key are refused, and the values are not told", async () => {
      const { refunds, execute } = ledger();
      const tools = { refund: guarded(sdk.tool({ execute })) };
      const other = call("c2", { orderId: "A1", cents: 70_000 });
      const { parts, told } = await sdk.talk([call("c1"), other, "done"], { tools, stream });
      expect(refunds).toEqual([order]);
      expect(parts[1]).toMatchObject({
        type: "tool-result",
        output: { held: "payload_conflict", effect: "none", caseId: "refund:A1" },
      });
      expect(told[1]).toEqual({
        type: "text",
        value: expect.stringMatching(/^Not executed: something else was asked for/),
      });
      expect(JSON.stringify(told[1])).not.toMatch(/70.?000/);
    });

    test("a tool that yields results: the last is the result, and is replayed", async () => {
      let runs = 0;
      const execute = async function* () {
        runs += 1;
        yield { progress: 1 };
        yield { refundId: "re_1" };
      };
      const tools = { refund: guarded(sdk.tool({ execute })) };
      const { told } = await sdk.talk([call("c1"), call("c2"), "done"], { tools, stream });
      expect(runs).toBe(1);
      expect(told).toEqual([json({ refundId: "re_1" }), json({ refundId: "re_1" })]);
    });
  });

  test("one that breaks off while it yields is in doubt", async () => {
    const execute = async function* () {
      yield { progress: 1 };
      throw new Error("lost");
    };
    const tools = { refund: guarded(sdk.tool({ execute })) };
    const { parts } = await sdk.talk([call("c1"), "done"], { tools });
    expect(parts).toMatchObject([{ type: "tool-result", output: { held: "in_doubt" } }]);
  });

  test("texts and nothing come back as they were", async () => {
    const results: unknown[] = ["refunded", undefined];
    const execute = () => results.shift();
    const tools = { refund: guarded(sdk.tool({ execute })) };
    const turns = [
      call("c1"),
      call("c2"),
      call("c3", { ...order, orderId: "A2" }),
      call("c4", { ...order, orderId: "A2" }),
      "done",
    ];
    const text = { type: "text", value: "refunded" };
    const { told } = await sdk.talk(turns, { tools });
    expect(told).toEqual([text, text, json(null), json(null)]);
    expect(results).toEqual([]);
  });

  test("the tool's own toModelOutput has results alone, and is called as the tool's", async () => {
    const seen: unknown[] = [];
    const own: OwnTool & { prefix: string } = {
      prefix: "refund",
      execute: ({ orderId }) => {
        if (orderId === "A2") throw new Error("lost");
        return { refundId: "re_1" };
      },
      toModelOutput(given: { readonly output: { readonly refundId: string } }) {
        seen.push(given.output);
        return { type: "text", value: `${this.prefix} ${given.output.refundId}` };
      },
    };
    const tools = { refund: guarded(sdk.tool(own)) };
    const lost = call("c2", { ...order, orderId: "A2" });
    const { told } = await sdk.talk([call("c1"), lost, "done"], { tools });
    expect(told).toEqual([
      { type: "text", value: "refund re_1" },
      { type: "text", value: expect.stringMatching(/^Unknown whether it ran/) },
    ]);
    expect(seen.length).toBeGreaterThan(0);
    for (const output of seen) expect(output).toEqual({ refundId: "re_1" });
  });

  test("the effect is handed its context, the run's signal, and what the AI SDK hands it", async () => {
    const seen: Parameters<OwnTool["execute"]>[1][] = [];
    const execute: OwnTool["execute"] = (_, options) => void seen.push(options);
    const guard = freshGuard();
    const tools = { refund: guarded(sdk.tool({ execute }), {}, guard) };
    const controller = new AbortController();
    await sdk.talk([call("c1"), "done"], { tools, abortSignal: controller.signal });
    const [options] = seen;
    expect(options?.toolCallId).toBe("c1");
    expect(options?.messages).toHaveLength(1);
    const effect = effectOf(options);
    expect(effect).toMatchObject({ action: "refund", caseId: "refund:A1" });
    expect(effect.requestId).toBe("refund:A1/c1");
    expect(options?.abortSignal).toBe(effect.signal);
    expect(await guard.receipt("refund:A1/c1")).toMatchObject({ effect: "once" });
  });

  test("who gives up while it runs: the effect is told, goes on, and its result is kept", async () => {
    const started = Promise.withResolvers<AbortSignal | undefined>();
    const goOn = Promise.withResolvers<void>();
    let runs = 0;
    const execute: OwnTool["execute"] = async (_, { abortSignal }) => {
      runs += 1;
      started.resolve(abortSignal);
      await goOn.promise;
      return { refundId: "re_1" };
    };
    const guard = freshGuard();
    const tools = { refund: guarded(sdk.tool({ execute }), {}, guard) };
    const controller = new AbortController();
    const talk = sdk
      .talk([call("c1"), "done"], { tools, abortSignal: controller.signal })
      .catch(() => "given up");
    const handed = await started.promise;
    expect(handed?.aborted).toBe(false);
    controller.abort();
    await talk;
    expect(handed?.aborted).toBe(true);
    goOn.resolve();
    const { told } = await sdk.talk([call("c2"), "done"], { tools });
    expect(told).toEqual([json({ refundId: "re_1" })]);
    expect(runs).toBe(1);
  });

  test("a tool that is made anew for each request", async () => {
    const { refunds, execute } = ledger();
    const guard = freshGuard();
    for (const id of ["c1", "c2", "c1"]) {
      const tools = { refund: guarded(sdk.tool({ execute }), {}, guard) };
      const { told } = await sdk.talk([call(id), "done"], { tools });
      expect(told).toEqual([json({ refundId: "re_1" })]);
    }
    expect(refunds).toHaveLength(1);
  });

  test("the same call id in another run is another request", async () => {
    const { refunds, execute } = ledger();
    const tools = { refund: guarded(sdk.tool({ execute })) };
    await sdk.talk([call("c1"), "done"], { tools });
    const { told } = await sdk.talk([call("c1", { ...order, orderId: "A2" }), "done"], { tools });
    expect(told).toEqual([json({ refundId: "re_2" })]);
    expect(refunds).toHaveLength(2);
  });

  test("scope: from what the AI SDK hands the tool; one call id of a run binds one case", async () => {
    const { refunds, execute } = ledger();
    const guard = freshGuard();
    const chatOf = (options: unknown) => {
      const { context, experimental_context } = options as Record<string, { chatId: string }>;
      return (context ?? experimental_context)?.chatId;
    };
    const tools = { refund: guarded(sdk.tool({ execute }), { scope: chatOf }, guard) };
    const context = { chatId: "chat-7" };
    await sdk.talk([call("c1"), "done"], { tools, context });
    expect(await guard.receipt('["scope","chat-7","c1"]')).toMatchObject({ caseId: "refund:A1" });
    const other = call("c1", { ...order, orderId: "A2" });
    const { told } = await sdk.talk([other, "done"], { tools, context });
    expect(told).toMatchObject([{ type: "text", value: /^Not executed/ }].map(matching));
    expect(refunds).toEqual([order]);
  });

  test.each([
    {
      name: "throws",
      scope: () => {
        throw new TypeError("no chat");
      },
    },
    { name: "gives no text", scope: () => 7 as never },
  ])("a scope that $name: refused as a value, nothing runs", async ({ scope }) => {
    const { refunds, execute } = ledger();
    const tools = { refund: guarded(sdk.tool({ execute }), { scope }) };
    const { parts } = await sdk.talk([call("c1"), "done"], { tools });
    expect(parts).toMatchObject([{ type: "tool-result", output: { held: "invalid_request" } }]);
    expect(refunds).toEqual([]);
  });

  describe("the AI SDK's own approval", () => {
    const by = (who: string): Rules => ({
      policy: approval({ from: ["ana", "ben"] }),
      approvedBy: (options) => (isApproved(options) ? who : undefined),
    });

    test("counts for the case, with the arguments that will run", async () => {
      const { refunds, execute } = ledger();
      const guard = freshGuard();
      const tools = {
        refund: guarded(sdk.tool({ execute, needsApproval: true }), by("ana"), guard),
      };
      const asked = await sdk.talk([call("c1")], { tools });
      const messages = answered(asked.messages);
      for (const _ of [1, 2]) {
        const { told } = await sdk.talk(["done"], { tools, messages });
        expect(told).toEqual([json({ refundId: "re_1" })]);
      }
      expect(refunds).toHaveLength(1);
      const entries = await guard.history("refund:A1");
      const approvals = entries.filter(({ entry }) => entry.event.type === "approve");
      expect(approvals).toMatchObject([{ entry: { event: { by: "ana", note: "call c1" } } }]);
    });

    test("denied: the tool is not called, and nothing is approved", async () => {
      const { refunds, execute } = ledger();
      const tools = { refund: guarded(sdk.tool({ execute, needsApproval: true }), by("ana")) };
      const asked = await sdk.talk([call("c1")], { tools });
      const messages = answered(asked.messages, false);
      const { told } = await sdk.talk(["done"], { tools, messages });
      expect(told).toMatchObject([{ type: "execution-denied" }]);
      expect(refunds).toEqual([]);
    });

    test("a call that nobody approved stays pending, also under an approved call's id", async () => {
      const { refunds, execute } = ledger();
      const needsApproval = ({ orderId }: Order) => orderId === "A1";
      const tools = { refund: guarded(sdk.tool({ execute, needsApproval }), by("ana")) };
      const asked = await sdk.talk([call("c1")], { tools });
      const messages = answered(asked.messages);
      const other = { ...order, orderId: "A2" };
      const turns = [call("c1", other), call("c2", other), "done"];
      const { parts } = await sdk.talk(turns, { tools, messages });
      const pending = { held: "pending", caseId: "refund:A2" };
      expect(parts.slice(-2)).toMatchObject([
        { type: "tool-result", output: pending },
        { type: "tool-result", output: pending },
      ]);
      expect(refunds).toEqual([order]);
    });

    test("of other arguments for the same case: refused, nothing runs", async () => {
      const { refunds, execute } = ledger();
      const guard = freshGuard();
      const make = (needsApproval: boolean) => ({
        refund: guarded(sdk.tool({ execute, needsApproval }), by("ana"), guard),
      });
      // The case waits, with 500 cents.
      await sdk.talk([call("c0"), "done"], { tools: make(false) });
      const asked = await sdk.talk([call("c1", { ...order, cents: 70_000 })], {
        tools: make(true),
      });
      const messages = answered(asked.messages);
      const { told } = await sdk.talk(["done"], { tools: make(true), messages });
      expect(told.at(-1)).toMatchObject({
        type: "text",
        value: expect.stringMatching(/^Not exec/),
      });
      expect(refunds).toEqual([]);
      const entries = await guard.history("refund:A1");
      expect(entries.filter(({ entry }) => entry.event.type === "approve")).toEqual([]);
    });

    test.each(["agent", "eve"])("by %s, who may not: held", async (who) => {
      const { refunds, execute } = ledger();
      const tools = { refund: guarded(sdk.tool({ execute, needsApproval: true }), by(who)) };
      const asked = await sdk.talk([call("c1")], { tools });
      const { told } = await sdk.talk(["done"], { tools, messages: answered(asked.messages) });
      expect(told).toMatchObject([{ type: "text" }]);
      expect(refunds).toEqual([]);
    });
  });

  describe("a conversation that is stored and read again", () => {
    const inDoubt = { held: "in_doubt", effect: "unknown", caseId: "refund:A1", message: "Stop." };
    const part = (output: unknown) => ({
      type: "tool-refund",
      toolCallId: "c1",
      state: "output-available",
      input: order,
      output,
    });
    const stored = (output: unknown) => [
      { id: "m1", role: "user", parts: [{ type: "text", text: "Refund A1." }] },
      { id: "m2", role: "assistant", parts: [part(output)] },
    ];
    const { execute } = ledger();

    test("what is held reaches the model as its text", async () => {
      const tools = { refund: guarded(sdk.tool({ execute })) };
      const messages = await sdk.convert(stored(inDoubt), tools);
      expect(messages.at(-1)?.content).toMatchObject([
        { output: { type: "text", value: "Stop." } },
      ]);
    });

    const zod = z.object({ refundId: z.string() });
    const own = {
      [Symbol.for("vercel.ai.schema")]: true,
      _type: undefined,
      jsonSchema: {},
      validate: (value: unknown) =>
        zod.safeParse(value).success
          ? { success: true, value }
          : { success: false, error: new Error("no refund") },
    };
    test.each([
      { name: "Zod", outputSchema: zod },
      { name: "the AI SDK's own", outputSchema: own },
      { name: "a function", outputSchema: () => own },
    ])("an output schema ($name) lets pass what is held, and no other stranger", async (given) => {
      const { outputSchema } = given;
      const tools = { refund: guarded(sdk.tool({ execute, outputSchema })) };
      const good = { refundId: "re_1" };
      await expect(sdk.validate(stored(good), tools)).resolves.toHaveLength(2);
      await expect(sdk.validate(stored(inDoubt), tools)).resolves.toHaveLength(2);
      await expect(sdk.validate(stored({ other: 1 }), tools)).rejects.toThrow();
      const plain = { refund: sdk.tool({ execute, outputSchema }) };
      await expect(sdk.validate(stored(inDoubt), plain)).rejects.toThrow();
    });
  });

  describe("the process is killed in the tool, and another resumes it from the history", () => {
    const program = fileURLToPath(new URL("./programs/ai-sdk-agent.ts", import.meta.url));
    const agent = async (config: AgentConfig) => {
      const child = spawn(process.execPath, [program, JSON.stringify(config)], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      let said = "";
      child.stdout.on("data", (data) => {
        said += data;
      });
      const [code, signal] = await once(child, "close");
      return { end: signal ?? code, told: said === "" ? undefined : JSON.parse(said) };
    };
    const resume = async (effect: "opaque" | "keyed", isGuarded: boolean) => {
      const folder = testFolder();
      const path = join(folder, "ledger.txt");
      const plain = sdk.tool({ execute: () => "never", needsApproval: true });
      const asked = await sdk.talk([call("c1")], { tools: { refund: plain } });
      const config = {
        sdk: sdk.name,
        store: isGuarded ? join(folder, "safeagent.db") : undefined,
        ledger: path,
        effect,
        history: answered(asked.messages),
      };
      expect(await agent({ ...config, dies: true })).toEqual({ end: "SIGKILL", told: undefined });
      const { end, told } = await agent({ ...config, dies: false });
      expect(end).toBe(0);
      return { told, keys: readFileSync(path, "utf8").trimEnd().split("\n") };
    };

    test("without the guard it runs again", async () => {
      expect((await resume("opaque", false)).keys).toEqual(["none", "none"]);
    });

    test("opaque: once, and the model is told that it is in doubt", async () => {
      const { told, keys } = await resume("opaque", true);
      expect(keys).toHaveLength(1);
      const value = expect.stringMatching(/^Unknown whether it ran\. Do not call it again\./);
      expect(told).toEqual([{ type: "text", value }]);
    });

    test("keyed: again with the same key, and the model gets its result", async () => {
      const { told, keys } = await resume("keyed", true);
      expect(keys).toHaveLength(2);
      expect(new Set(keys).size).toBe(1);
      expect(keys[0]).toMatch(/^[0-9a-f]{64}$/);
      expect(told).toEqual([json({ refunded: 500 })]);
    });
  });
});

const matching = ({ type, value }: { type: string; value: RegExp }) => ({
  type,
  value: expect.stringMatching(value),
});

test("two versions on one store share a case", async () => {
  const { refunds, execute } = ledger();
  const guard = freshGuard();
  for (const sdk of sdks) {
    const tools = { refund: guarded(sdk.tool({ execute }), {}, guard) };
    const { told } = await sdk.talk([call("c1"), "done"], { tools });
    expect(told).toEqual([json({ refundId: "re_1" })]);
  }
  expect(refunds).toHaveLength(1);
});

describe("guardTools", () => {
  const sdk = sdks[1]!;

  test("guards those with rules under their names, and leaves the others", async () => {
    const { refunds, execute } = ledger();
    const guard = freshGuard();
    const search = sdk.tool({ execute: () => "found" });
    const all = { refund: sdk.tool({ execute }), search };
    const tools = guardTools(guard, all, { refund: { key } });
    expect(tools.search).toBe(search);
    expect(Object.keys(tools)).toEqual(["refund", "search"]);
    await sdk.talk([call("c1"), [{ id: "c2", tool: "search", input: order }], call("c3")], {
      tools,
    });
    expect(refunds).toHaveLength(1);
    expect(await guard.receipt("refund:A1/c1")).toMatchObject({ action: "refund" });
  });

  test("an action of its own", async () => {
    const guard = freshGuard();
    const all = { refund: sdk.tool(ledger()) };
    const tools = guardTools(guard, all, { refund: { action: "stripe.refund", key } });
    await sdk.talk([call("c1")], { tools });
    expect(await guard.receipt("refund:A1/c1")).toMatchObject({ action: "stripe.refund" });
  });

  test.each(["refnud", "toString"])("rules for %s, which is no tool", async (name) => {
    const all: Record<string, RefundTool> = { refund: sdk.tool(ledger()) };
    const made = () => guardTools(freshGuard(), all, { [name]: { key } });
    expect(made).toThrow(GuardError);
    expect(made).toThrow(`rules for "${name}", but no such tool`);
  });
});

describe("what can't be guarded is told where it is made", () => {
  const sdk = sdks[1]!;
  const plain = sdk.tool(ledger());
  const guard = freshGuard();

  test.each([
    { name: "a tool without execute", made: () => guarded(sdk.tool({} as never)) },
    { name: "no tool", made: () => guarded(undefined as never) },
    { name: "a guarded tool", made: () => guarded(guarded(plain)) },
    { name: "a copy of one", made: () => guarded({ ...guarded(plain) }) },
    { name: "no key", made: () => guardTool(guard, plain, { action: "refund" } as never) },
    { name: "no action", made: () => guardTool(guard, plain, { key } as never) },
    { name: "no rules", made: () => guardTool(guard, plain, undefined as never) },
  ])("$name", async ({ made }) => {
    const error = await errorOf(made);
    expect(error).toMatchObject({ code: "invalid_request", effect: "none" });
    expect(error.next).not.toBe("");
  });
});

describe("isHeld", () => {
  const held = { held: "in_doubt", effect: "unknown", caseId: "c", message: "Stop." };
  test.each([
    { output: held, is: true },
    { output: JSON.parse(JSON.stringify({ ...held, caseId: undefined })), is: true },
    { output: { ...held, message: undefined }, is: false },
    { output: { ...held, effect: "twice" }, is: false },
    { output: { refundId: "re_1" }, is: false },
    { output: null, is: false },
    { output: "held", is: false },
    { output: undefined, is: false },
  ])("$output: $is", ({ output, is }) => expect(isHeld(output)).toBe(is));
});

describe("isApproved", () => {
  const request = { type: "tool-approval-request", approvalId: "a1", toolCallId: "c1" };
  const answer = { type: "tool-approval-response", approvalId: "a1", approved: true };
  const from = (requests: unknown[], ...answers: unknown[][]) => ({
    toolCallId: "c1",
    messages: [
      { role: "user", content: "Refund A1." },
      { role: "assistant", content: requests },
      ...answers.map((content) => ({ role: "tool", content })),
    ],
  });
  const call5 = { type: "tool-call", toolCallId: "c1", toolName: "refund", input: { cents: 5 } };
  const call50k = { ...call5, input: { cents: 50_000 } };
  const turns = (said: unknown[][], answers: unknown[]) => ({
    toolCallId: "c1",
    messages: [
      ...said.map((content) => ({ role: "assistant", content })),
      { role: "tool", content: answers },
    ],
  });
  test.each([
    { name: "approved", options: from([request], [answer]), is: true },
    { name: "denied", options: from([request], [{ ...answer, approved: false }]), is: false },
    {
      name: "another call",
      options: from([{ ...request, toolCallId: "c2" }], [answer]),
      is: false,
    },
    { name: "asked by nobody", options: from([], [answer]), is: false },
    {
      name: "automatically",
      options: from([{ ...request, isAutomatic: true }], [answer]),
      is: false,
    },
    { name: "in an earlier turn", options: from([request], [answer], []), is: false },
    {
      name: "denied first",
      options: from([request], [{ ...answer, approved: false }, answer]),
      is: false,
    },
    { name: "not answered", options: from([request]), is: false },
    {
      name: "an older call under the same id",
      options: turns(
        [
          [call5, request],
          [call50k, { ...request, approvalId: "a2" }],
        ],
        [answer],
      ),
      is: false,
    },
    {
      name: "an older call, and nothing was asked of the last one",
      options: turns([[call5, request], [call50k]], [answer]),
      is: false,
    },
    {
      name: "the last call of two under the same id",
      options: turns(
        [
          [call5, request],
          [call50k, { ...request, approvalId: "a2" }],
        ],
        [{ ...answer, approvalId: "a2" }],
      ),
      is: true,
    },
    {
      name: "an older question about the same call",
      options: turns([[call5, request, { ...request, approvalId: "a2" }]], [answer]),
      is: false,
    },
    {
      name: "an older call, in the same message",
      options: turns([[call5, request, call50k, { ...request, approvalId: "a2" }]], [answer]),
      is: false,
    },
    { name: "no messages", options: { toolCallId: "c1", messages: [] }, is: false },
  ])("$name: $is", ({ options, is }) => expect(isApproved(options)).toBe(is));
});

test("a tool keeps its type in both versions, and its rules know its input and options", () => {
  const inputSchema = z.object({ orderId: z.string(), cents: z.number().default(5) });
  const plain6 = toolOf6({ inputSchema, execute: ({ cents }) => ({ refunded: cents }) });
  const plain7 = toolOf7({ inputSchema, execute: ({ cents }) => ({ refunded: cents }) });
  const contextSchema = z.object({ userId: z.string() });
  const withContext = toolOf7({ inputSchema, contextSchema, execute: ({ cents }) => cents });
  const guard = freshGuard();
  const made6 = guardTool(guard, plain6, {
    action: "refund",
    key: (input) => {
      expectTypeOf(input).toEqualTypeOf<{ orderId: string; cents: number }>();
      return input.orderId;
    },
  });
  expectTypeOf(made6).toEqualTypeOf(plain6);
  const made7 = guardTool(guard, plain7, {
    action: "refund",
    key: (input) => {
      expectTypeOf(input).toEqualTypeOf<{ orderId: string; cents: number }>();
      return input.orderId;
    },
  });
  expectTypeOf(made7).toEqualTypeOf(plain7);
  const all = { plain6, plain7, withContext };
  const set = guardTools(guard, all, {
    plain7: { key: ({ orderId }) => orderId },
    withContext: {
      key: ({ orderId, cents }) => `${orderId}:${cents.toFixed()}`,
      scope: (options) => {
        expectTypeOf(options.context.userId).toEqualTypeOf<string>();
        return options.context.userId;
      },
      approvedBy: (options) => (isApproved(options) ? options.context.userId : undefined),
    },
  });
  expectTypeOf(set).toEqualTypeOf(all);
  // Tools that are known at run time alone, as those of an MCP server.
  const found: Record<string, Tool> = {
    refund: dynamicTool({ inputSchema, execute: async () => "refunded" }),
  };
  const guardedFound = guardTools(guard, found, {
    refund: { key: (input) => (input as Order).orderId },
  });
  expectTypeOf(guardedFound).toEqualTypeOf(found);
  const agent = new ToolLoopAgent({ model: new MockLanguageModelV4(), tools: { plain7: made7 } });
  expectTypeOf(agent.tools.plain7).toEqualTypeOf(plain7);
  // @ts-expect-error: an input has no such field.
  guardTool(guard, plain7, { action: "refund", key: ({ order }) => order });
  // @ts-expect-error: the tools have no name of their own.
  expect(() => guardTool(guard, plain7, { key: ({ orderId }) => orderId })).toThrow(GuardError);
  // @ts-expect-error: a tool that is not in the set.
  expect(() => guardTools(guard, { plain7 }, { other: { key: () => "" } })).toThrow(GuardError);
});
