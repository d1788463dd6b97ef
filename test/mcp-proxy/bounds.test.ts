import type { IncomingMessage } from "node:http";
import { createConnection } from "node:net";
import { expect, test } from "vitest";
import { createClients, knownSessions, principals } from "../../src/mcp-proxy/clients.ts";
import { answerBytes, resumes } from "../../src/mcp-proxy/exchange.ts";
import { type CallFrame, readFrame } from "../../src/mcp-proxy/frame.ts";
import { unreadBytes } from "../../src/mcp-proxy/listener.ts";
import { headersTo } from "../../src/mcp-proxy/target.ts";
import { gateWho, sends } from "./gates.ts";
import { answerTo, call, event, progress } from "./messages.ts";
import { ask, json, reverse, stream } from "./reverse.ts";

test("a client that doesn't read is hung up on, and its call is recorded", async () => {
  const gate = gateWho(sends);
  const written = Promise.withResolvers<void>();
  const { port } = await reverse(gate, async (_got, response) => {
    const data = event(JSON.stringify({ jsonrpc: "2.0", method: "x", params: "x".repeat(1e6) }));
    // Twice as much as the bound, whatever the sockets hold.
    for (let sent = 0; sent < 2 * unreadBytes; sent += data.length) {
      stream(response, data);
      if (response.writableNeedDrain) await new Promise((done) => response.once("drain", done));
    }
    stream(response, event(answerTo(1)));
    response.end();
    written.resolve();
  });
  const socket = createConnection(port, "127.0.0.1").pause();
  const closed = new Promise((done) => socket.once("close", done));
  socket.on("error", () => undefined);
  const body = call(1);
  socket.write(
    `POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
  await written.promise;
  await expect.poll(() => gate.recorded).toEqual(["result"]);
  socket.resume();
  await closed;
});

test("a stream is asked for again so often and no more", async () => {
  const gate = gateWho(sends);
  const { port, got } = await reverse(gate, ({ method }, response) => {
    if (method === "GET") return json(response, 503, "");
    stream(response, event(progress, "id: 1\r\nretry: 1\r\n"));
    response.end();
  });
  const { body } = await ask(port, { body: call(1) });
  expect(body).toContain("UpstreamLost: the server's stream can't be taken up again");
  expect(got.map(({ method }) => method)).toEqual(["POST", ...Array(resumes).fill("GET")]);
});

test("an answer that is too long to be read leaves its call in doubt", async () => {
  const { port } = await reverse(gateWho(sends), (_got, response) =>
    json(response, 200, " ".repeat(answerBytes + 1)),
  );
  expect((await ask(port, { body: call(1) })).body).toContain("UpstreamLost: ");
});

test("the session that started first is forgotten first", () => {
  const clients = createClients(principals([]));
  const from = (id: string) =>
    ({ headers: { "mcp-session-id": id } }) as unknown as IncomingMessage;
  const declared = { protocolVersion: "2025-06-18", elicits: true };
  for (let at = 0; at <= knownSessions; at += 1) {
    clients.started(from(""), `s${at}`, declared);
  }
  const frame = readFrame(call(1)) as CallFrame;
  const asks = (id: string) => clients.declared(from(id), frame).elicits;
  expect([asks("s0"), asks("s1"), asks(`s${knownSessions}`)]).toEqual([false, true, true]);
  clients.ended(from("s1"));
  expect(asks("s1")).toBe(false);
});

test("a server elsewhere is called by its own name, one on this machine by the client's", () => {
  const request = {
    headers: { host: "localhost:7117" },
    rawHeaders: ["Host", "localhost:7117", "Accept-Encoding", "gzip", "Authorization", "Bearer a"],
  } as unknown as IncomingMessage;
  const hostAt = (url: string) => headersTo(new URL(url), request)[1];
  expect(hostAt("https://mcp.example.com/mcp")).toBe("mcp.example.com");
  expect(hostAt("http://127.0.0.1:3000/mcp")).toBe("localhost:7117");
  expect(hostAt("http://[::1]:3000/mcp")).toBe("localhost:7117");
  expect(headersTo(new URL("http://localhost/"), request).slice(2)).toEqual([
    "Authorization",
    "Bearer a",
    "Accept-Encoding",
    "identity",
  ]);
});
