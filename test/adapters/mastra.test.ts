import { expect, onTestFinished, test } from "vitest";
import { effectOf, guardTool } from "../../src/adapters/mastra.ts";
import { approval, createGuard, type Guard } from "../../src/index.ts";

interface Order {
  readonly orderId: string;
  readonly cents: number;
}

/** What Mastra hands a tool's `execute`, as far as it counts here. */
interface Context {
  readonly runId?: string;
  readonly abortSignal?: AbortSignal;
  readonly suspend?: (payload: unknown) => Promise<void>;
  readonly agent?: {
    readonly agentId: string;
    readonly toolCallId: string;
    readonly threadId?: string;
    readonly resourceId?: string;
    readonly suspend: (payload: unknown) => Promise<void>;
    readonly resumeData?: unknown;
  };
  readonly workflow?: {
    readonly runId: string;
    readonly workflowId: string;
    readonly suspend: (payload: unknown) => Promise<void>;
  };
}

const key = ({ orderId }: Order) => `refund:${orderId}`;
const order: Order = { orderId: "A1", cents: 500 };

function newGuard(): Guard {
  const guard = createGuard({ store: "memory:", actor: "server" });
  onTestFinished(() => guard.close());
  return guard;
}

/** A context as an agent's run makes it, and what the tool was suspended with. */
function agentContext(toolCallId: string, more: { runId?: string; resumeData?: unknown } = {}) {
  const suspensions: unknown[] = [];
  const suspend = async (payload: unknown) => void suspensions.push(payload);
  const { runId = "run-1", resumeData } = more;
  const agent = { agentId: "a", toolCallId, threadId: "t1", resourceId: "u1", suspend, resumeData };
  return { suspensions, context: { runId, suspend, agent } satisfies Context };
}

/** A tool's definition that leaves a mark outside of the guard each time it runs. */
function refundTool() {
  const lines: Order[] = [];
  return {
    lines,
    definition: {
      id: "refund",
      description: "Refunds an order",
      execute: async (input: Order, _context: Context) => ({ refundId: `re_${lines.push(input)}` }),
    },
  };
}

test("a call resumed or asked again runs twice without the guard, once with it", async () => {
  const plain = refundTool();
  await plain.definition.execute(order, agentContext("call_1").context);
  await plain.definition.execute(order, agentContext("call_1").context);
  expect(plain.lines).toHaveLength(2);

  const { definition, lines } = refundTool();
  const guard = newGuard();
  const refund = guardTool(guard, definition, { key });
  const first = await refund.execute(order, agentContext("call_1").context);
  expect(await refund.execute(order, agentContext("call_1").context)).toEqual(first);
  expect(await refund.execute(order, agentContext("call_2").context)).toEqual(first);
  expect(first).toEqual({ refundId: "re_1" });
  expect(lines).toHaveLength(1);
  expect(await guard.receipt('["run","run-1","call_2"]')).toMatchObject({
    requestId: '["run","run-1","call_1"]',
  });
});

test("keeps the rest of the definition", () => {
  const { definition } = refundTool();
  const refund = guardTool(newGuard(), definition, { key });
  expect(refund).toEqual({ ...definition, execute: refund.execute });
});

test("a run of a workflow asks once for each case", async () => {
  const { definition, lines } = refundTool();
  const guard = newGuard();
  const refund = guardTool(guard, definition, { key });
  const suspend = async () => {};
  const context: Context = { workflow: { runId: "w1", workflowId: "refunds", suspend } };
  await refund.execute(order, context);
  await refund.execute(order, context);
  await refund.execute({ ...order, orderId: "B2" }, context);
  expect(lines.map(({ orderId }) => orderId)).toEqual(["A1", "B2"]);
  expect(await guard.receipt("refund:B2/w1")).toMatchObject({ caseId: "refund:B2" });
});

test("called without a context, it is guarded by its case alone", async () => {
  const { definition, lines } = refundTool();
  const refund = guardTool(newGuard(), definition, { key });
  await refund.execute(order, undefined as never);
  await refund.execute(order, undefined as never);
  expect(lines).toHaveLength(1);
});

