import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Client as Client2, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { InMemoryTransport } from "@modelcontextprotocol/sdk/inMemory.js";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import {
  type CallToolResult,
  ElicitRequestSchema,
  ErrorCode,
  McpError,
} from "@modelcontextprotocol/sdk/types.js";
import {
  createMcpHandler,
  InMemoryTransport as InMemoryTransport2,
  inputRequired,
  McpServer as McpServer2,
  type ServerContext,
} from "@modelcontextprotocol/server";
import { describe, expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { effectOf, guardTool, type McpToolRules, mcpMeta } from "../../src/adapters/mcp.ts";
import { approval, createGuard, type Guard, NotPerformed } from "../../src/index.ts";

interface Order {
  readonly orderId: string;
  readonly cents: number;
}

type Answer = "accept" | "decline" | "cancel";
type Handler = (order: Order, context: unknown) => CallToolResult | Promise<CallToolResult>;

const key = ({ orderId }: Order) => `refund:${orderId}`;
const order: Order = { orderId: "A1", cents: 500 };
const inputSchema = z.object({ orderId: z.string(), cents: z.number().int() });
const said = (text: string): CallToolResult => ({ content: [{ type: "text", text }] });
const textOf = (result: object): string =>
  (result as CallToolResult).content
    .map((part) => (part.type === "text" ? part.text : ""))
    .join("\n");
const held = (result: object) => (result as CallToolResult)._meta?.[mcpMeta.held];

function newGuard(): Guard {
  const guard = createGuard({ store: "memory:", actor: "server" });
  onTestFinished(() => guard.close());
  return guard;
}

/** A handler that leaves a mark outside of the guard each time it runs. */
function ledger() {
  const lines: Order[] = [];
  const run: Handler = (given) => said(`refund ${lines.push(given)}`);
  return { lines, run };
}

/** One server and one client of a version of the SDK, joined without a socket. */
interface Joined {
  call(args: object, meta?: Record<string, unknown>): Promise<CallToolResult>;
  /** What the person at the client was asked. */
  readonly asked: string[];
}

interface Setting {
  /** What the person at the client says; undefined: the client can't ask. */
  readonly answer?: Answer;
  readonly outputSchema?: z.ZodObject;
}

async function version1(handler: Handler, setting: Setting = {}): Promise<Joined> {
  const server = new McpServer({ name: "shop", version: "1.0.0" });
  const { answer, outputSchema } = setting;
  const schemas = { inputSchema, ...(outputSchema === undefined ? {} : { outputSchema }) };
  server.registerTool("refund", schemas, handler);
  const capabilities = answer === undefined ? {} : { elicitation: {} };
  const client = new Client({ name: "test", version: "1.0.0" }, { capabilities });
  const asked: string[] = [];
  if (answer !== undefined) {
    client.setRequestHandler(ElicitRequestSchema, ({ params }) => {
      asked.push(params.message);
      return answer === "accept" ? { action: answer, content: {} } : { action: answer };
    });
  }
  const [here, there] = InMemoryTransport.createLinkedPair();
  await Promise.all([server.connect(there), client.connect(here)]);
  onTestFinished(() => client.close());
  return {
    asked,
    call: async (args, _meta = {}) =>
      (await client.callTool({ name: "refund", arguments: { ...args }, _meta })) as CallToolResult,
  };
}

async function version2(
  handler: Handler,
  setting: Setting = {},
  mode: "modern" | "legacy" = "modern",
): Promise<Joined> {
  const { answer, outputSchema } = setting;
  const { fetch, close } = createMcpHandler(() => {
    const server = new McpServer2({ name: "shop", version: "1.0.0" });
    const schemas = { inputSchema, ...(outputSchema === undefined ? {} : { outputSchema }) };
    server.registerTool("refund", schemas, handler as never);
    return server;
  });
  const capabilities = answer === undefined ? {} : { elicitation: { form: {} } };
  const versionNegotiation = mode === "modern" ? { mode: { pin: "2026-07-28" } } : { mode };
  const client = new Client2(
    { name: "test", version: "1.0.0" },
    { capabilities, versionNegotiation },
  );
  const asked: string[] = [];
  if (answer !== undefined) {
    client.setRequestHandler("elicitation/create", ({ params }) => {
      asked.push(params.message);
      return answer === "accept" ? { action: answer, content: {} } : { action: answer };
    });
  }
  const over = (input: string | URL | Request, init?: RequestInit) =>
    fetch(new Request(input, init));
  await client.connect(
    new StreamableHTTPClientTransport(new URL("http://shop.test/mcp"), { fetch: over }),
  );
  onTestFinished(async () => {
    await client.close();
    await close();
  });
  return {
    asked,
    call: async (args, _meta = {}) =>
      (await client.callTool({ name: "refund", arguments: { ...args }, _meta })) as CallToolResult,
  };
}

const versions = [
  ["version 1", version1],
  ["version 2", version2],
] as const;

describe.each(versions)("the SDK's %s", (_name, join) => {
  const guarded = (guard: Guard, handler: Handler, rules: Partial<McpToolRules<Order>> = {}) =>
    guardTool(guard, "refund", handler, { key, ...rules });

  test("the same call under a new JSON-RPC id runs twice without the guard, once with it", async () => {
    const plain = ledger();
    const open = await join(plain.run);
    await open.call(order);
    await open.call(order);
    expect(plain.lines).toHaveLength(2);

    const effect = ledger();
    const { call } = await join(guarded(newGuard(), effect.run));
    const first = await call(order);
    const again = await call(order);
    expect(effect.lines).toHaveLength(1);
    expect(first).toMatchObject(said("refund 1"));
    expect(first._meta?.[mcpMeta.replayed]).toBeUndefined();
    expect(JSON.stringify(again.content)).toBe(JSON.stringify(first.content));
    expect(again._meta?.[mcpMeta.replayed]).toBe(true);
  });

  test("many at once run once", async () => {
    const effect = ledger();
    const { call } = await join(guarded(newGuard(), effect.run));
    const results = await Promise.all(Array.from({ length: 10 }, () => call(order)));
    expect(new Set(results.map(textOf))).toEqual(new Set(["refund 1"]));
    expect(effect.lines).toHaveLength(1);
  });

  test("other arguments for the same case are refused by a result that says so", async () => {
    const effect = ledger();
    const { call } = await join(guarded(newGuard(), effect.run));
    await call(order);
    const other = await call({ ...order, cents: 9_999 });
    expect(other.isError).toBe(true);
    expect(held(other)).toMatchObject({ held: "payload_conflict", effect: "none" });
    expect(textOf(other)).toContain("something else was asked for under this name");
    expect(JSON.stringify(other)).not.toContain("500");
    expect(effect.lines).toHaveLength(1);
  });

  test("a key of the client's own is one ask, and with another order a conflict", async () => {
    const effect = ledger();
    const guard = newGuard();
    const { call } = await join(guarded(guard, effect.run));
    await call(order, { "idempotency-key": "k1" });
    expect(await guard.receipt('["mcp-key",null,"k1"]')).toMatchObject({ caseId: "refund:A1" });
    const other = await call({ orderId: "B2", cents: 500 }, { "idempotency-key": "k1" });
    expect(held(other)).toMatchObject({ held: "payload_conflict" });
    expect(effect.lines).toHaveLength(1);
    await call({ orderId: "B2", cents: 500 }, { idempotency_key: "k2" });
    expect(await guard.receipt('["mcp-key",null,"k2"]')).toMatchObject({ caseId: "refund:B2" });
    expect(effect.lines).toHaveLength(2);
  });

  test("the client's name for the model's call is the request id, never alone", async () => {
    const guard = newGuard();
    const effect = ledger();
    const { call } = await join(guarded(guard, effect.run));
    await call(order, { "claudecode/toolUseId": "toolu_1" });
    await call(order, { threadId: "t1", callId: "call_1" });
    expect(await guard.receipt("refund:A1/toolu_1")).toMatchObject({ effect: "once" });
    expect(await guard.receipt('["mcp-thread",null,"t1","call_1"]')).toEqual(
      await guard.receipt("refund:A1/toolu_1"),
    );
    // The same id for another order is another ask.
    await call({ orderId: "B2", cents: 1 }, { "claudecode/toolUseId": "toolu_1" });
    expect(effect.lines).toHaveLength(2);
  });

  test("a throw is in doubt: the model is told not to call again, and a repeat runs nothing", async () => {
    let starts = 0;
    const fails: Handler = () => {
      starts += 1;
      throw new Error("socket hang up, please try again");
    };
    const open = await join(fails);
    expect(textOf(await open.call(order))).toContain("please try again");
    await open.call(order);
    expect(starts).toBe(2);

    starts = 0;
    const { call } = await join(guarded(newGuard(), fails));
    for (const result of [await call(order), await call(order)]) {
      expect(result.isError).toBe(true);
      expect(held(result)).toMatchObject({ held: "in_doubt", effect: "unknown" });
      expect(textOf(result)).toMatch(/^Unknown whether it ran. Do not call it again/);
      expect(textOf(result)).not.toContain("try again");
    }
    expect(starts).toBe(1);
  });

  test("a result with isError is no receipt: in doubt, with the tool's own words behind", async () => {
    const guard = newGuard();
    let starts = 0;
    const fails: Handler = () => {
      starts += 1;
      return { ...said("gateway timeout"), isError: true };
    };
    const { call } = await join(guarded(guard, fails));
    const first = await call(order);
    expect(first.isError).toBe(true);
    expect(held(first)).toMatchObject({ held: "in_doubt" });
    expect(textOf(first)).toMatch(/^Unknown whether it ran.*\ngateway timeout$/);
    const again = await call(order);
    expect(held(again)).toMatchObject({ held: "in_doubt" });
    expect(starts).toBe(1);
    const kase = await guard.case("refund:A1").get();
    expect(kase).toMatchObject({ state: "IN_DOUBT", doubt: { reason: "threw" } });
    expect(JSON.stringify(kase)).toContain("the tool answered with isError: gateway timeout");
  });

  test("a result with isError of a keyed effect: the next call runs again, with the same key", async () => {
    const keys: string[] = [];
    const handler: Handler = (_given, context) => {
      const fails = keys.push(effectOf(context).idempotencyKey) === 1;
      return fails ? { ...said("gateway timeout"), isError: true } : said("done");
    };
    const { call } = await join(guarded(newGuard(), handler, { effect: "keyed" }));
    expect(held(await call(order))).toMatchObject({ held: "in_doubt" });
    expect(textOf(await call(order))).toBe("done");
    expect(keys).toHaveLength(2);
    expect(new Set(keys).size).toBe(1);
  });

  test("a result with isError that certainly did nothing is passed on, and the next call runs", async () => {
    const effect = ledger();
    let declines = true;
    const handler: Handler = (given, context) =>
      declines ? { ...said("card declined"), isError: true } : effect.run(given, context);
    const rules = {
      onResult: (result: object) =>
        textOf(result) === "card declined" ? ("not_performed" as const) : undefined,
    };
    const { call } = await join(guarded(newGuard(), handler, rules));
    const first = await call(order);
    expect(first).toMatchObject({ ...said("card declined"), isError: true });
    declines = false;
    expect(textOf(await call(order))).toBe("refund 1");
    expect(effect.lines).toHaveLength(1);
  });

  test("NotPerformed leaves the case to be asked again", async () => {
    const effect = ledger();
    let closed = true;
    const { call } = await join(
      guarded(newGuard(), (given, context) => {
        if (closed) throw new NotPerformed("the shop is closed");
        return effect.run(given, context);
      }),
    );
    const first = await call(order);
    expect(held(first)).toMatchObject({ held: "not_performed", effect: "none" });
    closed = false;
    expect(textOf(await call(order))).toBe("refund 1");
    expect(effect.lines).toHaveLength(1);
  });

  test("a tool with an output schema: replayed whole, and held without a broken answer", async () => {
    const outputSchema = z.object({ refundId: z.string() });
    let starts = 0;
    const handler: Handler = (given) => {
      starts += 1;
      if (given.orderId === "broken") throw new Error("socket hang up");
      const structuredContent = { refundId: `re_${starts}` };
      return { ...said(JSON.stringify(structuredContent)), structuredContent };
    };
    const { call } = await join(guarded(newGuard(), handler), { outputSchema });
    expect((await call(order)).structuredContent).toEqual({ refundId: "re_1" });
    expect((await call(order)).structuredContent).toEqual({ refundId: "re_1" });
    const doubt = await call({ ...order, orderId: "broken" });
    expect(doubt.isError).toBe(true);
    expect(textOf(doubt)).toMatch(/^Unknown whether it ran/);
    expect(starts).toBe(2);
  });

  test("what another framework's tool settled is replayed as a result", async () => {
    const guard = newGuard();
    const effect = ledger();
    const done = { refundId: "re_9" };
    const ask = { requestId: "elsewhere", caseId: "refund:A1", action: "refund", payload: order };
    await guard.execute({ ...ask, run: () => done });
    const outputSchema = z.object({ refundId: z.string() });
    const { call } = await join(guarded(guard, effect.run), { outputSchema });
    const result = await call(order);
    expect(result.structuredContent).toEqual(done);
    expect(JSON.parse(textOf(result))).toEqual(done);
    expect(effect.lines).toEqual([]);
  });

  test("what a person settled without a value is told as done, with and without an output schema", async () => {
    for (const outputSchema of [undefined, z.object({ refundId: z.string() })]) {
      const guard = newGuard();
      const fails: Handler = () => {
        throw new Error("socket hang up");
      };
      const setting = outputSchema === undefined ? {} : { outputSchema };
      const { call } = await join(guarded(guard, fails), setting);
      await call(order);
      await guard.resolve("refund:A1", { happened: true }, { by: "ana", evidence: "re_7" });
      expect(textOf(await call(order))).toMatch(/^This was done, once\./);
    }
  });

  test("the handler finds what the guard hands an effect in its context", async () => {
    const keys: string[] = [];
    const { call } = await join(
      guarded(newGuard(), (_given, context) => {
        keys.push(effectOf(context).idempotencyKey);
        return said("done");
      }),
    );
    await call(order);
    expect(keys).toEqual([expect.stringMatching(/^[0-9a-f]{64}$/)]);
  });

  test("an approval by elicitation: asked once with the arguments, then run once", async () => {
    const effect = ledger();
    const guard = newGuard();
    const rules = { approveBy: "elicitation", approver: () => "ana" } as const;
    const joined = await join(guarded(guard, effect.run, rules), { answer: "accept" });
    expect(textOf(await joined.call(order))).toBe("refund 1");
    expect(joined.asked).toHaveLength(1);
    expect(joined.asked[0]).toContain('"orderId": "A1"');
    expect(joined.asked[0]).toContain('"cents": 500');
    expect(textOf(await joined.call(order))).toBe("refund 1");
    expect(joined.asked).toHaveLength(1);
    expect(effect.lines).toHaveLength(1);
    const history = await guard.history("refund:A1");
    expect(history.map(({ entry }) => entry.event.by)).toContain("ana");
  });

  test("declined: the case is void, whoever asks again", async () => {
    const effect = ledger();
    const guard = newGuard();
    const joined = await join(guarded(guard, effect.run, { approveBy: "elicitation" }), {
      answer: "decline",
    });
    expect(held(await joined.call(order))).toMatchObject({ held: "void", effect: "none" });
    expect(held(await joined.call(order))).toMatchObject({ held: "void" });
    expect(joined.asked).toHaveLength(1);
    expect(effect.lines).toEqual([]);
  });

  test.each([
    ["cancel", 1],
    [undefined, 0],
  ] as const)(
    "unanswered (%s): it goes on waiting, and can be approved elsewhere",
    async (answer, questions) => {
      const effect = ledger();
      const guard = newGuard();
      const rules = { approveBy: "elicitation" } as const;
      const joined = await join(guarded(guard, effect.run, rules), answer ? { answer } : {});
      expect(held(await joined.call(order))).toMatchObject({ held: "pending", effect: "none" });
      expect(joined.asked).toHaveLength(questions);
      expect(effect.lines).toEqual([]);
      await guard.approve("refund:A1", { actor: "ana" });
      expect(textOf(await joined.call(order))).toBe("refund 1");
    },
  );

  test("who may not approve can't by elicitation", async () => {
    const effect = ledger();
    const policy = approval({ from: ["ana"] });
    const rules = { policy, approveBy: "elicitation", approver: () => "bob" } as const;
    const { call } = await join(guarded(newGuard(), effect.run, rules), { answer: "accept" });
    expect(held(await call(order))).toMatchObject({ held: "forbidden", effect: "none" });
    expect(effect.lines).toEqual([]);
  });

  test("what a screen doesn't show is shown by its number", async () => {
    const rules = { key: () => "refund:odd", approveBy: "elicitation" } as const;
    const { call, asked } = await join(guarded(newGuard(), ledger().run, rules), {
      answer: "decline",
    });
    await call({ orderId: "A1\u202e5\u200b", cents: 1 });
    expect(asked[0]).toContain("A1\\u202e5\\u200b");
  });
});

describe("version 2 alone", () => {
  test("an answer to a question about other arguments is none: the person is asked again", async () => {
    const effect = ledger();
    const guard = newGuard();
    const refund = guardTool(guard, "refund", effect.run, { key, approveBy: "elicitation" });
    const context = (inputResponses: object) => ({
      mcpReq: {
        envelope: { "io.modelcontextprotocol/clientCapabilities": { elicitation: {} } },
        inputResponses,
      },
    });
    type Asked = { readonly inputRequests: Record<string, unknown> };
    const asked = (await refund(order, context({}))) as unknown as Asked;
    const [name = ""] = Object.keys(asked.inputRequests);
    const given = context({ [name]: { action: "accept", content: {} } });
    const other = (await refund({ orderId: "B2", cents: 500 }, given)) as unknown as Asked;
    expect(Object.keys(other.inputRequests)).toHaveLength(1);
    expect(Object.keys(other.inputRequests)).not.toContain(name);
    expect(held(await refund({ ...order, cents: 9 }, given))).toMatchObject({
      held: "payload_conflict",
    });
    expect(effect.lines).toEqual([]);
    expect(textOf(await refund(order, given))).toBe("refund 1");
  });

  test("a handler that asks for input has not run: the call sent again with the answer does", async () => {
    const guard = newGuard();
    const effect = ledger();
    const handler = (given: Order, context: unknown) => {
      const { inputResponses } = (context as ServerContext).mcpReq;
      if (inputResponses !== undefined) return effect.run(given, context);
      const requestedSchema = { type: "object", properties: {} } as const;
      const sure = inputRequired.elicit({ message: "Sure?", requestedSchema });
      return inputRequired({ inputRequests: { sure } }) as unknown as CallToolResult;
    };
    const joined = await version2(guardTool(guard, "refund", handler, { key }), {
      answer: "accept",
    });
    expect(textOf(await joined.call(order))).toBe("refund 1");
    expect(joined.asked).toEqual(["Sure?"]);
    expect(textOf(await joined.call(order))).toBe("refund 1");
    expect(effect.lines).toHaveLength(1);
  });

  test("a client of an earlier revision: guarded alike, and pending where it can't be asked", async () => {
    const effect = ledger();
    const refund = guardTool(newGuard(), "refund", effect.run, { key });
    const { call } = await version2(refund, {}, "legacy");
    await call(order);
    expect(textOf(await call(order))).toBe("refund 1");
    expect(effect.lines).toHaveLength(1);
    // Served without a session, the server can't send the client a question.
    const waits = guardTool(newGuard(), "refund", effect.run, { key, approveBy: "elicitation" });
    const joined = await version2(waits, { answer: "accept" }, "legacy");
    expect(held(await joined.call(order))).toMatchObject({ held: "pending" });
  });
});

test("version 2, a connection of an earlier revision: the call waits while the person is asked", async () => {
  const effect = ledger();
  const refund = guardTool(newGuard(), "refund", effect.run, { key, approveBy: "elicitation" });
  const server = new McpServer2({ name: "shop", version: "1.0.0" });
  server.registerTool("refund", { inputSchema }, refund as never);
  const capabilities = { elicitation: { form: {} } };
  const client = new Client2({ name: "test", version: "1.0.0" }, { capabilities });
  const asked: string[] = [];
  client.setRequestHandler("elicitation/create", ({ params }) => {
    asked.push(params.message);
    return { action: "accept", content: {} };
  });
  const [here, there] = InMemoryTransport2.createLinkedPair();
  await Promise.all([server.connect(there), client.connect(here)]);
  onTestFinished(() => client.close());
  const call = () => client.callTool({ name: "refund", arguments: { ...order } });
  expect(textOf(await call())).toBe("refund 1");
  expect(textOf(await call())).toBe("refund 1");
  expect(asked).toHaveLength(1);
  expect(effect.lines).toHaveLength(1);
});

test("a handler that sends its user to an address has not run", async () => {
  const guard = newGuard();
  let consented = false;
  const handler: Handler = () => {
    if (consented) return said("done");
    const elicitationId = "e1";
    const elicitations = [
      { mode: "url" as const, message: "Consent", url: "https://shop.test/consent", elicitationId },
    ];
    throw new McpError(ErrorCode.UrlElicitationRequired, "consent first", { elicitations });
  };
  const { call } = await version1(guardTool(guard, "refund", handler, { key }));
  await expect(call(order)).rejects.toMatchObject({ code: ErrorCode.UrlElicitationRequired });
  expect(await guard.case("refund:A1").get()).toMatchObject({ state: "FINAL" });
  consented = true;
  expect(textOf(await call(order))).toBe("done");
});

test("two tenants with one order number have two cases, where the key says whose it is", async () => {
  const effect = ledger();
  const refund = guardTool(newGuard(), "refund", effect.run, {
    key: ({ orderId }, extra: { readonly authInfo: { readonly clientId: string } }) =>
      `${extra.authInfo.clientId}:refund:${orderId}`,
  });
  await refund(order, { authInfo: { clientId: "north" } });
  await refund(order, { authInfo: { clientId: "south" } });
  await refund(order, { authInfo: { clientId: "south" } });
  expect(effect.lines).toHaveLength(2);
});

test("no client can take the name of another's ask, whatever it calls its own", async () => {
  const effect = ledger();
  const refund = guardTool(newGuard(), "refund", effect.run, {
    key: ({ orderId }, { authInfo }: { readonly authInfo: { readonly clientId: string } }) =>
      `${authInfo.clientId}:refund:${orderId}`,
  });
  const call = (clientId: string, _meta: object) => {
    const context = { authInfo: { clientId }, _meta };
    return refund(order, context);
  };
  const metas = [
    { threadId: "mcp/victim", callId: "k-1" },
    { threadId: "victim", callId: "k-1" },
    { threadId: '["mcp-key","victim"', callId: "k-1" },
    { "idempotency-key": "victim/k-1" },
    { "claudecode/toolUseId": "k-1" },
  ];
  for (const [index, meta] of metas.entries()) await call(`evil/${index}`, meta);
  const own = await call("victim", { "idempotency-key": "k-1" });
  expect(textOf(own)).toBe(`refund ${metas.length + 1}`);
  expect(textOf(await call("victim", { "idempotency-key": "k-2" }))).toBe(textOf(own));
  const thread = { threadId: "victim", callId: "k-1" };
  expect(textOf(await call("victim", thread))).toBe(textOf(own));
  expect(textOf(await call("other", thread))).toBe(`refund ${metas.length + 2}`);
  const third = await call("third", { "idempotency-key": "k-1" });
  expect(textOf(third)).toBe(`refund ${metas.length + 3}`);
});

test.each([
  [
    "throws",
    () => {
      throw new Error("no session; please try again");
    },
  ],
  ["gives no name", () => ""],
])(
  "an approver that %s: nobody is asked, nothing runs, and the developer is told",
  async (_name, approver) => {
    const effect = ledger();
    const faults: unknown[] = [];
    const refund = guardTool(newGuard(), "refund", effect.run, {
      key,
      approveBy: "elicitation",
      approver,
      onFault: (error) => void faults.push(error),
    });
    const { call, asked } = await version1(refund, { answer: "accept" });
    const result = await call(order);
    expect(held(result)).toMatchObject({ held: "invalid_request", effect: "none" });
    expect(textOf(result)).toMatch(/^Not executed\. Do not call again now/);
    expect(asked).toEqual([]);
    expect(effect.lines).toEqual([]);
    expect(faults).toMatchObject([{ code: "invalid_request" }]);
  },
);

test("wrong use is a typed error", async () => {
  const guard = newGuard();
  const { run } = ledger();
  const twice = guardTool(guard, "refund", run, { key });
  expect(() => guardTool(guard, "refund", twice, { key })).toThrow(/guarded already/);
  expect(() => guardTool(guard, "refund", run, {} as never)).toThrow(/needs `key`/);
  const bare = guardTool(guard, "refund", run, { key }) as (extra: object) => Promise<object>;
  await expect(bare({ signal: new AbortController().signal })).rejects.toMatchObject({
    code: "invalid_request",
    next: expect.stringContaining("inputSchema"),
  });
});

describe("the server is killed within the tool, and started again", () => {
  const program = fileURLToPath(new URL("./programs/mcp-refunds.ts", import.meta.url));

  async function killedThenAsked(effect: "unguarded" | "opaque" | "keyed") {
    const folder = mkdtempSync(join(tmpdir(), "safeagent-mcp-"));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const book = join(folder, "ledger");
    const start = async (end: string) => {
      const args = [program, join(folder, "safeagent.db"), book, effect, end];
      const client = new Client({ name: "test", version: "1.0.0" });
      await client.connect(new StdioClientTransport({ command: process.execPath, args }));
      onTestFinished(() => client.close());
      return client;
    };
    const call = { name: "refund", arguments: { orderId: "A1" } };
    await expect((await start("killed")).callTool(call)).rejects.toThrow("Connection closed");
    const result = (await (await start("")).callTool(call)) as CallToolResult;
    return { result, lines: readFileSync(book, "utf8").trim().split("\n") };
  }

  test("without the guard it runs twice", async () => {
    expect((await killedThenAsked("unguarded")).lines).toHaveLength(2);
  });

  test("opaque: in doubt, and not run again", async () => {
    const { result, lines } = await killedThenAsked("opaque");
    expect(held(result)).toMatchObject({ held: "in_doubt", effect: "unknown" });
    expect(lines).toHaveLength(1);
  });

  test("keyed: run again with the same key", async () => {
    const { result, lines } = await killedThenAsked("keyed");
    expect(textOf(result)).toBe("refunded A1");
    expect(lines).toHaveLength(2);
    expect(new Set(lines).size).toBe(1);
  });
});
