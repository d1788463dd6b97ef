import { describe, expect, test } from "vitest";
import { responseFrame } from "../../src/mcp-proxy/frame.ts";
import { headerBytes } from "../../src/mcp-proxy/http.ts";
import { bodyBytes } from "../../src/mcp-proxy/target.ts";
import { gateWho, passes, sends } from "./gates.ts";
import { answerTo, call, changed, errorIn, event, progress } from "./messages.ts";
import { ask, json, reverse, stream } from "./reverse.ts";

describe.each([
  ["passed", passes],
  ["guarded", sends],
] as const)("a call that is %s", (_, answers) => {
  test("goes on byte for byte with its headers, and so does its answer", async () => {
    const { port, got, serverPort } = await reverse(
      gateWho(answers),
      (_got, response) => json(response, 200, answerTo(1), { "X-Trace": "t1" }),
      { query: "?tenant=a" },
    );
    const headers = {
      Host: `localhost:${port}`,
      Origin: "http://localhost:6274",
      Authorization: "Bearer secret",
      "Mcp-Session-Id": "s1",
      Connection: "close, X-Hop",
      "X-Hop": "1",
    };
    const said = await ask(port, { path: "/mcp?more=b", headers, body: call(1) });
    expect(said).toMatchObject({ status: 200, body: answerTo(1), headers: { "x-trace": "t1" } });
    expect(said.headers["content-type"]).toBe("application/json");
    expect(got).toHaveLength(1);
    expect(got[0]).toMatchObject({ method: "POST", url: "/mcp?tenant=a&more=b", body: call(1) });
    expect(got[0]?.headers).toMatchObject({
      host: `localhost:${port}`,
      origin: "http://localhost:6274",
      authorization: "Bearer secret",
      "mcp-session-id": "s1",
      accept: "application/json, text/event-stream",
    });
    expect(got[0]?.headers["x-hop"]).toBeUndefined();
    expect(serverPort).not.toBe(port);
  });

  test("is answered by a stream with the same bytes", async () => {
    const sent = [": hello\n\n", event(progress), event(answerTo(1), "id: 7\r\n")];
    const { port } = await reverse(gateWho(answers), (_got, response) => {
      response.writeHead(200, { "content-type": "text/event-stream; x=1", "x-trace": "t1" });
      stream(response, ...sent);
      response.end();
    });
    const { body, headers } = await ask(port, { body: call(1) });
    expect(body).toBe(sent.join(""));
    expect(headers).toMatchObject({ "content-type": "text/event-stream; x=1", "x-trace": "t1" });
  });
});

test("GET, DELETE and what is no call go on without the gate, and come back byte for byte", async () => {
  const gate = gateWho(passes);
  const { port, got } = await reverse(gate, ({ method }, response) => {
    if (method === "GET") {
      stream(response, event(progress), event(changed), ": end\n\n");
      response.end();
    } else if (method === "DELETE") response.writeHead(405, { Allow: "GET, POST" }).end();
    else json(response, 202, "");
  });
  const authorization = { authorization: "Bearer one" };
  const listened = await ask(port, { method: "GET", headers: authorization });
  expect(listened.body).toBe(`${event(progress)}${event(changed)}: end\n\n`);
  expect(gate.changes).toEqual([expect.stringMatching(/^credentials:[0-9a-f]{32}$/)]);
  const ended = await ask(port, { method: "DELETE" });
  expect(ended).toMatchObject({ status: 405, headers: { allow: "GET, POST" } });
  const notification = '{"jsonrpc":"2.0" , "method":"notifications/initialized"}';
  expect((await ask(port, { body: notification })).status).toBe(202);
  expect(got.map(({ method, body }) => [method, body])).toEqual([
    ["GET", ""],
    ["DELETE", ""],
    ["POST", notification],
  ]);
  expect(gate.clients).toEqual([]);
});

