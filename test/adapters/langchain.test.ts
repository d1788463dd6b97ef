import { spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { text as textOf } from "node:stream/consumers";
import { AIMessage, HumanMessage, ToolMessage } from "@langchain/core/messages";
import { fakeModel } from "@langchain/core/testing";
import { StructuredTool, tool } from "@langchain/core/tools";
import {
  Annotation,
  Command,
  interrupt,
  MemorySaver,
  MessagesAnnotation,
  Send,
  START,
  StateGraph,
} from "@langchain/langgraph";
import { ToolNode } from "@langchain/langgraph/prebuilt";
import { createAgent, createMiddleware, toolRetryMiddleware } from "langchain";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import {
  effectOf,
  guardMiddleware,
  guardTool,
  type ToolConfig,
} from "../../src/adapters/langchain.ts";
import { createGuard, type Guard, GuardError, memoryStore, NotPerformed } from "../../src/index.ts";
import { testFolder } from "../crash/folder.ts";
import { guardOn } from "../crash/in-process.ts";
import { type AgentConfig, dumped } from "./programs/langchain-saver.ts";

const schema = z.object({ orderId: z.string(), cents: z.number().int() });
type Order = z.infer<typeof schema>;

const order: Order = { orderId: "A1", cents: 500 };
const key = ({ orderId }: Order) => `refund:${orderId}`;
const fields = { name: "refund", description: "Refunds an order.", schema };

/** A payment provider of the test's own: what it was asked to do, in order. */
function provider(answer: (count: number) => unknown = (count) => ({ refundId: `re_${count}` })) {
  const refunds: Order[] = [];
  const refund = tool((input) => {
    refunds.push(input);
    return answer(refunds.length);
  }, fields);
  return { refunds, refund };
}

type Way = "plain" | "tool" | "middleware";
const ways: readonly Way[] = ["plain", "tool", "middleware"];

/** What an agent is made with, for a tool that is not guarded, or in one of the two ways. */
function guarded(way: Way, refund: ReturnType<typeof provider>["refund"], guard: Guard) {
  switch (way) {
    case "plain":
      return { tools: [refund], middleware: [] };
    case "tool":
      return { tools: [guardTool(guard, refund, { key })], middleware: [] };
    case "middleware":
      return {
        tools: [refund],
        middleware: [guardMiddleware(guard, { tools: { refund: { key } } })],
      };
  }
}

type Asked = readonly [id: string, args: Order, name?: string];

/** A model that makes these calls, a turn each, and then ends. */
function modelOf(turns: readonly (readonly Asked[])[]) {
  let model = fakeModel();
  for (const calls of turns) {
    model = model.respondWithTools(
      calls.map(([id, args, name = "refund"]) => ({ id, args, name })),
    );
  }
  for (let end = 1; end <= 4; end += 1) model = model.respond(new AIMessage("done"));
  return model;
}

const start = { messages: [new HumanMessage("Refund A1.")] };
const thread = { configurable: { thread_id: "thread 1" } };

/** What the tools said in a state: to which call, how, and what. */
const told = ({ messages }: { messages: readonly unknown[] }) =>
  messages
    .filter((message) => ToolMessage.isInstance(message))
    .map(({ tool_call_id, status, content }) => [tool_call_id, status, content]);

test("a checkpoint that is replayed runs the tool twice, and through the guard once", async () => {
  const seen = [];
  for (const way of ways) {
    const { refunds, refund } = provider();
    const agent = createAgent({
      model: modelOf([[["call_1", order]]]),
      checkpointer: new MemorySaver(),
      ...guarded(way, refund, guardOn(memoryStore())),
    });
    const first = await agent.invoke(start, thread);
    const asked = await checkpointBefore(agent, "tools");
    const again = await agent.invoke(null, asked);
    seen.push([way, refunds.length, ...told(first), ...told(again)]);
  }
  const one = ["call_1", "success", '{"refundId":"re_1"}'];
  expect(seen).toEqual([
    ["plain", 2, one, ["call_1", "success", '{"refundId":"re_2"}']],
    ["tool", 1, one, one],
    ["middleware", 1, one, one],
  ]);
});

interface History {
  getStateHistory(config: object): AsyncIterable<{ next: string[]; config: object }>;
}

/** The config of the checkpoint that a node was run from. */
async function checkpointBefore(agent: { graph: History }, node: string) {
  for await (const { next, config } of agent.graph.getStateHistory(thread)) {
    if (next.includes(node)) return config;
  }
  throw new Error(`no checkpoint before ${node}`);
}

test("a model that asks again under a new id runs the tool twice, and through the guard once", async () => {
  const seen = [];
  for (const way of ways) {
    const { refunds, refund } = provider();
    const model = modelOf([[["call_1", order]], [["call_2", order]]]);
    const agent = createAgent({ model, ...guarded(way, refund, guardOn(memoryStore())) });
    const messages = told(await agent.invoke(start, thread));
    seen.push([way, refunds.length, ...messages]);
  }
  const one = ["call_1", "success", '{"refundId":"re_1"}'];
  const same = ["call_2", "success", '{"refundId":"re_1"}'];
  expect(seen).toEqual([
    ["plain", 2, one, ["call_2", "success", '{"refundId":"re_2"}']],
    ["tool", 1, one, same],
    ["middleware", 1, one, same],
  ]);
});

test("in a ToolNode two calls in one turn run the tool twice, and through the guard once", async () => {
  const seen = [];
  for (const way of ["plain", "tool"] as const) {
    const { refunds, refund } = provider();
    const { tools } = guarded(way, refund, guardOn(memoryStore()));
    const tool_calls = ["call_1", "call_2"].map((id) => ({ id, name: "refund", args: order }));
    const state = await new ToolNode(tools).invoke({
      messages: [new AIMessage({ content: "", tool_calls })],
    });
    seen.push([way, refunds.length, told(state).map(([id]) => id)]);
  }
  expect(seen).toEqual([
    ["plain", 2, ["call_1", "call_2"]],
    ["tool", 1, ["call_1", "call_2"]],
  ]);
});

describe("interrupt()", () => {
  test("re-runs its node: the tool before it twice, and through the guard once", async () => {
    const seen = [];
    for (const way of ["plain", "tool"] as const) {
      const { refunds, refund } = provider();
      const [one] = guarded(way, refund, guardOn(memoryStore())).tools;
      const graph = new StateGraph(Annotation.Root({ answer: Annotation<string> }))
        .addNode("pay", async () => {
          await one!.invoke(order);
          return { answer: interrupt("Anything else?") };
        })
        .addEdge(START, "pay")
        .compile({ checkpointer: new MemorySaver() });
      await graph.invoke({}, thread);
      const { answer } = await graph.invoke(new Command({ resume: "no" }), thread);
      seen.push([way, refunds.length, answer]);
    }
    expect(seen).toEqual([
      ["plain", 2, "no"],
      ["tool", 1, "no"],
    ]);
  });

  test.each(["tool", "middleware"] as const)(
    "within a tool leaves its case not performed, and resuming runs it once (%s)",
    async (way) => {
      const guard = guardOn(memoryStore());
      const refunds: unknown[] = [];
      const refund = tool((input) => {
        const answer = interrupt("Really?");
        refunds.push(answer);
        return { refunded: input.cents };
      }, fields);
      const agent = createAgent({
        model: modelOf([[["call_1", order]]]),
        checkpointer: new MemorySaver(),
        ...guarded(way, refund, guard),
      });
      const paused = await agent.invoke(start, thread);
      expect(JSON.stringify(paused)).toContain("Really?");
      expect([refunds, told(paused)]).toEqual([[], []]);
      expect((await guard.list({ states: ["FINAL"] })).items).toHaveLength(1);

      const resume = new Command({ resume: "yes" });
      const done = await agent.invoke(resume, thread);
      expect(told(done)).toEqual([["call_1", "success", '{"refunded":500}']]);
      expect(refunds).toEqual(["yes"]);
      expect((await guard.history("refund:A1")).map(({ entry }) => entry.event.type)).toEqual([
        "claim",
        "release",
        "claim",
        "settle",
      ]);
    },
  );

  test("that the tool made another error of is an error like any other", async () => {
    const refund = tool(() => {
      try {
        return interrupt("Really?");
      } catch (cause) {
        throw new Error("socket hang up", { cause });
      }
    }, fields);
    const agent = createAgent({
      model: modelOf([[["call_1", order]]]),
      checkpointer: new MemorySaver(),
      tools: [guardTool(guardOn(memoryStore()), refund, { key })],
    });
    expect(told(await agent.invoke(start, thread))).toEqual([
      ["call_1", "error", expect.stringContaining("Unknown whether it ran.")],
    ]);
  });

  test("that refuses its answer leaves the case not performed, too", async () => {
    const guard = guardOn(memoryStore());
    const refunds: unknown[] = [];
    const refund = tool(() => {
      refunds.push(interrupt("Really?", { responseSchema: z.literal("yes") }));
      return "refunded";
    }, fields);
    const agent = createAgent({
      model: modelOf([[["call_1", order]], [["call_2", order]]]),
      checkpointer: new MemorySaver(),
      tools: [guardTool(guard, refund, { key })],
    });
    await agent.invoke(start, thread);
    await agent.invoke(new Command({ resume: "perhaps" }), thread);
    const [kase] = (await guard.list({})).items;
    expect([kase?.state, refunds]).toEqual(["FINAL", []]);
    await agent.invoke(new Command({ resume: "yes" }), thread);
    expect(refunds).toEqual(["yes"]);
  });
});

test("a retry middleware runs a tool that throws again, and a guarded one never", async () => {
  const lost = () => {
    throw new Error("socket hang up");
  };
  const options = { maxRetries: 2, initialDelayMs: 0, jitter: false };
  // Its type and LangChain's own list of middleware disagree under exactOptionalPropertyTypes.
  const retry = toolRetryMiddleware(options) as ReturnType<typeof createMiddleware>;
  const seen = [];
  for (const way of ways) {
    for (const isOutside of [true, false]) {
      const { refunds, refund } = provider(lost);
      const { tools, middleware } = guarded(way, refund, guardOn(memoryStore()));
      const all = isOutside ? [retry, ...middleware] : [...middleware, retry];
      const agent = createAgent({ model: modelOf([[["call_1", order]]]), tools, middleware: all });
      const [[, status, content] = []] = told(await agent.invoke(start));
      seen.push([way, refunds.length, status]);
      if (way !== "plain") expect(content).toContain("Do not call it again.");
    }
  }
  expect(seen).toEqual([
    ["plain", 3, "error"],
    ["plain", 3, "error"],
    ["tool", 1, "error"],
    ["tool", 1, "error"],
    ["middleware", 1, "error"],
    ["middleware", 1, "error"],
  ]);
});

describe("a tool that throws", () => {
  const lost = () => {
    throw new Error("socket hang up");
  };
  const turns = [[["call_1", order]], [["call_2", order]]] as const;

  test("is called again by a model that is told to mend its mistakes; the guard says not to", async () => {
    const seen = [];
    for (const way of ways) {
      const { refunds, refund } = provider(lost);
      const model = modelOf(turns);
      const agent = createAgent({ model, ...guarded(way, refund, guardOn(memoryStore())) });
      const state = await agent.invoke(start);
      const texts = told(state).map(([, , content]) => content);
      seen.push([way, refunds.length, texts.join().includes("Please fix your mistakes")]);
      if (way === "plain") continue;
      const [message] = state.messages.filter((one) => ToolMessage.isInstance(one));
      expect(message).toMatchObject({
        tool_call_id: "call_1",
        name: "refund",
        status: "error",
        content: expect.stringContaining("Do not call it again."),
        artifact: { held: "in_doubt", effect: "unknown", caseId: "refund:A1" },
      });
    }
    expect(seen).toEqual([
      ["plain", 2, true],
      ["tool", 1, false],
      ["middleware", 1, false],
    ]);
  });

  test("ends a run with any other middleware, and not with the guard's, whatever its name", async () => {
    const { refund } = provider(lost);
    const agentWith = (middleware: ReturnType<typeof createMiddleware>) =>
      createAgent({ model: modelOf(turns), tools: [refund], middleware: [middleware] });
    const open = createMiddleware({
      name: "open",
      wrapToolCall: (request, handler) => handler(request),
    });
    await expect(agentWith(open).invoke(start)).rejects.toThrow("socket hang up");

    const other = guardMiddleware(guardOn(memoryStore()), { tools: { other: { key } } });
    const state = await agentWith(other).invoke(start);
    expect(told(state)[0]).toEqual([
      "call_1",
      "error",
      "Error: socket hang up\n Please fix your mistakes.",
    ]);
  });

  test("with NotPerformed may be asked again, and then runs", async () => {
    const { refunds, refund } = provider((count) => {
      if (count === 1) throw new NotPerformed("the provider is closed");
      return "refunded";
    });
    const tools = [guardTool(guardOn(memoryStore()), refund, { key })];
    const [first, second] = told(await createAgent({ model: modelOf(turns), tools }).invoke(start));
    expect(first).toEqual(["call_1", "error", expect.stringContaining("safe to call it again")]);
    expect(second).toEqual(["call_2", "success", "refunded"]);
    expect(refunds).toHaveLength(2);
  });
});

test("other arguments for the same case are refused, and nothing runs", async () => {
  const seen = [];
  for (const way of ways) {
    const { refunds, refund } = provider();
    const model = modelOf([[["call_1", order]], [["call_2", { ...order, cents: 50_000 }]]]);
    const agent = createAgent({ model, ...guarded(way, refund, guardOn(memoryStore())) });
    const [, second] = told(await agent.invoke(start));
    seen.push([way, refunds.map(({ cents }) => cents), second?.[1]]);
  }
  expect(seen).toEqual([
    ["plain", [500, 50_000], "success"],
    ["tool", [500], "error"],
    ["middleware", [500], "error"],
  ]);
});

test.each(["tool", "middleware"] as const)(
  "arguments that the schema refuses make no case (%s)",
  async (way) => {
    const guard = guardOn(memoryStore());
    const { refunds, refund } = provider();
    const wrong = { orderId: "A1", cents: "much" } as never;
    const model = modelOf([[["call_1", wrong]]]);
    const agent = createAgent({ model, ...guarded(way, refund, guard) });
    expect(told(await agent.invoke(start))[0]).toEqual([
      "call_1",
      "error",
      expect.stringContaining("did not match expected schema"),
    ]);
    expect([refunds, (await guard.list({})).items]).toEqual([[], []]);
  },
);

describe("what a tool returns, asked for again", () => {
  const call = (id: string) => ({ id, name: "refund", args: order, type: "tool_call" as const });

  /** The first call's message and a later one's, from another guard on the same store. */
  async function twice(make: () => Parameters<typeof guardTool>[1]) {
    const store = memoryStore();
    const ask = () =>
      guardTool(guardOn(store), make() as never, { key } as never) as unknown as {
        invoke(input: unknown): Promise<unknown>;
      };
    const answers = [];
    for (const id of ["call_1", "call_2"]) answers.push(await ask().invoke(call(id)));
    return answers as [ToolMessage, ToolMessage];
  }

  test.each<readonly [string, unknown]>([
    ["a text", "refunded"],
    ["an object", { refundId: "re_1", cents: 500 }],
    ["nothing", undefined],
    ["blocks", [{ type: "text", text: "refunded" }]],
    ["what looks like a kept command", { langchain: "command", parts: { goto: "elsewhere" } }],
    ["what looks like a kept value", { langchain: "value", value: 1 }],
    ["what only looks marked", { langchain: "rocks" }],
  ])("%s is the same, for the new call", async (_name, value) => {
    const [first, second] = await twice(() => tool(() => value, fields));
    expect(first.tool_call_id).toBe("call_1");
    expect(second.tool_call_id).toBe("call_2");
    expect([second.content, second.status, second.name]).toEqual([
      first.content,
      "success",
      "refund",
    ]);
  });

  test("content and artifact are both the same", async () => {
    const pair = ["refunded", { refundId: "re_1" }];
    const format = { ...fields, responseFormat: "content_and_artifact" } as const;
    const [first, second] = await twice(() => tool(() => pair, format));
    expect([first.content, first.artifact]).toEqual(pair);
    expect([second.content, second.artifact]).toEqual(pair);
  });

  test("a message of the tool's own is the same, but for the call and its id", async () => {
    const [first, second] = await twice(() =>
      tool((_input, config) => {
        const { id } = config.toolCall as { id: string };
        return new ToolMessage({
          id: "message_1",
          content: [{ type: "text", text: "refunded" }],
          artifact: { refundId: "re_1" },
          status: "error",
          tool_call_id: id,
          additional_kwargs: { seen: true },
        });
      }, fields),
    );
    expect([first.id, first.tool_call_id]).toEqual(["message_1", "call_1"]);
    expect([second.id, second.tool_call_id]).toEqual([undefined, "call_2"]);
    expect([second.content, second.artifact, second.status, second.additional_kwargs]).toEqual([
      first.content,
      first.artifact,
      first.status,
      first.additional_kwargs,
    ]);
  });

  test("a message that can't be kept says that it was done", async () => {
    const send = () => new Command({ goto: [new Send("elsewhere", {})] });
    const [, second] = await twice(() => tool(send, fields));
    expect(second.content).toContain("Done, by an earlier call.");
    expect(second.tool_call_id).toBe("call_2");
  });

  test("another framework's value that looks kept, and isn't, says that it was done", async () => {
    const guard = guardOn(memoryStore());
    const run = () => ({ langchain: "message" });
    await guard.execute({ requestId: key(order), action: "refund", payload: order, run });
    const refund = guardTool(guard, provider().refund, { key });
    expect((await refund.invoke(call("call_1"))).content).toContain("Done, by an earlier call.");
  });

  test("a pair that is none still reaches the model", async () => {
    const format = { ...fields, responseFormat: "content_and_artifact" } as const;
    const [first, second] = await twice(() => tool(() => "refunded" as never, format));
    expect([first.content, second.content]).toEqual(["refunded", "refunded"]);
  });

  test("a tool that reports its progress is run to its end", async () => {
    const [first, second] = await twice(() =>
      tool(async function* () {
        yield "half";
        return "whole";
      }, fields),
    );
    expect([first.content, second.content]).toEqual(["whole", "whole"]);
  });

  test("a Command updates the state and goes where it says, each time", async () => {
    const seen = [];
    for (const way of ["plain", "tool"] as const) {
      const store = memoryStore();
      const refunds: unknown[] = [];
      const refund = tool((input, config) => {
        refunds.push(input);
        const { id } = config.toolCall as { id: string };
        const content = `refund ${refunds.length}`;
        const message = new ToolMessage({ id: "m", content, tool_call_id: id });
        return new Command({
          update: { messages: [message], refunded: input.cents },
          goto: "after",
        });
      }, fields);
      const State = Annotation.Root({
        ...MessagesAnnotation.spec,
        refunded: Annotation<number>,
        went: Annotation<boolean>,
      });
      const states = [];
      for (const id of ["call_1", "call_2"]) {
        const one = way === "plain" ? refund : guardTool(guardOn(store), refund, { key });
        const graph = new StateGraph(State)
          .addNode("tools", new ToolNode([one]), { ends: ["after"] })
          .addNode("after", () => ({ went: true }))
          .addEdge(START, "tools")
          .compile();
        const tool_calls = [{ id, name: "refund", args: order }];
        const state = await graph.invoke({
          messages: [new AIMessage({ content: "", tool_calls })],
        });
        states.push([...told(state).flat(), state.refunded, state.went]);
      }
      seen.push([way, refunds.length, ...states]);
    }
    const one = ["call_1", undefined, "refund 1", 500, true];
    expect(seen).toEqual([
      ["plain", 2, one, ["call_2", undefined, "refund 2", 500, true]],
      ["tool", 1, one, ["call_2", undefined, "refund 1", 500, true]],
    ]);
  });
});

test("the effect is handed its key, and the config as it was", async () => {
  const seen: unknown[] = [];
  const refund = tool((_input, config) => {
    const { idempotencyKey, caseId } = effectOf(config);
    seen.push(caseId, config.configurable?.thread_id, config.toolCall?.id, idempotencyKey);
    return "refunded";
  }, fields);
  const tools = [guardTool(guardOn(memoryStore()), refund, { key })];
  const agent = createAgent({ model: modelOf([[["call_1", order]]]), tools });
  await agent.invoke(start, thread);
  expect(seen).toEqual([
    "refund:A1",
    "thread 1",
    "call_1",
    expect.stringMatching(/^[0-9a-f]{64}$/),
  ]);
});

test("a caller who gives up ends its wait, not the effect and its record", async () => {
  const guard = guardOn(memoryStore());
  const started = Promise.withResolvers<void>();
  const end = Promise.withResolvers<string>();
  const refund = tool(() => {
    started.resolve();
    return end.promise;
  }, fields);
  const controller = new AbortController();
  const asked = guardTool(guard, refund, { key }).invoke(order, { signal: controller.signal });
  await started.promise;
  controller.abort();
  expect(await asked).toContain("It is being done already.");
  end.resolve("refunded");
  expect(await guardTool(guard, refund, { key }).invoke(order)).toBe("refunded");
  expect((await guard.list({ states: ["SETTLED"] })).items).toHaveLength(1);
});

test("a class of one's own is guarded like tool()'s, and stays what it is", async () => {
  class Refund extends StructuredTool<typeof schema> {
    override name = "refund";
    override description = "Refunds an order.";
    override schema = schema;
    #refunds = 0;
    override async _call({ cents }: Order) {
      this.#refunds += 1;
      return `refund ${this.#refunds} of ${cents}`;
    }
  }
  const refund = guardTool(guardOn(memoryStore()), new Refund(), { key });
  expect(refund).toBeInstanceOf(Refund);
  expect([await refund.invoke(order), await refund.invoke(order)]).toEqual([
    "refund 1 of 500",
    "refund 1 of 500",
  ]);
});

describe("guardMiddleware", () => {
  test("leaves a tool alone that is guarded already", async () => {
    const guard = guardOn(memoryStore());
    const { refunds, refund } = provider();
    const tools = [guardTool(guard, refund, { key })];
    const middleware = [guardMiddleware(guard, { tools: { refund: { key } } })];
    const agent = createAgent({ model: modelOf([[["call_1", order]]]), tools, middleware });
    expect(told(await agent.invoke(start))).toEqual([["call_1", "success", '{"refundId":"re_1"}']]);
    expect(refunds).toEqual([order]);
  });

  test("never lets a guarded name through to a tool that it can't see", async () => {
    const { refunds, refund } = provider();
    const inner = createMiddleware({
      name: "inner",
      wrapToolCall: (request, handler) => handler({ ...request, tool: refund }),
    });
    const look = tool(() => "seen", { name: "look", description: "Looks.", schema });
    const guard = guardMiddleware(guardOn(memoryStore()), { tools: { refund: { key } } });
    const agentWith = (middleware: (typeof inner)[]) =>
      createAgent({ model: modelOf([[["call_1", order]]]), tools: [look], middleware });
    await agentWith([inner]).invoke(start);
    expect(refunds).toEqual([order]);

    expect(told(await agentWith([guard, inner]).invoke(start))).toEqual([
      ["call_1", "error", expect.stringContaining('there is no tool "refund" here')],
    ]);
    expect(refunds).toEqual([order]);
    // Before it, the tool is seen, and guarded.
    const state = await agentWith([inner, guard]).invoke(start);
    expect(told(state)).toEqual([["call_1", "success", '{"refundId":"re_2"}']]);
  });
});

describe("wrong rules are refused where the tool is made", () => {
  const guard = createGuard({ store: "memory:" });
  const { refund } = provider();
  test.each<readonly [string, () => unknown, string]>([
    ["no key", () => guardTool(guard, refund, {} as never), "`key`"],
    ["no rules", () => guardTool(guard, refund, undefined as never), "`key`"],
    ["no tool", () => guardTool(guard, undefined as never, { key }), "not a tool"],
    ["a function", () => guardTool(guard, (() => 1) as never, { key }), "not a tool"],
    [
      "guarded twice",
      () => guardTool(guard, guardTool(guard, refund, { key }), { key }),
      "guarded already",
    ],
    [
      "a middleware without key",
      () => guardMiddleware(guard, { tools: { a: {} as never } }),
      "`key`",
    ],
    ["a middleware without tools", () => guardMiddleware(guard, {} as never), "`tools`"],
  ])("%s", (_name, make, says) => {
    expect(make).toThrow(GuardError);
    expect(make).toThrow(says);
  });
});

describe("a process killed in the tool, its thread resumed in a new one", () => {
  const program = join(import.meta.dirname, "programs/langchain-agent.ts");

  /** How a process ended that resumes the thread, and what it printed. */
  async function resumed(config: AgentConfig) {
    const args = [program, JSON.stringify(config)];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    const ended = new Promise<string | number | null>((done) => {
      child.on("exit", (code, signal) => done(signal ?? code));
    });
    const printed = await textOf(child.stdout);
    return { ended: await ended, printed };
  }

  async function killedThenResumed(way: Way, effect: AgentConfig["effect"]) {
    const folder = testFolder();
    const saved = join(folder, "thread.json");
    const checkpointer = new MemorySaver();
    const agent = createAgent({
      model: modelOf([[["call_1", order]]]),
      tools: [provider().refund],
      checkpointer,
    });
    await agent.graph.invoke(start, { ...thread, interruptBefore: ["tools"] });
    writeFileSync(saved, dumped(checkpointer));

    const config = { way, effect, store: join(folder, "safeagent.db"), saved } as const;
    const ledger = join(folder, "ledger");
    const killed = await resumed({ ...config, ledger, dies: true });
    expect(killed).toEqual({ ended: "SIGKILL", printed: "" });
    const { ended, printed } = await resumed({ ...config, ledger, dies: false });
    expect(ended).toBe(0);
    const keys = readFileSync(ledger, "utf8").trim().split("\n");
    return { keys, told: JSON.parse(printed) };
  }

  test("without the guard it runs twice", async () => {
    const { keys, told } = await killedThenResumed("plain", "opaque");
    expect(keys).toEqual(["none", "none"]);
    expect(told).toEqual([["call_1", "success", '{"refunded":500}']]);
  });

  test.each(["tool", "middleware"] as const)(
    "an opaque effect is in doubt, and is not started again (%s)",
    async (way) => {
      const { keys, told } = await killedThenResumed(way, "opaque");
      expect(keys).toHaveLength(1);
      expect(told).toEqual([["call_1", "error", expect.stringContaining("Do not call it again.")]]);
    },
  );

  test("a keyed effect is called again with the same key", async () => {
    const { keys, told } = await killedThenResumed("tool", "keyed");
    expect(keys).toHaveLength(2);
    expect(new Set(keys).size).toBe(1);
    expect(told).toEqual([["call_1", "success", '{"refunded":500}']]);
  });
});

describe("a thread in which a model numbers its calls anew in each run", () => {
  const two = [[["call_1", order]], [], [["call_1", { ...order, orderId: "B2" }]]] as const;
  const seenWith = async (rules: { scope?: () => string }) => {
    const { refunds, refund } = provider();
    let model = fakeModel();
    for (const calls of two) {
      model =
        calls.length === 0
          ? model.respond(new AIMessage("done"))
          : model.respondWithTools(calls.map(([id, args]) => ({ id, args, name: "refund" })));
    }
    const tools = [guardTool(guardOn(memoryStore()), refund, { key, ...rules })];
    const checkpointer = new MemorySaver();
    const agent = createAgent({ model: model.respond(new AIMessage("done")), checkpointer, tools });
    await agent.invoke(start, thread);
    const { messages } = await agent.invoke(start, thread);
    const statuses = told({ messages }).map(([, status]) => status);
    return { statuses, refunds: refunds.map(({ orderId }) => orderId) };
  };

  test("another order under the same id runs", async () => {
    expect(await seenWith({})).toEqual({
      statuses: ["success", "success"],
      refunds: ["A1", "B2"],
    });
  });

  test("within a scope of its own the id stands for one call", async () => {
    expect(await seenWith({ scope: () => "thread 1" })).toEqual({
      statuses: ["success", "error"],
      refunds: ["A1"],
    });
  });
});

describe("a result that no receipt can hold is never shown as an empty one", () => {
  const huge = "x".repeat(300_000);
  const results: readonly (readonly [string, () => unknown, "content" | "content_and_artifact"])[] =
    [
      ["too long a text", () => huge, "content"],
      ["a BigInt", () => 10n, "content"],
      [
        "too long a message",
        () => new ToolMessage({ content: huge, tool_call_id: "call_1" }),
        "content",
      ],
      ["too large an artifact", () => ["done", { huge }], "content_and_artifact"],
      ["an artifact with a BigInt", () => ["done", { sum: 10n }], "content_and_artifact"],
    ];
  test.each(results)("%s", async (_name, result, responseFormat) => {
    let runs = 0;
    const plain = tool(
      () => {
        runs += 1;
        return result();
      },
      { ...fields, responseFormat },
    );
    const refund = guardTool(guardOn(memoryStore()), plain, { key });
    const call = (id: string) =>
      refund.invoke({ type: "tool_call" as const, id, name: "refund", args: order });
    await call("call_1");
    const again = (await call("call_2")) as ToolMessage;
    expect(again.content).toMatch(/^Done, by an earlier call\. Its result could not be kept/);
    expect(again.tool_call_id).toBe("call_2");
    expect(runs).toBe(1);
  });
});

test("rules are asked with the config, in a middleware, too", async () => {
  const { refunds, refund } = provider();
  const whose = {
    key: ({ orderId }: Order, { configurable }: ToolConfig) =>
      `${configurable?.user}:refund:${orderId}`,
  };
  const guard = guardOn(memoryStore());
  const agent = createAgent({
    model: modelOf([[["call_1", order]]]),
    tools: [refund],
    middleware: [guardMiddleware(guard, { tools: { refund: whose } })],
  });
  await agent.invoke(start, { configurable: { user: "ana" } });
  expect(refunds).toHaveLength(1);
  expect(await guard.case("ana:refund:A1").get()).toMatchObject({ state: "SETTLED" });
});
