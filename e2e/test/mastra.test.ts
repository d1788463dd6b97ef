import { Agent } from "@mastra/core/agent";
import { Mastra } from "@mastra/core/mastra";
import { RequestContext } from "@mastra/core/request-context";
import { InMemoryStore } from "@mastra/core/storage";
import { MastraLanguageModelV2Mock } from "@mastra/core/test-utils/llm-mock";
import { createTool } from "@mastra/core/tools";
import { describe, expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { guardTool } from "../../src/adapters/mastra.ts";
import { approval, createGuard, type Guard } from "../../src/index.ts";

const order = { orderId: "A1", cents: 500 };

/** What the model was handed for its calls: call id → result. */
type Results = Map<string, unknown>;

/** A model that calls the tool so many times, each under a new id, and then says that it is done. */
function modelCalling(times: number, results: Results) {
  return new MastraLanguageModelV2Mock({
    doGenerate: async ({ prompt }) => {
      const handed = prompt.flatMap(({ role, content }) => (role === "tool" ? content : []));
      for (const { toolCallId, output } of handed) results.set(toolCallId, output.value);
      const usage = { inputTokens: 10, outputTokens: 5, totalTokens: 15 };
      const finishes = handed.length === times;
      return {
        content: finishes
          ? [{ type: "text", text: "Done." }]
          : [
              {
                type: "tool-call",
                toolCallId: `call_${handed.length + 1}`,
                toolName: "pay",
                input: JSON.stringify(order),
              },
            ],
        finishReason: finishes ? "stop" : "tool-calls",
        usage,
        warnings: [],
      };
    },
  });
}

/** The tool, plain or guarded; its effect is a line in `ledger`. */
function payTool(ledger: string[], requireApproval: boolean, guard: Guard | undefined) {
  const definition = {
    id: "pay",
    description: "Pays an order.",
    inputSchema: z.object({ orderId: z.string(), cents: z.number().int() }),
    requireApproval,
    execute: async ({ orderId, cents }: typeof order) => {
      ledger.push(`${orderId} ${cents}`);
      return { payment: ledger.length };
    },
  };
  if (guard === undefined) return createTool(definition);
  const rules = { key: ({ orderId }: typeof order) => `pay:${orderId}` };
  if (!requireApproval) return createTool(guardTool(guard, definition, rules));
  return createTool(
    guardTool(guard, definition, {
      ...rules,
      policy: approval({ need: 1, from: ["ana"] }),
      approvedBy: ({ requestContext }: { readonly requestContext?: RequestContext }) =>
        requestContext?.get("approver"),
    }),
  );
}

interface Shop {
  readonly ledger: string[];
  readonly results: Results;
  readonly storage: InMemoryStore;
  /** A server of its own over the shop's storage and its tool. */
  readonly agent: () => Agent;
}

function shop(setting: { calls: number; requireApproval: boolean; guard?: Guard }): Shop {
  const ledger: string[] = [];
  const results: Results = new Map();
  const storage = new InMemoryStore();
  const agent = () => {
    const pay = payTool(ledger, setting.requireApproval, setting.guard);
    const model = modelCalling(setting.calls, results);
    const shop = new Agent({
      id: "shop",
      name: "shop",
      instructions: "Pay.",
      model,
      tools: { pay },
    });
    return new Mastra({ agents: { shop }, storage, logger: false }).getAgent("shop");
  };
  return { ledger, results, storage, agent };
}

const runId = "run-1";
const asAna = {
  runId,
  toolCallId: "call_1",
  requestContext: new RequestContext([["approver", "ana"]]),
};

const guarded = () => {
  const guard = createGuard({ store: "memory:" });
  onTestFinished(() => guard.close());
  return guard;
};

describe("a model that calls a tool twice", () => {
  test("has it run twice", async () => {
    const { agent, ledger, results } = shop({ calls: 2, requireApproval: false });
    expect((await agent().generate("Pay order A1.")).text).toBe("Done.");
    expect(ledger).toEqual(["A1 500", "A1 500"]);
    expect([...results]).toEqual([
      ["call_1", { payment: 1 }],
      ["call_2", { payment: 2 }],
    ]);
  });

  test("has it run once with the guard, and gets the first result again", async () => {
    const guard = guarded();
    const { agent, ledger, results } = shop({ calls: 2, requireApproval: false, guard });
    expect((await agent().generate("Pay order A1.")).text).toBe("Done.");
    expect(ledger).toEqual(["A1 500"]);
    expect([...results]).toEqual([
      ["call_1", { payment: 1 }],
      ["call_2", { payment: 1 }],
    ]);
  });
});

/** A run that waits for its approval, approved on two servers at once. */
async function approvedTwiceAtOnce(guard?: Guard): Promise<Shop> {
  const held = shop({ calls: 1, requireApproval: true, ...(guard === undefined ? {} : { guard }) });
  const servers = [held.agent(), held.agent()];
  expect((await servers[0]?.generate("Pay.", { runId }))?.finishReason).toBe("suspended");
  expect(held.ledger).toEqual([]);
  await Promise.all(servers.map((server) => server.approveToolCallGenerate(asAna)));
  return held;
}

/** A run that waits for its approval, approved; then again from the snapshot that it waited in. */
async function resumedTwice(guard?: Guard): Promise<Shop> {
  const held = shop({ calls: 1, requireApproval: true, ...(guard === undefined ? {} : { guard }) });
  await held.agent().generate("Pay.", { runId });
  const workflows = await held.storage.getStore("workflows");
  const { runs = [] } = structuredClone(await workflows?.listWorkflowRuns()) ?? {};
  expect(runs).toContainEqual(expect.objectContaining({ runId }));
  expect((await held.agent().approveToolCallGenerate(asAna)).text).toBe("Done.");
  // As where the process dies after the effect and before its next snapshot.
  for (const { workflowName, snapshot } of runs) {
    if (typeof snapshot === "string") throw new Error("a snapshot that is a text");
    await workflows?.persistWorkflowSnapshot({ workflowName, runId, snapshot });
  }
  expect((await held.agent().approveToolCallGenerate(asAna)).text).toBe("Done.");
  return held;
}

describe.each([
  ["approved on two servers at once", approvedTwiceAtOnce],
  ["approved, and resumed again from the same snapshot", resumedTwice],
])("a run that waits, %s", (_, twice) => {
  test("runs its tool twice", async () => {
    expect((await twice()).ledger).toEqual(["A1 500", "A1 500"]);
  });

  test("runs it once with the guard, approved by who approved in Mastra", async () => {
    const guard = guarded();
    const { ledger, results } = await twice(guard);
    expect(ledger).toEqual(["A1 500"]);
    expect([...results]).toEqual([["call_1", { payment: 1 }]]);
    const receipt = await guard.receipt(JSON.stringify(["run", runId, "call_1"]));
    expect(receipt).toMatchObject({ effect: "once", caseId: "pay:A1", value: { payment: 1 } });
    const events = (await guard.history("pay:A1")).map(({ entry }) => entry.event);
    expect(events.filter(({ type }) => type === "approve")).toMatchObject([{ by: "ana" }]);
  });
});

test("a call declined in Mastra does not run, and opens no case", async () => {
  const guard = guarded();
  const { agent, ledger } = shop({ calls: 1, requireApproval: true, guard });
  await agent().generate("Pay.", { runId });
  await agent().declineToolCallGenerate({ runId, toolCallId: "call_1" });
  expect(ledger).toEqual([]);
  expect((await guard.list({})).items).toEqual([]);
});

test("approved in Mastra by somebody whom the policy does not name, it does not run", async () => {
  const guard = guarded();
  const { agent, ledger, results } = shop({ calls: 1, requireApproval: true, guard });
  await agent().generate("Pay.", { runId });
  const requestContext = new RequestContext([["approver", "eve"]]);
  await agent().approveToolCallGenerate({ ...asAna, requestContext });
  expect(ledger).toEqual([]);
  expect(results.get("call_1")).toMatchObject({ effect: "none", caseId: "pay:A1" });
});
