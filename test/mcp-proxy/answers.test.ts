import { InMemoryTransport as TransportV1 } from "@modelcontextprotocol/sdk/inMemory.js";
import { InMemoryTransport as TransportV2 } from "@modelcontextprotocol/server";
import { describe, expect, test } from "vitest";
import { type Answer, type CallFrame, type Members, readFrame } from "../../src/mcp-proxy/frame.ts";
import { NotSent } from "../../src/mcp-proxy/gate.ts";
import { marks } from "../../src/mcp-proxy/results.ts";
import {
  client,
  house,
  metaOf,
  ok,
  resultOf,
  scripted,
  textOf,
  through,
  toolCall,
} from "./scripted.ts";
import { serverV1 } from "./servers/v1.ts";
import { serverV2 } from "./servers/v2.ts";

const args = { orderId: "A1", cents: 500 };
const heldAs = (status: string) => ({ [marks.held]: { held: status } });
const isError = (text: string) => ok(text, { isError: true });
const unlisted = [{ name: "other" }];

/** How often the tool runs where the first answer is this one, and a second one would be a result. */
async function runs(first: Answer, tools?: readonly { readonly name: string }[], config?: object) {
  await using place = house("memory", config);
  const server = scripted((_, nth) => (nth === 1 ? first : ok("done")), tools);
  const answer = await through(place.gate, toolCall(args), server);
  await through(place.gate, toolCall(args), server);
  return { runs: server.calls.length, message: answer.message };
}

describe("an error that may come after the tool", () => {
  const codes = [-32600, -32601, -32602, -32021];
  const errors = codes.map((code) => ({ error: { code, message: "no", data: 1 } }));

  test.each(errors)("leaves an opaque tool in doubt: $error.code", async (error) => {
    expect((await runs(error)).runs).toBe(1);
    // The owner may know better.
    const config = { tools: { refund: { onError: "not_performed" } } };
    expect(await runs(error, undefined, config)).toMatchObject({ runs: 2, message: error });
  });

  test.each(errors)(
    "is certain of a tool that its server does not have: $error.code",
    async (error) => {
      expect(await runs(error, unlisted)).toMatchObject({ runs: 2, message: error });
    },
  );

  test("is not, where the tools could not be listed, or were not", async () => {
    const [error] = errors;
    await using place = house("memory");
    const server = scripted(() => error ?? ok(""));
    const upstream = { ...server.upstream, list: () => Promise.reject(new Error("no")) };
    for (let nth = 0; nth < 2; nth += 1) {
      await place.gate.call(toolCall(args), upstream, client());
    }
    expect(server.calls).toHaveLength(1);
    expect(await runs(error ?? ok(""), unlisted, { trustAnnotations: false })).toMatchObject({
      runs: 1,
    });
  });

  test("is not, where the tool has come since the last list", async () => {
    await using place = house("memory");
    const tools = [{ name: "other" }];
    const server = scripted(() => isError("Tool refund not found"), tools);
    await through(place.gate, toolCall(args, { name: "other" }), server);
    tools.push({ name: "refund" });
    await through(place.gate, toolCall(args), server);
    await through(place.gate, toolCall(args), server);
    expect(server.calls.filter(({ params }) => params.name === "refund")).toHaveLength(1);
  });
});

test.each([
  [
    "arguments that its schema refuses",
    "Input validation error: Invalid arguments for tool refund: x",
  ],
  [
    "the same with its code",
    "MCP error -32602: Input validation error: Invalid arguments for tool refund: x",
  ],
  ["the same of an older version", "MCP error -32602: Invalid arguments for tool refund: x"],
])("an error (isError) of %s came before the tool", async (_, text) => {
  expect((await runs(isError(text))).runs).toBe(2);
  expect((await runs({ error: { code: -32602, message: text } })).runs).toBe(2);
  expect((await runs(isError(text.replace("refund", "other")))).runs).toBe(1);
  expect((await runs(isError(`card declined: ${text}`))).runs).toBe(1);
  expect((await runs(isError(text.replace("arguments", "structured content")))).runs).toBe(1);
});