describe("nothing is sent on", () => {
  const cases: readonly (readonly [string, Parameters<typeof ask>[1], number, number])[] = [
    ["what is not JSON", { body: "{" }, 400, -32700],
    ["a batch", { body: `[${call(1)}]` }, 400, -32600],
    ["a call without an id", { body: '{"jsonrpc":"2.0","method":"tools/call"}' }, 400, -32600],
    ["another Mcp-Method", { body: call(1), headers: { "mcp-method": "ping" } }, 400, -32020],
    ["another Mcp-Name", { body: call(1), headers: { "mcp-name": "look" } }, 400, -32020],
    [
      "a call hidden behind another method",
      { body: '{"jsonrpc":"2.0","id":1,"method":"ping"}', headers: { "mcp-method": "tools/call" } },
      400,
      -32020,
    ],
    [
      "a body that is encoded",
      { body: call(1), headers: { "content-encoding": "gzip" } },
      415,
      -32600,
    ],
    ...[
      "application/json; charset=utf-7",
      'application/json;Charset = "UTF-7"',
      'application/json; x="; charset=utf-8"; charset=latin1',
      "application/json; charset=utf-8; charset=utf-16",
    ].map((type): (typeof cases)[number] => [
      `another charset: ${type}`,
      { body: call(1), headers: { "content-type": type } },
      415,
      -32600,
    ]),
    ["a body that is too long", { body: Buffer.alloc(bodyBytes + 1, " ") }, 413, -32600],
    ["another place", { body: call(1), path: "/mcp/" }, 404, -32000],
    ["another method", { method: "PUT", body: call(1) }, 405, -32000],
    ["another Host", { body: call(1), headers: { host: "evil.example" } }, 403, -32000],
    ["another Origin", { body: call(1), headers: { origin: "http://evil.example" } }, 403, -32000],
    ["no Origin", { body: call(1), headers: { origin: "null" } }, 403, -32000],
  ];

  test.each(cases)("of %s", async (_, asked, status, code) => {
    const gate = gateWho(passes);
    const { port, got } = await reverse(gate, (_got, response) => json(response, 200, answerTo(1)));
    const said = await ask(port, asked);
    expect([said.status, errorIn(said.body).code]).toEqual([status, code]);
    expect([got, gate.clients]).toEqual([[], []]);
  });

  test("of headers that are too long", async () => {
    const { port, got } = await reverse(gateWho(passes), () => undefined);
    const headers = { "x-long": "x".repeat(headerBytes) };
    expect((await ask(port, { body: call(1), headers })).status).toBe(431);
    expect(got).toEqual([]);
  });
});

test("headers that say the same as the body are no contradiction, encoded or not", async () => {
  const { port, got } = await reverse(gateWho(sends), ({ body }, response) =>
    json(response, 200, answerTo(JSON.parse(body).id)),
  );
  const named = (name: string) => ({ "mcp-method": "tools/call", "mcp-name": name });
  await ask(port, { body: call(1), headers: named("pay") });
  const encoded = `=?base64?${Buffer.from("zählen").toString("base64")}?=`;
  await ask(port, { body: call(2, "zählen"), headers: named(encoded) });
  expect(got.map(({ body }) => JSON.parse(body).id)).toEqual([1, 2]);
});

test("a name that was allowed may be used", async () => {
  const { port } = await reverse(gateWho(passes), (_got, response) => json(response, 200, "{}"), {
    hosts: ["Agents.Example"],
  });
  const headers = { host: "agents.example:80", origin: "https://agents.example" };
  expect((await ask(port, { body: call(1), headers })).status).toBe(200);
});

test("other messages reach the client while a guarded call runs, the answer after it is recorded", async () => {
  const gate = gateWho(sends);
  const goOn = Promise.withResolvers<void>();
  const { port } = await reverse(gate, async (_got, response) => {
    stream(response, event(progress));
    await goOn.promise;
    stream(response, event(answerTo(1)));
    response.end();
  });
  const parts: string[] = [];
  await ask(port, {
    body: call(1),
    onPart(body) {
      if (parts.length === 0) expect([body, gate.recorded]).toEqual([event(progress), []]);
      parts.push(body);
      goOn.resolve();
      return undefined;
    },
  });
  expect(parts.at(-1)).toBe(event(progress) + event(answerTo(1)));
});

test("a client that leaves a guarded call: it goes on, and what comes of it is recorded", async () => {
  const gate = gateWho(sends);
  const goOn = Promise.withResolvers<void>();
  const { port } = await reverse(gate, async ({ method }, response) => {
    if (method === "GET") return json(response, 405, "");
    stream(response, event(progress));
    await goOn.promise;
    stream(response, event(answerTo(1)));
    response.end();
  });
  await ask(port, { body: call(1), onPart: () => true });
  // The proxy has heard of it by the time it has served another request.
  await ask(port, { method: "GET" });
  goOn.resolve();
  await expect.poll(() => gate.recorded).toEqual(["result"]);
});

test("a client that leaves a call that nobody guards: the server hears of it", async () => {
  const { port, got } = await reverse(gateWho(passes), (_got, response) =>
    stream(response, event(progress)),
  );
  await ask(port, { body: call(1), onPart: () => true });
  await got[0]?.left;
});

