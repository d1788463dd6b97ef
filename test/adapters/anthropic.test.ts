import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { betaTool } from "@anthropic-ai/sdk/helpers/beta/json-schema";
import { betaZodTool } from "@anthropic-ai/sdk/helpers/beta/zod";
import { describe, expect, expectTypeOf, test } from "vitest";
import { z } from "zod";
import {
  type AnthropicToolCall,
  type AnthropicToolRules,
  effectOf,
  guardTool,
} from "../../src/adapters/anthropic.ts";
import { approval, createGuard, type Guard, GuardError, NotPerformed } from "../../src/index.ts";
import { testFolder } from "../crash/folder.ts";
import { errorOf } from "../guard/world.ts";
import type { AgentConfig } from "./programs/anthropic-agent.ts";
import { type Turn, talk } from "./programs/anthropic-fake.ts";

interface Order {
  orderId: string;
  cents: number;
}

type Content = string | { type: "text"; text: string }[];
type Run = (order: Order, context?: AnthropicToolCall) => Content | Promise<Content>;

const order: Order = { orderId: "A1", cents: 500 };
const key = ({ orderId }: Order) => `refund:${orderId}`;
const use = (id: string, input: unknown = order): Turn => [{ id, input }];
const freshGuard = () => createGuard({ store: "memory:", actor: "agent", waitMs: 5_000 });
const own = { name: "refund", description: "Refunds an order." };

/** Both ways of the SDK to make a tool. */
const makers = [
  {
    name: "betaZodTool",
    make: (run: Run) =>
      betaZodTool({
        ...own,
        inputSchema: z.object({ orderId: z.string(), cents: z.number() }),
        run,
      }),
  },
  {
    name: "betaTool",
    make: (run: Run) =>
      betaTool({
        ...own,
        inputSchema: {
          type: "object",
          properties: { orderId: { type: "string" }, cents: { type: "number" } },
          required: ["orderId", "cents"],
          additionalProperties: false,
        },
        run,
      }),
  },
] as const;

type Tool = ReturnType<(typeof makers)[0]["make"]>;

const guarded = (
  tool: Tool,
  rules: Partial<AnthropicToolRules<Tool>> = {},
  guard: Guard = freshGuard(),
) => guardTool(guard, tool, { key, ...rules });

/** What the plain tool does is written here: outside of the guard. */
function ledger() {
  const refunds: Order[] = [];
  const run: Run = (given) => {
    refunds.push(given);
    return [{ type: "text", text: `re_${refunds.length}` }];
  };
  return { refunds, run };
}

const result = (id: string, text: string) => ({
  type: "tool_result",
  tool_use_id: id,
  content: [{ type: "text", text }],
});