describe("a call that is put right, under the same key", () => {
  const key = { tools: { refund: { key: "refund:{/orderId}" } } };
  const wrong = { orderId: "A1", cents: "500" };
  const checks = (frame: CallFrame) =>
    typeof frame.params.arguments.cents === "number"
      ? ok("done")
      : isError("Input validation error: Invalid arguments for tool refund: cents");

  test.each(["memory", "sqlite"] as const)("runs once, whoever asks again (%s)", async (store) => {
    await using place = house(store, key);
    const server = scripted(checks);
    // As often as the server refuses it, it is told so.
    for (let nth = 0; nth < 2; nth += 1) {
      expect(textOf(await through(place.gate, toolCall(wrong), server))).toMatch(
        /^Input validation/,
      );
    }
    const once = { idempotencyKey: "k1" };
    for (const gate of [place.gate, place.again()]) {
      expect(textOf(await through(gate, toolCall(args, once), server))).toBe("done");
      expect(textOf(await through(gate, toolCall(args), server))).toBe("done");
    }
    expect(server.calls).toHaveLength(3);
    // From then on, other arguments are a conflict: the first ones, too.
    for (const other of [wrong, { ...args, cents: 1 }]) {
      const said = await through(place.again(), toolCall(other), server);
      expect(metaOf(said)).toMatchObject(heldAs("payload_conflict"));
    }
    expect(server.calls).toHaveLength(3);
  });

  test("may be put right several times, by several at once", async () => {
    await using place = house("sqlite", key);
    const server = scripted(checks);
    for (const cents of ["a", "b", "c"]) {
      await through(place.gate, toolCall({ ...args, cents }), server);
    }
    const gates = [place.gate, place.again(), place.gate, place.again()];
    const came = await Promise.all(gates.map((gate) => through(gate, toolCall(args), server)));
    expect(new Set(came.map(textOf))).toEqual(new Set(["done"]));
    expect(server.calls).toHaveLength(4);
  });

  test("is a conflict where it ran, may have run, or waits", async () => {
    const policy = { kind: "approval" };
    const rules = { key: "refund:{/orderId}", onError: "not_performed" };
    await using place = house("memory", {
      tools: { refund: { key: rules.key }, wire: { ...rules, policy }, gift: rules },
    });
    const server = scripted(() => isError("card declined?"), [{ name: "refund" }]);
    for (const name of ["refund", "wire", "gift"]) {
      const orderId = `${name} A1`;
      await through(place.gate, toolCall({ orderId }, { name }), server);
      const again = await through(place.gate, toolCall({ orderId, n: 1 }, { name }), server);
      expect(metaOf(again)).toMatchObject(heldAs("payload_conflict"));
    }
    expect(server.calls).toHaveLength(2);
  });

  test("never makes room in what a person withdrew", async () => {
    await using place = house("memory", key);
    const server = scripted(checks);
    await through(place.gate, toolCall(wrong), server);
    await place.guard.case("refund:A1").withdraw({ by: "ana", reason: "no" });
    for (const given of [args, wrong]) {
      const held = metaOf(await through(place.gate, toolCall(given), server))[marks.held];
      expect(["void", "payload_conflict"]).toContain((held as { held: string }).held);
    }
    expect(server.calls).toHaveLength(1);
  });
});

test("an error (isError) about a tool is certain only where the server doesn't list it", async () => {
  const unknown = isError("MCP error -32602: Tool refund not found");
  expect((await runs(unknown, unlisted)).runs).toBe(2);
  expect((await runs(unknown)).runs).toBe(1);
  expect((await runs(isError("card declined"), unlisted)).runs).toBe(1);
});

