import { spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { text as textOf } from "node:stream/consumers";
import {
  Agent,
  type RunContext,
  RunState,
  run,
  setTracingDisabled,
  type Tool,
  tool,
  toolNamespace,
} from "@openai/agents";
import { assistantMessage, functionCall, ScriptedModel } from "@openai/agents/testing";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { effectOf, guardTool, type OpenAIToolRules } from "../../src/adapters/openai-agents.ts";
import { approval, createGuard, GuardError, memoryStore, NotPerformed } from "../../src/index.ts";
import { testFolder } from "../crash/folder.ts";
import { guardOn } from "../crash/in-process.ts";
import type { AgentConfig } from "./programs/openai-agent.ts";

setTracingDisabled(true);

const parameters = z.object({ orderId: z.string(), cents: z.number().int() });
type Order = z.infer<typeof parameters>;

const order: Order = { orderId: "A1", cents: 500 };
const key = ({ orderId }: Order) => `refund:${orderId}`;

/** A payment provider of the test's own: what it was asked to do, in order. */
function provider(answer: (count: number) => unknown = (count) => ({ refundId: `re_${count}` })) {
  const refunds: Order[] = [];
  const refund = async (input: Order) => {
    refunds.push(input);
    return answer(refunds.length);
  };
  return { refunds, refund };
}

const options = (execute: (input: Order) => unknown, needsApproval = false) => ({
  name: "refund",
  description: "Refunds an order.",
  parameters,
  needsApproval,
  execute,
});

/** The same tool, plain and through a guard. */
function both(
  answer?: (count: number) => unknown,
  needsApproval = false,
  rules: Partial<OpenAIToolRules<Order>> = {},
) {
  const plain = provider(answer);
  const guarded = provider(answer);
  const guard = guardOn(memoryStore());
  return [
    { name: "plain", ...plain, tool: tool(options(plain.refund, needsApproval)) },
    {
      name: "guarded",
      ...guarded,
      tool: tool(guardTool(guard, options(guarded.refund, needsApproval), { key, ...rules })),
    },
  ] as const;
}

type Asked = readonly [callId: string, input: Order];

/** An agent whose model makes these calls, a turn each, and then ends. */
function agentOf(tools: Tool[], turns: readonly (readonly Asked[])[], name = "refund") {
  const model = new ScriptedModel([
    ...turns.map((calls) => calls.map(([callId, input]) => functionCall(name, input, { callId }))),
    ...Array.from({ length: 4 }, () => [assistantMessage("done")]),
  ]);
  const agent = new Agent({ name: "shop", model, tools });
  /** What the model was last told of the calls. */
  const told = () => {
    const input = model.lastCall?.request.input;
    const items = typeof input === "string" || input === undefined ? [] : input;
    return items.flatMap((item) =>
      item.type === "function_call_result" &&
      typeof item.output === "object" &&
      "text" in item.output
        ? [item.output.text]
        : [],
    );
  };
  return { agent, told };
}

test("a saved run that is resumed twice runs the tool twice, and through the guard once", async () => {
  const seen = [];
  for (const { name, refunds, tool } of both(undefined, true)) {
    const { agent, told } = agentOf([tool], [[["call_1", order]]]);
    const asked = await run(agent, "Refund A1.");
    asked.state.approve(asked.interruptions[0]!);
    const saved = asked.state.toString();
    const texts = [];
    for (let time = 1; time <= 2; time += 1) {
      const done = await run(agent, await RunState.fromString(agent, saved));
      expect(done.finalOutput).toBe("done");
      texts.push(...told());
    }
    seen.push([name, refunds.length, ...texts]);
  }
  expect(seen).toEqual([
    ["plain", 2, '{"refundId":"re_1"}', '{"refundId":"re_2"}'],
    ["guarded", 1, '{"refundId":"re_1"}', '{"refundId":"re_1"}'],
  ]);
});

test("a model that asks again under a new id runs the tool twice, and through the guard once", async () => {
  const seen = [];
  for (const { name, refunds, tool } of both()) {
    const { agent, told } = agentOf([tool], [[["call_1", order]], [["call_2", order]]]);
    await run(agent, "Refund A1.");
    seen.push([name, refunds.length, ...told()]);
  }
  expect(seen).toEqual([
    ["plain", 2, '{"refundId":"re_1"}', '{"refundId":"re_2"}'],
    ["guarded", 1, '{"refundId":"re_1"}', '{"refundId":"re_1"}'],
  ]);
});

test("two calls in one turn run the tool twice, and through the guard once", async () => {
  const seen = [];
  for (const { name, refunds, tool } of both()) {
    const { agent } = agentOf(
      [tool],
      [
        [
          ["call_1", order],
          ["call_2", order],
        ],
      ],
    );
    await run(agent, "Refund A1.");
    seen.push([name, refunds.length]);
  }
  expect(seen).toEqual([
    ["plain", 2],
    ["guarded", 1],
  ]);
});

test("after an error that tells nothing the SDK says to try again; the guard says not to", async () => {
  const lost = () => {
    throw new Error("socket hang up");
  };
  const [plain, guarded] = both(lost);
  const turns = [[["call_1", order]], [["call_2", order]]] as const;

  const free = agentOf([plain.tool], turns);
  await run(free.agent, "Refund A1.");
  expect(free.told()[0]).toContain("Please try again");
  expect(plain.refunds).toHaveLength(2);

  const held = agentOf([guarded.tool], turns);
  await run(held.agent, "Refund A1.");
  const texts = held.told();
  expect(guarded.refunds).toHaveLength(1);
  expect(texts.map((text) => JSON.parse(text))).toEqual(
    [1, 2].map(() => ({
      held: "in_doubt",
      effect: "unknown",
      caseId: "refund:A1",
      message: expect.stringContaining("Do not call it again."),
    })),
  );
  expect(texts.join()).not.toContain("Please try again");
});

test("what was certainly not performed may be asked again, and then runs", async () => {
  const declined = (count: number) => {
    if (count === 1) throw new NotPerformed("the provider is closed");
    return { refundId: `re_${count}` };
  };
  const [, { refunds, tool }] = both(declined);
  const { agent, told } = agentOf([tool], [[["call_1", order]], [["call_2", order]]]);
  await run(agent, "Refund A1.");
  const [first, second] = told();
  expect(JSON.parse(first!)).toMatchObject({ held: "not_performed", effect: "none" });
  expect(first).toContain("safe to call it again");
  expect(second).toBe('{"refundId":"re_2"}');
  expect(refunds).toHaveLength(2);
});

test("other arguments for the same case are refused, and nothing runs", async () => {
  const seen = [];
  for (const { name, refunds, tool } of both()) {
    const more = { ...order, cents: 50_000 };
    const { agent, told } = agentOf([tool], [[["call_1", order]], [["call_2", more]]]);
    await run(agent, "Refund A1.");
    expect(told().join()).not.toContain("Please try again");
    seen.push([name, refunds.map(({ cents }) => cents), told()[1]]);
  }
  expect(seen).toEqual([
    ["plain", [500, 50_000], '{"refundId":"re_2"}'],
    ["guarded", [500], expect.stringContaining('"held":"payload_conflict","effect":"none"')],
  ]);
});

describe("an approval in the SDK", () => {
  const policy = approval({ from: ["ana"] });
  const approvedBy = (context: { readonly context: unknown }) =>
    (context.context as { readonly approver?: string }).approver;

  /** What comes of two calls for two orders, the first of them approved by the SDK's own means. */
  async function approved(
    rules: Partial<OpenAIToolRules<Order>>,
    how: "approve" | "reject" | "always approve",
    tools: (tool: Tool) => Tool[] = (tool) => [tool],
  ) {
    const [, { refunds, tool }] = both(undefined, true, { policy, ...rules });
    const other = { orderId: "B2", cents: 900 };
    const { agent, told } = agentOf(tools(tool), [[["call_1", order]], [["call_2", other]]]);
    const asked = await run(agent, "Refund.", { context: { approver: "ana" } });
    const item = asked.interruptions[0]!;
    if (how === "reject") asked.state.reject(item);
    else asked.state.approve(item, { alwaysApprove: how === "always approve" });
    const next = await run(agent, asked.state);
    return { refunds, texts: told(), waiting: next.interruptions.length };
  }

  test("counts as that person's approval of the case", async () => {
    const { refunds, texts, waiting } = await approved({ approvedBy }, "approve");
    expect([refunds, texts, waiting]).toEqual([[order], ['{"refundId":"re_1"}'], 1]);
  });

  test("doesn't count where the rules don't say who it was", async () => {
    const { refunds, texts } = await approved({}, "approve");
    expect(refunds).toEqual([]);
    expect(JSON.parse(texts[0]!)).toMatchObject({ held: "pending", effect: "none" });
    expect(texts.join()).not.toContain("Please try again");
  });

  test("doesn't count from somebody whom the policy doesn't trust", async () => {
    const { refunds, texts } = await approved({ approvedBy: () => "mallory" }, "approve");
    expect(refunds).toEqual([]);
    expect(texts.join()).not.toContain("Please try again");
    expect(JSON.parse(texts[0]!)).toMatchObject({ effect: "none" });
  });

  test("of all later calls is of no call's arguments, and doesn't count", async () => {
    const { refunds, texts } = await approved({ approvedBy }, "always approve");
    expect(refunds).toEqual([]);
    expect(texts.map((text) => JSON.parse(text).held)).toEqual(["pending", "pending"]);
  });

  test("that was refused runs nothing", async () => {
    const { refunds } = await approved({ approvedBy }, "reject");
    expect(refunds).toEqual([]);
  });

  test("counts for a tool in a namespace, too", async () => {
    const [, { refunds, tool }] = both(undefined, true, { policy, approvedBy });
    const spaced = toolNamespace({ name: "shop", description: "The shop.", tools: [tool] });
    const call = functionCall("refund", order, { callId: "call_1", namespace: "shop" });
    const model = new ScriptedModel([[call], [assistantMessage("done")]]);
    const agent = new Agent({ name: "shop", model, tools: spaced });
    const asked = await run(agent, "Refund.", { context: { approver: "ana" } });
    asked.state.approve(asked.interruptions[0]!);
    await run(agent, asked.state);
    expect(refunds).toEqual([order]);
  });
});

describe("ids", () => {
  const other = { orderId: "B2", cents: 900 };

  test("the same call id in another run is another ask", async () => {
    const [, { refunds, tool }] = both();
    await run(agentOf([tool], [[["call_1", order]]]).agent, "Refund A1.");
    await run(agentOf([tool], [[["call_1", other]]]).agent, "Refund B2.");
    expect(refunds).toEqual([order, other]);
  });

  test("within one scope it stays bound to its case", async () => {
    const scope = (context?: { readonly context: unknown }) => String(context?.context);
    const [, { refunds, tool }] = both(undefined, false, { scope });
    const ask = (input: Order, context: string) => {
      const { agent, told } = agentOf([tool], [[["call_1", input]]]);
      return run(agent, "Refund.", { context }).then(told);
    };
    await ask(order, "chat 1");
    const [text] = await ask(other, "chat 1");
    expect(refunds).toEqual([order]);
    expect(JSON.parse(text!)).toMatchObject({ effect: "none" });
    await ask(other, "chat 2");
    expect(refunds).toEqual([order, other]);
  });
});

test("the effect is handed its key, and what the SDK hands the tool", async () => {
  const guard = guardOn(memoryStore());
  const seen: unknown[] = [];
  const refund = tool(
    guardTool(
      guard,
      {
        ...options(() => undefined),
        strict: true,
        needsApproval: async (_context, { cents }) => cents > 1_000,
        execute: ({ orderId }, context: RunContext<{ shop: string }> | undefined, details) => {
          const { idempotencyKey, caseId, signal } = effectOf(details);
          const same = details?.signal === signal;
          seen.push(orderId, context?.context.shop, details?.toolCall?.callId, caseId, same);
          seen.push(idempotencyKey);
        },
      },
      { key },
    ),
  );
  const { agent } = agentOf([refund], [[["call_1", order]]]);
  await run(agent, "Refund A1.", { context: { shop: "north" } });
  expect(seen).toEqual([
    "A1",
    "north",
    "call_1",
    "refund:A1",
    true,
    expect.stringMatching(/^[0-9a-f]{64}$/),
  ]);
});

test("a tool with an output schema says of that shape what was held", async () => {
  const guard = guardOn(memoryStore());
  const structured = {
    ...options(() => {
      throw new Error("socket hang up");
    }),
    outputSchema: z.object({ done: z.boolean(), note: z.string() }),
    execute: async (_input: Order): Promise<{ done: boolean; note: string }> => {
      throw new Error("socket hang up");
    },
  };
  expect(() => guardTool(guard, structured, { key })).toThrow("heldOutput");
  const heldOutput = ({ message }: { message: string }) => ({ done: false, note: message });
  const refund = tool(guardTool(guard, structured, { key, heldOutput }));
  const { agent, told } = agentOf([refund], [[["call_1", order]]]);
  await run(agent, "Refund A1.");
  expect(JSON.parse(told()[0]!)).toEqual({
    done: false,
    note: expect.stringContaining("Do not call it again."),
  });
});

test("a tool without a name has its function's", async () => {
  const guard = guardOn(memoryStore());
  const payOut = async (input: Order) => input.cents;
  const { name: _, ...nameless } = options(payOut);
  const guarded = guardTool(guard, { ...nameless, execute: payOut }, { key });
  expect(guarded.name).toBe("payOut");
  const { agent, told } = agentOf([tool(guarded)], [[["call_1", order]]], "payOut");
  await run(agent, "Pay.");
  expect(told()).toEqual(["500"]);
  expect((await guard.list({ action: "payOut" })).items).toHaveLength(1);
});

describe("wrong rules are refused where the tool is made", () => {
  const guard = createGuard({ store: "memory:" });
  const fine = options(() => 1);
  const none = undefined as never;
  test.each<readonly [string, () => unknown, string]>([
    ["no key", () => guardTool(guard, fine, {} as never), "`key`"],
    ["no rules", () => guardTool(guard, fine, none), "`key`"],
    ["no options", () => guardTool(guard, none, { key: () => "" }), "`execute`"],
    ["a tool", () => guardTool(guard, tool(fine) as never, { key: () => "" }), "`execute`"],
    ["no name", () => guardTool(guard, { ...fine, name: "" }, { key }), "`name`"],
    [
      "guarded twice",
      () => guardTool(guard, guardTool(guard, fine, { key }), { key }),
      "guarded already",
    ],
  ])("%s", (_name, make, says) => {
    expect(make).toThrow(GuardError);
    expect(make).toThrow(says);
  });
});

test.each<readonly [string, Partial<OpenAIToolRules<Order>>]>([
  ["key", { key: () => "" }],
  [
    "scope",
    {
      scope: () => {
        throw new Error("no chat");
      },
    },
  ],
  ["scope", { scope: () => 7 as never }],
])(
  "a rule `%s` that fails at the call runs nothing, and reaches the model as a value",
  async (_name, rules) => {
    const [, { refunds, tool }] = both(undefined, false, rules);
    const { agent, told } = agentOf([tool], [[["call_1", order]]]);
    await run(agent, "Refund A1.");
    expect(refunds).toEqual([]);
    expect(JSON.parse(told()[0]!)).toMatchObject({ held: "invalid_request", effect: "none" });
  },
);

describe("a process killed in the tool, its saved run resumed in a new one", () => {
  const program = join(import.meta.dirname, "programs/openai-agent.ts");

  /** How a process ended that resumes the run, and what it printed. */
  async function resumed(config: AgentConfig) {
    const args = [program, JSON.stringify(config)];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    const ended = new Promise<string | number | null>((done) => {
      child.on("exit", (code, signal) => done(signal ?? code));
    });
    const printed = await textOf(child.stdout);
    return { ended: await ended, printed };
  }

  async function killedThenResumed(effect: AgentConfig["effect"], isGuarded: boolean) {
    const folder = testFolder();
    const saved = join(folder, "run.json");
    const { agent } = agentOf([tool(options(() => undefined, true))], [[["call_1", order]]]);
    const asked = await run(agent, "Refund A1.");
    asked.state.approve(asked.interruptions[0]!);
    writeFileSync(saved, asked.state.toString());

    const store = isGuarded ? join(folder, "safeagent.db") : undefined;
    const config = { store, ledger: join(folder, "ledger"), effect, saved };
    const killed = await resumed({ ...config, dies: true });
    expect(killed).toEqual({ ended: "SIGKILL", printed: "" });
    const { ended, printed } = await resumed({ ...config, dies: false });
    expect(ended).toBe(0);
    const keys = readFileSync(config.ledger, "utf8").trim().split("\n");
    return { keys, printed };
  }

  test("without the guard it runs twice", async () => {
    const { keys, printed } = await killedThenResumed("opaque", false);
    expect(keys).toEqual(["none", "none"]);
    expect(printed).toContain("refunded");
  });

  test("an opaque effect is in doubt, and is not started again", async () => {
    const { keys, printed } = await killedThenResumed("opaque", true);
    expect(keys).toHaveLength(1);
    expect(printed).toContain("in_doubt");
    expect(printed).toContain("Do not call it again.");
    expect(printed).not.toContain("Please try again");
  });

  test("a keyed effect is called again with the same key", async () => {
    const { keys, printed } = await killedThenResumed("keyed", true);
    expect(keys).toHaveLength(2);
    expect(new Set(keys).size).toBe(1);
    expect(keys[0]).toMatch(/^[0-9a-f]{64}$/);
    expect(printed).toContain("refunded");
  });
});

test("a guarded tool that another one calls, held in a shape of its own, is not the other's result", async () => {
  const { refunds, refund } = provider();
  const guard = guardOn(memoryStore());
  const heldOutput = ({ message }: { message: string }) => ({ refundId: null, message });
  const rules = { key, policy: approval({ from: ["ana"] }), heldOutput };
  const pay = guardTool(guard, { ...options(refund), name: "pay" }, rules);
  const execute = (input: Order, context: unknown, details: unknown) =>
    pay.execute(input, context as never, details as never);
  const close = guardTool(
    guard,
    { ...options(refund), name: "close", execute },
    { key: ({ orderId }: Order) => `close:${orderId}` },
  );
  const call = (callId: string) =>
    close.execute(order, undefined, { toolCall: { callId, name: "close" } });
  expect(await call("call_1")).toMatchObject({ held: "pending", caseId: "refund:A1" });
  expect(await guard.case("close:A1").get()).toMatchObject({ state: "FINAL" });
  await guard.approve("refund:A1", { actor: "ana" });
  expect(await call("call_2")).toEqual({ refundId: "re_1" });
  expect(refunds).toHaveLength(1);
});