describe.each(makers)("$name", ({ make }) => {
  describe.each([{ stream: false }, { stream: true }])("stream: $stream", ({ stream }) => {
    test("a conversation that is held again: two refunds without the guard, one with it", async () => {
      const run = async (wrap: (tool: Tool) => Tool) => {
        const effect = ledger();
        const tools = [wrap(make(effect.run))];
        const first = await talk([use("toolu_1"), "done"], { tools, stream });
        const second = await talk([use("toolu_1"), "done"], { tools, stream });
        return { refunds: effect.refunds, first: first.told, second: second.told };
      };
      const without = await run((tool) => tool);
      expect(without.refunds).toHaveLength(2);
      expect(without.second).toEqual([result("toolu_1", "re_2")]);
      const within = await run((tool) => guarded(tool));
      expect(within.refunds).toEqual([order]);
      expect(within.first).toEqual([result("toolu_1", "re_1")]);
      expect(within.second).toEqual(within.first);
    });

    test("the model asks again under a new id: two refunds without the guard, one with it", async () => {
      const run = async (wrap: (tool: Tool) => Tool) => {
        const effect = ledger();
        const tools = [wrap(make(effect.run))];
        const { told } = await talk([use("toolu_1"), use("toolu_2"), "done"], { tools, stream });
        return { refunds: effect.refunds, told };
      };
      expect((await run((tool) => tool)).refunds).toHaveLength(2);
      const { refunds, told } = await run((tool) => guarded(tool));
      expect(refunds).toHaveLength(1);
      expect(told).toEqual([result("toolu_1", "re_1"), result("toolu_2", "re_1")]);
    });

    test("two uses in one turn: two refunds without the guard, one with it", async () => {
      const run = async (wrap: (tool: Tool) => Tool) => {
        const effect = ledger();
        const tools = [wrap(make(effect.run))];
        const twins = [
          { id: "toolu_1", input: order },
          { id: "toolu_2", input: order },
        ];
        const { told } = await talk([twins, "done"], { tools, stream });
        return { refunds: effect.refunds, told };
      };
      expect((await run((tool) => tool)).refunds).toHaveLength(2);
      const { refunds, told } = await run((tool) => guarded(tool));
      expect(refunds).toHaveLength(1);
      expect(told).toEqual([result("toolu_1", "re_1"), result("toolu_2", "re_1")]);
    });
  });

  const ends = [
    {
      name: "an effect that throws is in doubt",
      run: () => {
        throw new Error("socket hang up");
      },
      says: /^Unknown whether it ran\. Do not call it again\./,
      starts: 1,
    },
    {
      name: "NotPerformed may be asked again",
      run: () => {
        throw new NotPerformed("the card was declined");
      },
      says: /^Not executed\. It is safe to call it again/,
      starts: 2,
    },
    {
      name: "a decision that is open is pending",
      run: () => "never",
      rules: { policy: approval() },
      says: /^Not executed yet\. It waits for a decision by others\./,
      starts: 0,
    },
    {
      name: "arguments that are no JSON are refused",
      run: () => "never",
      input: { orderId: "A1", cents: 2 ** 60 },
      says: /^Not executed: the arguments are not acceptable\./,
      starts: 0,
    },
  ];
  test.each(ends)("$name, twice, and never an error", async (end) => {
    const { run, says, starts, rules = {}, input = order } = end;
    let started = 0;
    const plain = make(() => {
      started += 1;
      return run();
    });
    const turns = [use("toolu_1", input), use("toolu_2", input), "done"];
    const { told, text } = await talk(turns, { tools: [guarded(plain, rules)] });
    expect(started).toBe(starts);
    expect(told.map(({ content }) => content)).toEqual([
      expect.stringMatching(says),
      expect.stringMatching(says),
    ]);
    for (const answer of told) expect(answer).not.toHaveProperty("is_error");
    expect(text).toBe("done");
  });

  test("without the guard what the effect throws reaches the model as an error", async () => {
    const plain = make(() => {
      throw new Error("socket hang up");
    });
    const { told } = await talk([use("toolu_1"), "done"], { tools: [plain] });
    expect(told).toMatchObject([{ content: "Error: socket hang up", is_error: true }]);
  });

  test("other arguments under the same key are refused, and the values are not told", async () => {
    const { refunds, run } = ledger();
    const turns = [use("toolu_1"), use("toolu_2", { orderId: "A1", cents: 70_000 }), "done"];
    const { told } = await talk(turns, { tools: [guarded(make(run))] });
    expect(refunds).toEqual([order]);
    expect(told[1]?.content).toMatch(/^Not executed: something else was asked for/);
    expect(told[1]?.content).not.toMatch(/70.?000/);
  });

  test("the API is told of the same tool", async () => {
    const plain = make(ledger().run);
    const before = await talk(["done"], { tools: [plain] });
    const after = await talk(["done"], { tools: [guarded(plain)] });
    expect(before.tools).toHaveLength(1);
    expect(after.tools).toEqual(before.tools);
  });
});

const make = makers[0].make;

test("the effect is handed its context, the run's signal, and what the runner hands it", async () => {
  const seen: (AnthropicToolCall | undefined)[] = [];
  const guard = freshGuard();
  const plain = make((_, context) => {
    seen.push(context);
    return "done";
  });
  const tools = [guarded(plain, { scope: "chat-7" }, guard)];
  await talk([use("toolu_1"), "done"], { tools, signal: new AbortController().signal });
  const [context] = seen;
  expect(context?.toolUse.id).toBe("toolu_1");
  const effect = effectOf(context);
  expect(effect).toMatchObject({ caseId: "refund:A1", requestId: '["scope","chat-7","toolu_1"]' });
  expect(context?.signal).toBe(effect.signal);
  expect(await guard.receipt('["scope","chat-7","toolu_1"]')).toMatchObject({ action: "refund" });
});

test("who gives up while it runs: the effect is told, goes on, and its result is kept", async () => {
  const started = Promise.withResolvers<AbortSignal>();
  const goOn = Promise.withResolvers<void>();
  let runs = 0;
  const plain = make(async (_, context) => {
    runs += 1;
    started.resolve(effectOf(context).signal);
    await goOn.promise;
    return "re_1";
  });
  const tools = [guarded(plain)];
  const controller = new AbortController();
  const given = talk([use("toolu_1"), "done"], { tools, signal: controller.signal });
  const over = given.then(
    () => "answered",
    () => "given up",
  );
  const signal = await started.promise;
  expect(signal.aborted).toBe(false);
  controller.abort();
  expect(await over).toBe("given up");
  expect(signal.aborted).toBe(true);
  goOn.resolve();
  const { told } = await talk([use("toolu_2"), "done"], { tools });
  expect(told).toMatchObject([{ content: "re_1" }]);
  expect(runs).toBe(1);
});