describe("what the SDKs say is understood", () => {
  const ground = { act: () => "did", mayEnd: async () => undefined };
  const start = {
    protocolVersion: "2025-11-25",
    capabilities: {},
    clientInfo: { name: "t", version: "1" },
  };

  /** The answer of a real server to a call with wrong arguments, or to one of a tool that it lacks. */
  async function answerOf(version: "v1" | "v2", frame: CallFrame): Promise<Answer> {
    const Transport = version === "v1" ? TransportV1 : TransportV2;
    const [near, far] = Transport.createLinkedPair() as unknown as readonly Wire[];
    if (near === undefined || far === undefined) throw new Error("no transport");
    const server = version === "v1" ? serverV1(ground) : serverV2(ground);
    await server.connect(far as never);
    const asked = Promise.withResolvers<Answer>();
    near.onmessage = (message) => {
      if (message.id === frame.id) asked.resolve(message as unknown as Answer);
    };
    await near.start();
    await near.send({ jsonrpc: "2.0", id: "start", method: "initialize", params: start });
    await near.send({ jsonrpc: "2.0", method: "notifications/initialized" });
    await near.send(frame.message);
    const answer = await asked.promise;
    await server.close();
    return "error" in answer ? { error: answer.error } : { result: answer.result };
  }

  interface Wire {
    onmessage?: (message: Members) => void;
    start(): Promise<void>;
    send(message: Members): Promise<void>;
  }

  test.each(["v1", "v2"] as const)(
    "of wrong arguments and of unknown tools (%s)",
    async (version) => {
      await using place = house("memory");
      const server = scripted((frame) => answerOf(version, frame), [{ name: "pay" }]);
      const wrong = { name: "pay" };
      for (let nth = 1; nth <= 2; nth += 1) {
        const said = await through(place.gate, toolCall({ order: 7 }, wrong), server);
        expect(JSON.stringify(said.message)).toContain("Invalid arguments for tool pay");
        expect(JSON.stringify(said.message)).not.toContain("Unknown whether it ran");
        expect(server.calls).toHaveLength(nth);
      }
      for (let nth = 3; nth <= 4; nth += 1) {
        await through(place.gate, toolCall({}, { name: "gone" }), server);
        expect(server.calls).toHaveLength(nth);
      }
      expect((await place.guard.list({ states: ["IN_DOUBT"] })).items).toEqual([]);
    },
  );
});

describe("once a server has begun and wanted more, no error says that nothing was done", () => {
  const wants = { result: { resultType: "input_required", requestState: "s1", inputRequests: {} } };
  const modern = client({ protocolVersion: "2026-07-28", elicits: true });

  test.each<[string, () => Answer]>([
    ["wrong parameters", () => ({ error: { code: -32602, message: "bad inputResponses" } })],
    ["not JSON", () => ({ error: { code: -32700, message: "no" } })],
    [
      "not sent",
      () => {
        throw new NotSent("refused");
      },
    ],
  ])("%s", async (_, answer) => {
    await using place = house("memory");
    const charged: string[] = [];
    const server = scripted((frame) => {
      if (frame.params.requestState !== undefined) return answer();
      charged.push(String(frame.id));
      return wants;
    }, unlisted);
    for (let nth = 0; nth < 2; nth += 1) {
      await through(place.gate, toolCall(args), server, modern);
      const more = { requestState: "s1", inputResponses: { q: { action: "accept" } } };
      await through(place.gate, toolCall(args, more), server, modern);
    }
    expect(charged).toHaveLength(1);
    const again = await through(place.gate, toolCall(args), server, modern);
    expect(metaOf(again)).toMatchObject(heldAs("in_doubt"));
  });
});

