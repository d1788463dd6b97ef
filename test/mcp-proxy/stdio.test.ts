import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import { responseFrame } from "../../src/mcp-proxy/frame.ts";
import { openCalls } from "../../src/mcp-proxy/room.ts";
import { openStdio } from "../../src/mcp-proxy/stdio.ts";
import { gateWho, passes, sends } from "./gates.ts";
import { answerTo, call } from "./messages.ts";
import { cancelled, heldAnswerTo, pipeThrough } from "./pipe.ts";

test.each([
  ["passed", passes],
  ["guarded", sends],
] as const)(
  "a call that is %s goes on byte for byte, and so does its answer",
  async (_, answers) => {
    const pipe = await pipeThrough(gateWho(answers));
    for (const id of [1, "1", 0]) {
      pipe.send(call(id, "any"));
      expect(await pipe.next()).toBe(answerTo(id));
    }
    expect(pipe.got()).toEqual([1, "1", 0].map((id) => call(id, "any")));
  },
);

test("what is no call goes on byte for byte both ways, without the gate", async () => {
  const gate = gateWho(passes);
  const pipe = await pipeThrough(gate);
  const sent = [
    '{"id":7,  "jsonrpc":"2.0","method":"ping"}',
    '{"jsonrpc":"2.0","method":"notifications/initialized" }',
    '{"id":"ask", "jsonrpc":"2.0","method":"ask"}',
  ];
  pipe.send(...sent);
  expect(await pipe.next()).toBe(answerTo(7));
  expect(await pipe.next()).toBe(
    '{"id":"server:ask" ,"jsonrpc":"2.0","method":"elicitation/create","params":{}}',
  );
  const reply = '{ "id":"server:ask","jsonrpc":"2.0","result":{"action":"decline"}}';
  pipe.send(reply, '{"id":8,"jsonrpc":"2.0","method":"ping"}');
  expect(await pipe.next()).toBe(answerTo(8));
  expect(pipe.got().slice(0, 4)).toEqual([...sent, reply]);
  expect(gate.clients).toEqual([]);
});

test.each([
  ["not JSON", "{", -32700],
  ["a batch", `[${call(1, "any")}]`, -32600],
  [
    "a member named twice",
    '{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}',
    -32600,
  ],
  [
    "a call without an id",
    '{"jsonrpc":"2.0","method":"tools/call","params":{"name":"any"}}',
    -32600,
  ],
])("%s is refused, and not sent on", async (_, line, code) => {
  const gate = gateWho(passes);
  const pipe = await pipeThrough(gate);
  pipe.send(line, "", "  ", '{"id":2,"jsonrpc":"2.0","method":"ping"}');
  expect(JSON.parse(await pipe.next())).toMatchObject({ error: { code } });
  expect(await pipe.next()).toBe(answerTo(2));
  expect(pipe.got()).toHaveLength(1);
  expect(gate.clients).toEqual([]);
});

test("a cancellation of a guarded call reaches nobody, and the call ends", async () => {
  const gate = gateWho(sends);
  const pipe = await pipeThrough(gate);
  pipe.send(call(1, "hold"), cancelled(1), call(2, "release"));
  // Who has cancelled a call awaits no answer.
  expect(await pipe.next()).toBe(answerTo(2));
  expect(pipe.got()).toEqual([call(1, "hold"), call(2, "release")]);
  expect(gate.recorded).toEqual(["result", "result"]);
});

test("a cancellation of a call that nobody guards follows it to the server", async () => {
  const gate = gateWho(async (_frame, upstream) => {
    await upstream.list(undefined);
    return undefined;
  });
  const pipe = await pipeThrough(gate);
  pipe.send(call(1, "hold"), cancelled(1));
  await expect.poll(() => pipe.got().slice(1)).toEqual([call(1, "hold"), cancelled(1)]);
  pipe.send(call(2, "release"));
  expect(await pipe.next()).toBe(heldAnswerTo(1));
});

