import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { createConnection } from "node:net";
import { describe, expect, test } from "vitest";
import { gateWho, passes, sends } from "./gates.ts";
import { answerTo, call, errorIn, event, progress } from "./messages.ts";
import { ask, json, reverse, stream } from "./reverse.ts";

describe("what is known where the server fails", () => {
  test("it can't be reached: not sent", async () => {
    const proxied = await reverse(gateWho(sends), () => undefined);
    await proxied.stopServer();
    const { body } = await ask(proxied.port, { body: call(1) });
    expect(errorIn(body).message).toMatch(/^NotSent: .*ECONNREFUSED/);
    const passed = await ask(proxied.port, { body: '{"jsonrpc":"2.0","id":1,"method":"ping"}' });
    expect([passed.status, errorIn(passed.body).message]).toEqual([
      502,
      expect.stringMatching(/^safeagent: Nothing was sent: .*ECONNREFUSED/),
    ]);
  });

  const losses: readonly (readonly [string, (response: ServerResponse) => void])[] = [
    ["its connection is reset", (response: ServerResponse) => void response.destroy()],
    [
      "its answer breaks off",
      (response: ServerResponse) => {
        response.writeHead(200, { "content-type": "application/json", "content-length": "100" });
        response.write('{"jsonrpc"', () => response.destroy());
      },
    ],
    ["it answers another call", (response: ServerResponse) => json(response, 200, answerTo(2))],
    ["it answers with no JSON", (response: ServerResponse) => json(response, 200, "oops")],
    ["a gateway answers for it", (response: ServerResponse) => json(response, 504, "")],
    [
      "its stream ends without the answer",
      (response: ServerResponse) => {
        stream(response, event(progress));
        response.end();
      },
    ],
    [
      "its stream breaks off in the answer",
      (response: ServerResponse) => {
        stream(response, `data: ${answerTo(1)}`);
        response.end();
      },
    ],
  ];

  test.each(losses)("%s: lost", async (_, fails) => {
    const { port, got } = await reverse(gateWho(sends), (_got, response) => fails(response));
    const { body } = await ask(port, { body: call(1) });
    const text = body.split("data: ").at(-1) ?? "";
    expect(errorIn(text).message).toMatch(/^UpstreamLost: /);
    expect(got).toHaveLength(1);
  });

  test("it refuses the caller: not sent, and its own words reach the client", async () => {
    const gate = gateWho(sends);
    const { port } = await reverse(gate, (_got, response) =>
      json(response, 401, '{"error":"who?"}', { "www-authenticate": 'Bearer realm="mcp"' }),
    );
    const said = await ask(port, { body: call(1) });
    expect(said).toMatchObject({ status: 401, body: '{"error":"who?"}' });
    expect(said.headers["www-authenticate"]).toBe('Bearer realm="mcp"');
    expect(gate.recorded).toEqual(["error"]);
  });

  test.each([
    ["a guarded call", call(1), sends],
    ["a call", call(1), passes],
    ["a listing", '{"jsonrpc":"2.0","id":1,"method":"tools/list"}', passes],
  ] as const)(
    "a redirection of %s is not followed, nor handed on: it leads past the guard",
    async (_, body, answers) => {
      const { port, got } = await reverse(
        gateWho(answers),
        (_got, response) => void response.writeHead(307, { location: "/other" }).end(),
      );
      const said = await ask(port, { body });
      expect([said.status, said.headers.location]).toEqual([502, undefined]);
      expect(errorIn(said.body).message).toContain("/other");
      expect(got).toHaveLength(1);
    },
  );
});

test("it refuses the caller after a stream has begun: the call's id is answered", async () => {
  const gate = gateWho(async (frame, upstream, client) => {
    await client.elicit?.({ message: "Pay it?" });
    return sends(frame, upstream);
  });
  const { port } = await reverse(gate, (_got, response) =>
    json(response, 401, '{"error":"who?"}', { "www-authenticate": "Bearer" }),
  );
  let replied: Promise<unknown> | undefined;
  const { body } = await ask(port, {
    body: call(1),
    onPart(text) {
      const { id } = JSON.parse(text.split("data: ")[1]?.split("\n")[0] ?? "");
      const result = { action: "accept" };
      replied ??= ask(port, { body: JSON.stringify({ jsonrpc: "2.0", id, result }) });
      return undefined;
    },
  });
  await replied;
  expect(JSON.parse(body.split("data: ")[2] ?? "")).toMatchObject({
    id: 1,
    error: { message: "NotSent: the server refused the request (HTTP 401)" },
  });
});