test("a tool that is made anew for each request", async () => {
  const { refunds, run } = ledger();
  const guard = freshGuard();
  for (const id of ["toolu_1", "toolu_2", "toolu_1"]) {
    const { told } = await talk([use(id), "done"], { tools: [guarded(make(run), {}, guard)] });
    expect(told).toEqual([result(id, "re_1")]);
  }
  expect(refunds).toHaveLength(1);
});

test("called by hand, without a context", async () => {
  const { refunds, run } = ledger();
  const guard = freshGuard();
  const tool = guarded(make(run), {}, guard);
  expect(await tool.run(order)).toEqual(await tool.run(order));
  expect(refunds).toHaveLength(1);
  expect(await guard.receipt("refund:A1")).toMatchObject({ effect: "once" });
});

test("an action of its own: a tool of another name, the same case", async () => {
  const { refunds, run } = ledger();
  const guard = freshGuard();
  const action = "stripe.refund";
  const other = { ...make(run), name: "give_back" } as Tool;
  const tools = [guarded(make(run), { action }, guard), guarded(other, { action }, guard)];
  const turns: Turn[] = [use("toolu_1"), [{ id: "toolu_2", tool: "give_back", input: order }]];
  const { told } = await talk([...turns, "done"], { tools });
  expect(told).toEqual([result("toolu_1", "re_1"), result("toolu_2", "re_1")]);
  expect(refunds).toHaveLength(1);
});

test("a tool that is an object of a class keeps its methods, which keep their object", async () => {
  class Refund {
    readonly name = "refund";
    readonly description = "Refunds an order.";
    readonly input_schema = { type: "object" as const };
    readonly #currency = "EUR";
    readonly #refunds: Order[] = [];
    isOpen = true;
    parse(content: unknown): Order & { currency: string } {
      return { ...(content as Order), currency: this.#currency };
    }
    async run({ orderId, cents, currency }: Order & { currency: string }): Promise<string> {
      this.#refunds.push({ orderId, cents });
      return `re_${this.#refunds.length} ${currency}`;
    }
    close(): void {
      this.isOpen = this.#refunds.length === 0;
    }
    toJSON() {
      const { name, description, input_schema } = this;
      return { name, description: `${description} ${this.#currency}`, input_schema };
    }
  }
  const plain = new Refund();
  const tool = guardTool(freshGuard(), plain, { key });
  const { told, tools } = await talk([use("toolu_1"), "done"], { tools: [tool] });
  expect(told).toMatchObject([{ content: "re_1 EUR" }]);
  expect(tools).toEqual([
    { name: "refund", description: "Refunds an order. EUR", input_schema: { type: "object" } },
  ]);
  tool.close();
  expect(plain.isOpen).toBe(false);
});

describe("what can't be guarded is told where it is made", () => {
  const plain = make(ledger().run);
  const guard = freshGuard();

  test.each([
    {
      name: "a tool of the server's",
      made: () => guarded({ type: "web_search_20250305", name: "web_search" } as never),
    },
    { name: "no tool", made: () => guarded(undefined as never) },
    { name: "a guarded tool", made: () => guarded(guarded(plain)) },
    { name: "a copy of one", made: () => guarded({ ...guarded(plain) }) },
    { name: "no key", made: () => guardTool(guard, plain, {} as never) },
    { name: "no rules", made: () => guardTool(guard, plain, undefined as never) },
  ])("$name", async ({ made }) => {
    const error = await errorOf(made);
    expect(error).toMatchObject({ code: "invalid_request", effect: "none" });
    expect(error.next).not.toBe("");
  });
});

describe("the process is killed in the tool, and another holds the conversation again", () => {
  const program = fileURLToPath(new URL("./programs/anthropic-agent.ts", import.meta.url));
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
    const store = isGuarded ? join(folder, "safeagent.db") : undefined;
    const config = { store, ledger: path, effect };
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
    const content = expect.stringMatching(/^Unknown whether it ran\. Do not call it again\./);
    expect(told).toEqual([{ type: "tool_result", tool_use_id: "toolu_1", content }]);
  });

  test("keyed: again with the same key, and the model gets its result", async () => {
    const { told, keys } = await resume("keyed", true);
    expect(keys).toHaveLength(2);
    expect(new Set(keys).size).toBe(1);
    expect(keys[0]).toMatch(/^[0-9a-f]{64}$/);
    expect(told).toMatchObject([{ content: "refunded 500" }]);
  });
});

test("a tool keeps its type, and its rules know its input", () => {
  const plain = make(ledger().run);
  const guard = freshGuard();
  const made = guardTool(guard, plain, {
    key: (input) => {
      expectTypeOf(input).toEqualTypeOf<Order>();
      return input.orderId;
    },
  });
  expectTypeOf(made).toEqualTypeOf(plain);
  // @ts-expect-error: an input has no such field.
  guardTool(guard, plain, { key: ({ order }) => order });
  // @ts-expect-error: what makes two calls the same effect must be said.
  expect(() => guardTool(guard, plain, {})).toThrow(GuardError);
});