test("a throw is in doubt: the model is told, as a value, and a repeat runs nothing", async () => {
  let starts = 0;
  const execute = async (_input: Order, _context: Context): Promise<object> => {
    starts += 1;
    throw new Error("socket hang up, please try again");
  };
  const refund = guardTool(newGuard(), { id: "refund", execute }, { key });
  for (const call of ["call_1", "call_2"]) {
    expect(await refund.execute(order, agentContext(call).context)).toEqual({
      held: "in_doubt",
      effect: "unknown",
      caseId: "refund:A1",
      message: expect.stringMatching(/^Unknown whether it ran. Do not call it again/),
    });
  }
  expect(starts).toBe(1);
});

test("a tool with an output schema throws what holds it, in the words for the model", async () => {
  const { definition, lines } = refundTool();
  const refund = guardTool(newGuard(), { ...definition, outputSchema: {} }, { key });
  await refund.execute(order, agentContext("call_1").context);
  const conflict = refund.execute({ ...order, cents: 9 }, agentContext("call_2").context);
  await expect(conflict).rejects.toMatchObject({
    message: expect.stringMatching(/^Not executed: something else was asked for/),
    held: { held: "payload_conflict", effect: "none" },
  });
  expect(lines).toHaveLength(1);
});

test("a suspended tool has not run; resumed, it runs once", async () => {
  const guard = newGuard();
  const { definition, lines } = refundTool();
  const execute = async (input: Order, context: Context) => {
    if (context.agent?.resumeData === undefined) {
      await context.agent?.suspend({ sure: input.orderId });
      return undefined;
    }
    return definition.execute(input, context);
  };
  const refund = guardTool(guard, { id: "refund", execute }, { key });
  const { context, suspensions } = agentContext("call_1");
  expect(await refund.execute(order, context)).toBeUndefined();
  expect(suspensions).toEqual([{ sure: "A1" }]);
  expect(await guard.case("refund:A1").get()).toMatchObject({ state: "FINAL" });
  expect(lines).toEqual([]);

  const resumed = agentContext("call_1", { resumeData: { sure: true } });
  expect(await refund.execute(order, resumed.context)).toEqual({ refundId: "re_1" });
  expect(await refund.execute(order, resumed.context)).toEqual({ refundId: "re_1" });
  expect(lines).toHaveLength(1);
});

test("what suspends by throwing is thrown on, and has not run", async () => {
  const guard = newGuard();
  const stop = new Error("suspended");
  const suspend = async () => {
    throw stop;
  };
  const execute = async (_input: Order, context: Context) => context.workflow?.suspend({});
  const refund = guardTool(guard, { id: "refund", execute }, { key });
  const context: Context = { workflow: { runId: "w1", workflowId: "refunds", suspend } };
  await expect(refund.execute(order, context)).rejects.toBe(stop);
  expect(await guard.case("refund:A1").get()).toMatchObject({ state: "FINAL" });
});

test("an approval given in Mastra counts for what runs, where the policy wants one", async () => {
  const guard = newGuard();
  const { definition, lines } = refundTool();
  const { context } = agentContext("call_1");
  const asked = { ...definition, requireApproval: true };
  const waits = guardTool(guard, asked, { key, policy: approval() });
  expect(await waits.execute(order, context)).toMatchObject({ held: "pending" });
  expect(lines).toEqual([]);
  const refund = guardTool(guard, asked, {
    key,
    policy: approval(),
    approvedBy: ({ agent }) => agent?.resourceId,
  });
  expect(await refund.execute(order, context)).toEqual({ refundId: "re_1" });
  const history = await guard.history("refund:A1");
  expect(history.map(({ entry }) => entry.event.by)).toContain("u1");
});

test("the tool finds what the guard hands an effect, beside all that Mastra hands it", async () => {
  const seen: Context[] = [];
  const execute = async (_input: Order, context: Context) => {
    seen.push(context);
    return effectOf(context).idempotencyKey;
  };
  const refund = guardTool(newGuard(), { id: "refund", execute }, { key });
  const { context } = agentContext("call_1");
  expect(await refund.execute(order, context)).toMatch(/^[0-9a-f]{64}$/);
  expect(seen[0]).toMatchObject({ runId: "run-1", agent: { threadId: "t1", resourceId: "u1" } });
});