test("an answer in a stream that can't be read leaves its call in doubt, and isn't passed on", async () => {
  const twice = '{"jsonrpc":"2.0","id":1,"result":{"a":1,"a":2}}';
  const { port } = await reverse(gateWho(sends), (_got, response) => {
    stream(response, event(progress, "id: 1\r\n"), event(twice), event(answerTo(1)));
    response.end();
  });
  const { body } = await ask(port, { body: call(1) });
  const said = [...body.matchAll(/^data: (.*)$/gm)].map(([, data = ""]) => JSON.parse(data));
  expect(said).toEqual([
    JSON.parse(progress),
    { jsonrpc: "2.0", id: 1, error: expect.objectContaining({ code: -32000 }) },
  ]);
  expect(said[1].error.message).toBe("UpstreamLost: the server's answer can't be read");
});

test("a defect of the proxy's is an answer", async () => {
  const gate = gateWho(() => Promise.reject(new RangeError("too much of it")));
  const { port } = await reverse(gate, () => undefined);
  const said = await ask(port, { body: call(1) });
  expect([said.status, errorIn(said.body)]).toEqual([
    500,
    expect.objectContaining({ code: -32603, message: expect.stringContaining("too much of it") }),
  ]);
});

test("a stream with ids that ends too early is taken up again after the last one", async () => {
  const gate = gateWho(sends);
  const { port, got } = await reverse(gate, ({ method, headers }, response) => {
    if (method === "POST") stream(response, event(progress, "id: 1\r\nretry: 1\r\n"));
    else if (headers["last-event-id"] === "1") stream(response, event(progress, "id: 2\r\n"));
    else if (headers["last-event-id"] === "2") stream(response, event(answerTo(1), "id: 3\r\n"));
    response.end();
  });
  const { body } = await ask(port, { body: call(1), headers: { "mcp-session-id": "s1" } });
  expect(body.match(/^id: \d/gm)).toEqual(["id: 1", "id: 2", "id: 3"]);
  expect(body.endsWith(event(answerTo(1), "id: 3\r\n"))).toBe(true);
  expect(got.map(({ method }) => method)).toEqual(["POST", "GET", "GET"]);
  expect(got[2]?.headers["mcp-session-id"]).toBe("s1");
  expect(gate.recorded).toEqual(["result"]);
});

test("a proxy that ends waits for guarded calls, and hangs up on streams", async () => {
  const gate = gateWho(sends);
  const goOn = Promise.withResolvers<void>();
  const proxied = await reverse(gate, async ({ method }, response) => {
    stream(response, event(progress));
    if (method === "GET") return;
    await goOn.promise;
    stream(response, event(answerTo(1)));
    response.end();
  });
  const listened = ask(proxied.port, { method: "GET" });
  listened.catch(() => undefined);
  const called = ask(proxied.port, { body: call(1) });
  await expect.poll(() => proxied.got.length).toBe(2);
  const closed = proxied.close();
  goOn.resolve();
  await closed;
  expect((await called).body).toBe(event(progress) + event(answerTo(1)));
  expect(gate.recorded).toEqual(["result"]);
  await expect(listened).rejects.toThrow();
  const socket = createConnection(proxied.port, "127.0.0.1");
  const [error] = await once(socket, "error");
  expect(error.code).toBe("ECONNREFUSED");
});

test("a connection that the server gave up while it was idle is no failure", async () => {
  const ping = '{"jsonrpc":"2.0","id":1,"method":"ping"}';
  const sockets = new Set<{ resetAndDestroy(): void }>();
  const { port, got } = await reverse(gateWho(passes), (_got, response) => {
    const { socket } = response;
    // The second request on one connection meets a server that has forgotten it.
    if (socket !== null && sockets.has(socket)) return void socket.resetAndDestroy();
    if (socket !== null) sockets.add(socket);
    json(response, 200, answerTo(1));
  });
  for (const _ of [1, 2]) expect((await ask(port, { body: ping })).body).toBe(answerTo(1));
  expect(got).toHaveLength(3);
});