test.each([
  ["exits", "die", { code: 7 }],
  ["is killed", "kill", { signal: "SIGKILL" }],
] as const)(
  "a server that %s with a guarded call: it is lost, and the proxy ends alike",
  async (_, tool, how) => {
    const gate = gateWho(sends);
    const pipe = await pipeThrough(gate);
    pipe.send(call(1, "hold"), call(2, tool));
    const said = [await pipe.next(), await pipe.next()].map((line) => JSON.parse(line));
    expect(said.map(({ id }) => id).sort()).toEqual([1, 2]);
    for (const { error } of said) expect(error.message).toMatch(/^UpstreamLost: /);
    expect(await pipe.proxy.ended).toEqual(how);
  },
);

test("a call after the server's end is not sent", async () => {
  const gate = gateWho(async (frame, upstream) => {
    if (frame.params.name === "die") return undefined;
    // Answers as long as it is there.
    while (await upstream.list(undefined).catch(() => undefined)) {}
    return sends(frame, upstream);
  });
  const pipe = await pipeThrough(gate);
  pipe.send(call(1, "late"), call(2, "die"));
  expect(JSON.parse(await pipe.next()).error.message).toMatch(/^NotSent: /);
  expect(await pipe.proxy.ended).toEqual({ code: 7 });
  expect(pipe.got().filter((line) => line.includes("tools/call"))).toEqual([call(2, "die")]);
});

test("an answer that can't be read for certain leaves its call in doubt, and isn't passed on", async () => {
  const pipe = await pipeThrough(gateWho(sends));
  pipe.send(call(1, "twice"));
  expect(JSON.parse(await pipe.next()).error.message).toMatch(/^UpstreamLost: .*can't be read/);
});

test("a client that leaves: a guarded call ends and is recorded before the server is told", async () => {
  const gate = gateWho(sends);
  const pipe = await pipeThrough(gate);
  pipe.send(call(1, "take time"));
  pipe.leave();
  expect(await pipe.proxy.ended).toEqual({ code: 0 });
  expect(gate.recorded).toEqual(["result"]);
});

test("a client that leaves while the server asks it: the server is told, and its call ends", async () => {
  const gate = gateWho(sends);
  const pipe = await pipeThrough(gate);
  pipe.send(call(1, "hold and ask"));
  expect(JSON.parse(await pipe.next()).id).toBe("server:1");
  pipe.leave();
  expect(await pipe.proxy.ended).toEqual({ code: 0 });
  expect(gate.recorded).toEqual(["result"]);
  expect(JSON.parse(pipe.got()[1] ?? "")).toMatchObject({
    id: "server:1",
    error: { code: -32000 },
  });
});

test("a signal waits for a guarded call, and a second one doesn't", async () => {
  const gate = gateWho(sends);
  const first = await pipeThrough(gate);
  first.send(call(1, "hold"));
  await expect.poll(() => gate.clients.length).toBe(1);
  first.proxy.signal("SIGTERM");
  first.send(call(2, "hold"));
  expect(JSON.parse(await first.next())).toMatchObject({ id: 2, error: { code: -32600 } });
  first.send('{"jsonrpc":"2.0","id":3,"method":"release"}');
  expect(await first.proxy.ended).toEqual({ signal: "SIGTERM" });
  expect(gate.recorded).toEqual(["result"]);

  const second = await pipeThrough(gate);
  second.send(call(1, "hold"));
  await expect.poll(() => gate.clients.length).toBe(2);
  second.proxy.signal("SIGTERM");
  second.proxy.signal("SIGTERM");
  expect(await second.proxy.ended).toEqual({ signal: "SIGTERM" });
});

test("what the server says of its tools, and that they changed, reaches the gate", async () => {
  const pages: unknown[] = [];
  const gate = gateWho(async (_frame, upstream) => {
    pages.push(await upstream.list(undefined), await upstream.list("2"));
    return undefined;
  });
  const pipe = await pipeThrough(gate);
  pipe.send(call(1, "change"));
  expect(await pipe.next()).toBe('{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}');
  expect(await pipe.next()).toBe(answerTo(1));
  expect(gate.changes).toEqual([undefined]);
  const page = { tools: [{ name: "hold" }], nextCursor: "2" };
  expect(pages).toEqual([page, page]);
  const [first, second] = pipe.got().map((line) => JSON.parse(line));
  expect(first.id).toMatch(/^safeagent:/);
  expect([first.params, second.params]).toEqual([{}, { cursor: "2" }]);
});

test("what a client says of itself at its start, or in the call, reaches the gate", async () => {
  const gate = gateWho(passes);
  const pipe = await pipeThrough(gate);
  const start = (capabilities: unknown) =>
    JSON.stringify({
      jsonrpc: "2.0",
      id: 1,
      method: "initialize",
      params: { protocolVersion: "2025-06-18", capabilities },
    });
  const meta = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": { elicitation: { form: {} } },
  };
  const lines = [
    call(1, "any"),
    start({ elicitation: {} }),
    call(2, "any"),
    start({ elicitation: { url: {} } }),
    call(3, "any"),
    call(4, "any", `,"_meta":${JSON.stringify(meta)}`),
  ];
  pipe.send(...lines);
  for (const _ of lines) await pipe.next();
  expect(gate.clients.map(({ protocolVersion, elicits }) => [protocolVersion, elicits])).toEqual([
    [undefined, false],
    ["2025-06-18", true],
    ["2025-06-18", false],
    ["2026-07-28", true],
  ]);
  expect(gate.clients.map(({ elicit }) => typeof elicit)).toEqual([
    "function",
    "function",
    "function",
    "undefined",
  ]);
});