test("wrong use is a typed error", () => {
  const guard = newGuard();
  const { definition } = refundTool();
  expect(() => guardTool(guard, definition, {} as never)).toThrow(/needs `key`/);
  const made = { ...definition, [Symbol.for("mastra.core.tool.Tool")]: true };
  expect(() => guardTool(guard, made, { key })).toThrow(/createTool\(guardTool\(guard/);
});

const suspend = async () => {};
const workflow = { runId: "w1", workflowId: "refunds", suspend };
const onlyByMastra = [
  ["a step of a workflow", true, { workflow }],
  ["a program's call", true, {}],
  ["a call without a context", true, undefined],
  ["a call of an agent's that Mastra asks nobody for", undefined, agentContext("call_1").context],
  ["a tool that decides for each call", () => true, agentContext("call_1").context],
] as const;
test.each(onlyByMastra)("%s: nobody approved it in Mastra", async (_name, required, context) => {
  const { definition, lines } = refundTool();
  const tool = { ...definition, requireApproval: required };
  const rules = { key, policy: approval(), approvedBy: () => "ana" };
  const refund = guardTool(newGuard(), tool, rules);
  expect(await refund.execute(order, context as Context)).toMatchObject({ held: "pending" });
  expect(lines).toEqual([]);
});

test("an agent's call without a run is named by its case", async () => {
  const { definition } = refundTool();
  const guard = newGuard();
  const refund = guardTool(guard, definition, { key });
  const { runId: _, ...context } = agentContext("call_1").context;
  await refund.execute(order, context);
  await refund.execute({ ...order, orderId: "B2" }, context);
  expect(await guard.receipt("refund:B2/call_1")).toMatchObject({ caseId: "refund:B2" });
});

/** What a tool that `createTool` has made returns of its own checks, in place of a result. */
const checked = (message: string) => ({ error: true, message, validationErrors: { fields: {} } });

test("a made tool within that refuses its input has not run: corrected, it does", async () => {
  const { definition, lines } = refundTool();
  const guard = newGuard();
  const wrong = checked("Tool input validation failed for refund. Please fix the following errors");
  const execute = async (input: Order, context: Context): Promise<object> =>
    input.cents > 0 ? definition.execute(input, context) : wrong;
  const refund = guardTool(guard, { id: "refund", execute }, { key, ignore: ["/cents"] });
  const { context } = agentContext("call_1");
  expect(await refund.execute({ ...order, cents: 0 }, context)).toBe(wrong);
  expect(await guard.case("refund:A1").get()).toMatchObject({ state: "FINAL" });
  expect(lines).toEqual([]);
});

test("a made tool within that refuses its result has started: in doubt", async () => {
  const guard = newGuard();
  const wrong = checked(
    "Tool output validation failed for refund. The tool returned invalid output",
  );
  const { definition, lines } = refundTool();
  const execute = async (input: Order, context: Context) => {
    await definition.execute(input, context);
    return wrong;
  };
  const refund = guardTool(guard, { id: "refund", execute }, { key });
  for (const id of ["call_1", "call_2"]) {
    expect(await refund.execute(order, agentContext(id).context)).toMatchObject({
      held: "in_doubt",
    });
  }
  expect(lines).toHaveLength(1);
});

test("a guarded tool within that throws what holds it has not run, nor has the one around it", async () => {
  const guard = newGuard();
  const { definition, lines } = refundTool();
  const rules = { key, policy: approval() };
  const pay = guardTool(guard, { ...definition, id: "pay", outputSchema: {} }, rules);
  const close = guardTool(
    guard,
    { id: "close", execute: (input: Order, context: Context) => pay.execute(input, context) },
    { key: ({ orderId }) => `close:${orderId}` },
  );
  const { context } = agentContext("call_1");
  expect(await close.execute(order, context)).toMatchObject({ held: "pending" });
  await guard.approve("refund:A1", { actor: "ana" });
  expect(await close.execute(order, context)).toEqual({ refundId: "re_1" });
  expect(lines).toHaveLength(1);
});

test("a definition that is guarded already is refused: it would wait for itself", () => {
  const guard = newGuard();
  const { definition } = refundTool();
  const refund = guardTool(guard, definition, { key });
  expect(() => guardTool(guard, refund, { key })).toThrow(/guarded already/);
});