describe("a replay", () => {
  /** A server that writes its result itself. */
  const writes = (result: string) => {
    const server = scripted();
    const upstream = {
      ...server.upstream,
      async call(frame: CallFrame) {
        server.calls.push(frame);
        const read = readFrame(`{"jsonrpc":"2.0","id":${frame.id},"result":${result}}`);
        if (read.kind !== "response") throw new Error(read.kind);
        return read;
      },
    };
    return { ...server, upstream };
  };
  const content = '"content":[{"type":"text","text":"done"}]';

  test.each([
    '"message_id":1234567890123456789',
    '"ratio":1e400',
    '"exact":0.12345678901234567891',
    '"low":-9007199254740993',
    '"tiny":1e-999',
  ])("has the digits that the server wrote: %s", async (member) => {
    await using place = house("sqlite");
    const server = writes(`{${content},"structuredContent":{${member}},"_meta":{"a":1}}`);
    const text = async (gate: typeof place.gate) =>
      Buffer.from((await through(gate, toolCall(args), server)).bytes).toString();
    expect(await text(place.gate)).toContain(member);
    const replay = await text(place.again() as typeof place.gate);
    expect(replay).toContain(member);
    expect(replay).toContain(marks.replayed);
    expect(JSON.parse(replay).result).toMatchObject({
      content: [{ type: "text", text: "done" }],
      _meta: { a: 1, [marks.replayed]: true },
    });
    expect(server.calls).toHaveLength(1);
  });

  test.each([
    '"n":1.0',
    '"n":1e2',
    '"n":0.30000000000000004',
    '"n":1e300',
    '"n":12345678.12345678',
  ])("of numbers that JavaScript can hold is kept as it is: %s", async (member) => {
    await using place = house("memory");
    await through(
      place.gate,
      toolCall(args),
      writes(`{${content},"structuredContent":{${member}}}`),
    );
    const [kase] = (await place.guard.list()).items;
    if (kase?.state !== "SETTLED") throw new Error(kase?.state);
    expect(kase.receipt.value).toEqual(JSON.parse(`{${content},"structuredContent":{${member}}}`));
  });

  test("of a result that looks like a kept one is that result", async () => {
    await using place = house("memory");
    const server = writes(`{${content},"dev.safeagent/result":"{}"}`);
    for (let nth = 0; nth < 2; nth += 1) {
      const said = resultOf(await through(place.gate, toolCall(args), server));
      expect(said).toMatchObject(JSON.parse(`{${content},"dev.safeagent/result":"{}"}`));
    }
  });
});

describe("calls at the same time", () => {
  test("share a result that is too large to keep", async () => {
    await using place = house("memory");
    const all = Promise.withResolvers<void>();
    const server = scripted(async () => {
      await all.promise;
      return ok("x".repeat(300_000));
    });
    const calls = [1, 2, 3].map(() => through(place.gate, toolCall(args), server));
    while (server.calls.length === 0) await new Promise(setImmediate);
    all.resolve();
    const came = await Promise.all(calls);
    expect(came.map((frame) => textOf(frame).length)).toEqual([300_000, 300_000, 300_000]);
    expect(came.map((frame) => metaOf(frame)[marks.replayed])).toEqual([undefined, true, true]);
    expect(server.calls).toHaveLength(1);
    // Once they are over, only the receipt is left.
    expect(textOf(await through(place.gate, toolCall(args), server))).toContain("was not kept");
  });

  test.each([
    ["in doubt", isError("card declined?"), /^card declined\? Unknown whether it ran/],
    ["refused", { error: { code: -32700, message: "not JSON" } }, undefined],
  ])("all hear why it is %s", async (_, answer, text) => {
    await using place = house("memory");
    const all = Promise.withResolvers<void>();
    const server = scripted(async () => {
      await all.promise;
      return answer;
    });
    const calls = [1, 2, 3].map(() => through(place.gate, toolCall(args), server));
    while (server.calls.length === 0) await new Promise(setImmediate);
    all.resolve();
    for (const came of await Promise.all(calls)) {
      if (text === undefined) expect(came.answer).toEqual(answer);
      else expect(textOf(came)).toMatch(text);
    }
  });
});