test("a cancellation of a guarded call reaches nobody; another one reaches the server", async () => {
  const gate = gateWho(sends);
  const goOn = Promise.withResolvers<void>();
  const { port, got } = await reverse(gate, async ({ body }, response) => {
    if (!body.includes("tools/call")) return json(response, 202, "");
    await goOn.promise;
    json(response, 200, answerTo(1));
  });
  const headers = { "mcp-session-id": "s1" };
  const answer = ask(port, { body: call(1), headers });
  await expect.poll(() => got.length).toBe(1);
  const cancelled = (id: unknown) =>
    `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":${JSON.stringify(id)}}}`;
  expect((await ask(port, { body: cancelled(1), headers })).status).toBe(202);
  expect(got).toHaveLength(1);
  await ask(port, { body: cancelled("1"), headers });
  await ask(port, { body: cancelled(1), headers: { "mcp-session-id": "s2" } });
  expect(got.slice(1).map(({ body }) => body)).toEqual([cancelled("1"), cancelled(1)]);
  goOn.resolve();
  expect((await answer).body).toBe(answerTo(1));
  expect(gate.recorded).toEqual(["result"]);
});

test("the proxy's own tools/list goes to the server as the client, in its revision", async () => {
  const pages: unknown[] = [];
  const gate = gateWho(async (_frame, upstream) => {
    pages.push(await upstream.list(undefined), await upstream.list("2"));
    return undefined;
  });
  const { port, got } = await reverse(gate, ({ body }, response) => {
    const { id, method, params } = JSON.parse(body);
    if (method !== "tools/list") return json(response, 200, answerTo(1));
    const result = { tools: [{ name: "pay" }], ...(params.cursor ? {} : { nextCursor: "2" }) };
    const text = JSON.stringify({ jsonrpc: "2.0", id, result });
    if (params.cursor === undefined) return json(response, 200, text);
    stream(response, event(progress), event(text));
    response.end();
  });
  const meta = { "io.modelcontextprotocol/protocolVersion": "2026-07-28", other: 1 };
  const headers = {
    authorization: "Bearer one",
    "mcp-protocol-version": "2026-07-28",
    "mcp-method": "tools/call",
    "mcp-name": "pay",
    "mcp-param-region": "eu",
  };
  await ask(port, { body: call(1, "pay", `,"_meta":${JSON.stringify(meta)}`), headers });
  expect(pages).toEqual([
    { tools: [{ name: "pay" }], nextCursor: "2" },
    { tools: [{ name: "pay" }] },
  ]);
  const [first, second] = got;
  expect(JSON.parse(first?.body ?? "")).toMatchObject({
    id: expect.stringMatching(/^safeagent:/),
    params: { _meta: { "io.modelcontextprotocol/protocolVersion": "2026-07-28" } },
  });
  expect(JSON.parse(first?.body ?? "").params._meta).not.toHaveProperty("other");
  expect(JSON.parse(second?.body ?? "").params.cursor).toBe("2");
  expect(first?.headers).toMatchObject({
    authorization: "Bearer one",
    "mcp-protocol-version": "2026-07-28",
    "mcp-method": "tools/list",
  });
  for (const name of ["mcp-name", "mcp-param-region"])
    expect(first?.headers).not.toHaveProperty(name);
});

test("who calls is told by their credentials, and what they said at their session's start", async () => {
  const gate = gateWho(passes);
  const { port } = await reverse(gate, ({ body, headers }, response) => {
    const { id, method } = JSON.parse(body);
    const session = { "mcp-session-id": String(headers["x-session"]) };
    json(response, 200, answerTo(id), method === "initialize" ? session : {});
  });
  const start = (capabilities: unknown) =>
    JSON.stringify({
      jsonrpc: "2.0",
      id: 1,
      method: "initialize",
      params: { protocolVersion: "2025-06-18", capabilities },
    });
  await ask(port, { body: start({ elicitation: {} }), headers: { "x-session": "s1" } });
  await ask(port, { body: start({}), headers: { "x-session": "s2" } });
  const asked: readonly Record<string, string>[] = [
    { "mcp-session-id": "s1" },
    { "mcp-session-id": "s2" },
    { "mcp-session-id": "s1", authorization: "Bearer one" },
    { authorization: "Bearer one", "mcp-protocol-version": "2025-11-25" },
    { authorization: "Bearer two" },
    { "x-api-key": "one" },
  ];
  for (const headers of asked) await ask(port, { body: call(1), headers });
  expect(gate.clients.map(({ elicits, protocolVersion }) => [elicits, protocolVersion])).toEqual([
    [true, "2025-06-18"],
    [false, "2025-06-18"],
    // Another's session: what its owner can be asked, this caller can't.
    [false, undefined],
    [false, "2025-11-25"],
    [false, undefined],
    [false, undefined],
  ]);
  const [none, , one, again, two, key] = gate.clients.map(({ principal }) => principal);
  expect(none).toBeUndefined();
  expect(again).toBe(one);
  expect(new Set([one, two, key]).size).toBe(3);
  expect([one, two, key].join()).not.toMatch(/one|two/);
});