test("a question of the gate's reaches the client, and its answer the gate alone", async () => {
  const gate = gateWho(async (frame, _upstream, client) => {
    const result = await client.elicit?.({ message: "Pay it?" });
    return responseFrame(frame.id, { result });
  });
  const pipe = await pipeThrough(gate);
  pipe.send(call(1, "any"));
  const asked = JSON.parse(await pipe.next());
  expect(asked).toMatchObject({ method: "elicitation/create", params: { message: "Pay it?" } });
  expect(asked.id).toMatch(/^safeagent:/);
  const result = { action: "accept", content: { approve: true } };
  pipe.send(JSON.stringify({ jsonrpc: "2.0", id: asked.id, result }));
  expect(JSON.parse(await pipe.next())).toEqual({ jsonrpc: "2.0", id: 1, result });
  pipe.send('{"id":2,"jsonrpc":"2.0","method":"ping"}');
  await pipe.next();
  expect(pipe.got()).toEqual(['{"id":2,"jsonrpc":"2.0","method":"ping"}']);
});

test("two calls under one id at a time: the second is refused", async () => {
  const pipe = await pipeThrough(gateWho(sends));
  pipe.send(call(1, "hold"), call(1, "hold"), call(2, "release"));
  expect(JSON.parse(await pipe.next())).toMatchObject({ id: 1, error: { code: -32600 } });
  expect([await pipe.next(), await pipe.next()].sort()).toEqual(
    [answerTo(2), heldAnswerTo(1)].sort(),
  );
  expect(pipe.got()).toEqual([call(1, "hold"), call(2, "release")]);
});

test("calls over the bound are refused, those under it are not", async () => {
  const pipe = await pipeThrough(gateWho(sends));
  const held = Array.from({ length: openCalls }, (_, id) => call(id, "hold"));
  pipe.send(...held, call("over", "hold"));
  expect(JSON.parse(await pipe.next())).toMatchObject({ id: "over", error: { code: -32600 } });
  await expect.poll(() => pipe.got()).toEqual(held);
  pipe.send('{"jsonrpc":"2.0","id":"all","method":"release"}');
  for (const id of held.keys()) expect(await pipe.next()).toBe(heldAnswerTo(id));
  expect(await pipe.next()).toBe(answerTo("all"));
});

test("large answers reach a slow reader whole", async () => {
  const pipe = await pipeThrough(gateWho(sends));
  const size = 3_000_000;
  pipe.send(...[1, 2, 3].map((id) => call(id, "large", `,"size":${size}`)));
  for (const id of [1, 2, 3]) {
    expect(await pipe.next()).toBe(`{"jsonrpc":"2.0","id":${id},"result":"${"x".repeat(size)}"}`);
  }
});

test("a server that can't be started is told of", async () => {
  const input = new PassThrough();
  const options = { command: "/no/such/program", args: [], input, output: new PassThrough() };
  await expect(openStdio(gateWho(passes), options)).rejects.toThrow(
    /^the server can't be started: .*ENOENT/,
  );
});