test("callers are told apart by whatever may hold their credentials", async () => {
  const gate = gateWho(passes);
  const options = { principalHeaders: ["X-Tenant"] };
  const { port } = await reverse(gate, (_got, response) => json(response, 200, "{}"), options);
  const asked: readonly Parameters<typeof ask>[1][] = [
    { headers: { cookie: "sid=one" } },
    { headers: { cookie: "sid=two" } },
    { headers: { "proxy-authorization": "Basic one" } },
    ...["api-key", "x-auth-token", "x-access-token"].map((name) => ({
      headers: { [name]: "one" },
    })),
    { headers: { "x-tenant": "one" } },
    { headers: { "x-tenant": "two" } },
    { path: "/mcp?token=one" },
    { path: "/mcp?token=two" },
    { path: "/mcp?token=two", headers: { cookie: "sid=two" } },
  ];
  for (const how of [...asked, ...asked]) await ask(port, { ...how, body: call(1) });
  const seen = gate.clients.map(({ principal }) => principal);
  expect(new Set(seen.slice(0, asked.length)).size).toBe(asked.length);
  expect(seen.slice(asked.length)).toEqual(seen.slice(0, asked.length));
  for (const one of seen) expect(one).toMatch(/^credentials:[0-9a-f]{32}$/);
  // Other headers say nothing of who asks.
  await ask(port, { body: call(1), headers: { "x-other": "one", "user-agent": "two" } });
  expect(gate.clients.at(-1)?.principal).toBeUndefined();
});

test.each([
  "application/json; charset=UTF-8",
  'application/json;charset="utf-8"; x=1',
  "text/plain",
])("a body of the type %s goes on", async (type) => {
  const { port, got } = await reverse(gateWho(sends), (_got, response) =>
    json(response, 200, answerTo(1)),
  );
  await ask(port, { body: call(1), headers: { "content-type": type } });
  expect(got[0]).toMatchObject({ body: call(1), headers: { "content-type": type } });
});

test("texts of megabytes go on, and come back", async () => {
  const text = `"x":"${"x".repeat(9_000_000)}"`;
  const answer = `{"jsonrpc":"2.0","id":1,"result":{${text}}}`;
  const { port, got } = await reverse(gateWho(sends), (_got, response) =>
    json(response, 200, answer),
  );
  const asked = call(1, "pay", `,${text}`);
  expect((await ask(port, { body: asked })).body).toBe(answer);
  expect(got[0]?.body).toBe(asked);
});

test("a question of the gate's reaches the client in the call's stream, and its answer the gate alone", async () => {
  const gate = gateWho(async (frame, upstream, client) => {
    const answer = await client.elicit?.({ message: "Pay it?" });
    if (answer?.action !== "accept") return responseFrame(frame.id, { result: answer });
    return sends(frame, upstream);
  });
  const { port, got } = await reverse(gate, (_got, response) => json(response, 200, answerTo(1)));
  let reply: Promise<{ readonly status: number }> | undefined;
  const { body } = await ask(port, {
    body: call(1),
    onPart(text) {
      const { id, method } = JSON.parse(text.split("data: ")[1]?.split("\n")[0] ?? "");
      expect(method).toBe("elicitation/create");
      const result = { action: "accept", content: { approve: true } };
      reply ??= ask(port, { body: JSON.stringify({ jsonrpc: "2.0", id, result }) });
      return undefined;
    },
  });
  expect((await reply)?.status).toBe(202);
  expect(body.split("data: ")[2]).toBe(`${answerTo(1)}\n\n`);
  expect(got.map((one) => one.body)).toEqual([call(1)]);
});

test("a client that takes no streams is not asked", async () => {
  const gate = gateWho(passes);
  const { port } = await reverse(gate, (_got, response) => json(response, 200, answerTo(1)));
  await ask(port, { body: call(1), headers: { accept: "application/json" } });
  expect(gate.clients[0]).not.toHaveProperty("elicit");
});
