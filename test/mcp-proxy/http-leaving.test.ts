import { expect, onTestFinished, test, vi } from "vitest";
import { responseFrame } from "../../src/mcp-proxy/frame.ts";
import { listMs } from "../../src/mcp-proxy/own-request.ts";
import { Withdrawn } from "../../src/mcp-proxy/upstream.ts";
import { gateWho, sends } from "./gates.ts";
import { answerTo, call } from "./messages.ts";
import { ask, json, reverse } from "./reverse.ts";

/** What becomes of guarded calls whose clients leave, and whose servers don't answer. */

const cancelled = (requestId: unknown) =>
  JSON.stringify({ jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId } });
const messagesIn = (body: string) =>
  [...body.matchAll(/^data: (.*)$/gm)].map(([, data = ""]) => JSON.parse(data));

/** A gate that asks, and says what came of the question. */
const asking = () => {
  const failures: unknown[] = [];
  const gate = gateWho(async (frame, _upstream, client) => {
    const answer = await client.elicit?.({}).catch((error) => void failures.push(error));
    return responseFrame(frame.id, { result: { answer, left: client.left?.aborted } });
  });
  return { gate, failures };
};

test.each([
  ["in a session", { "mcp-session-id": "s1" }],
  ["without sessions", {}],
])("a question is taken back when its call is cancelled, %s", async (_, headers) => {
  const { gate, failures } = asking();
  const { port, got } = await reverse(gate, (_got, response) => json(response, 202, ""));
  const begun = Promise.withResolvers<void>();
  const called = ask(port, { body: call(1), headers, onPart: () => void begun.resolve() });
  await begun.promise;
  expect((await ask(port, { body: cancelled(1), headers })).status).toBe(202);
  const [question, taken, answer] = messagesIn((await called).body);
  expect(taken).toMatchObject({
    method: "notifications/cancelled",
    params: { requestId: question.id },
  });
  expect(answer).toEqual({ jsonrpc: "2.0", id: 1, result: { left: true } });
  expect(failures).toEqual([expect.any(Withdrawn)]);
  // An answer that comes yet is nobody's.
  const late = JSON.stringify({ jsonrpc: "2.0", id: question.id, result: { action: "accept" } });
  expect((await ask(port, { body: late, headers })).status).toBe(202);
  expect(got).toEqual([]);
});

test("a cancellation that could mean either of two calls takes no question back", async () => {
  const { gate, failures } = asking();
  const { port } = await reverse(gate, () => undefined);
  const answers = [1, 2].map(() => {
    const begun = Promise.withResolvers<string>();
    const done = ask(port, { body: call(1), onPart: (body) => void begun.resolve(body) });
    return { question: begun.promise.then((body) => messagesIn(body)[0].id), done };
  });
  const questions = await Promise.all(answers.map(({ question }) => question));
  const cancelling = ask(port, { body: cancelled(1) });
  for (const id of questions) {
    const result = { action: "accept" };
    await ask(port, { body: JSON.stringify({ jsonrpc: "2.0", id, result }) });
  }
  expect((await cancelling).status).toBe(202);
  for (const { done } of answers) {
    expect(messagesIn((await done).body)[1].result).toEqual({
      answer: { action: "accept" },
      left: false,
    });
  }
  expect(failures).toEqual([]);
});

test("a client that leaves while it is asked: the gate hears of it", async () => {
  const { gate, failures } = asking();
  const { port } = await reverse(gate, () => undefined);
  await ask(port, { body: call(1), onPart: () => true });
  await expect.poll(() => failures).toEqual([expect.any(Withdrawn)]);
  expect(gate.clients[0]?.left?.aborted).toBe(true);
});

test("a session that is ended: its server hears of it once its guarded call is recorded", async () => {
  const gate = gateWho(sends);
  const goOn = Promise.withResolvers<void>();
  const { port, got } = await reverse(gate, async ({ method }, response) => {
    if (method === "DELETE") return json(response, 200, "");
    await goOn.promise;
    json(response, 200, answerTo(1));
  });
  const headers = { "mcp-session-id": "s1", authorization: "Bearer one" };
  const called = ask(port, { body: call(1), headers });
  await expect.poll(() => got.length).toBe(1);
  expect((await ask(port, { method: "DELETE", headers })).status).toBe(202);
  expect(gate.clients[0]?.left?.aborted).toBe(true);
  // Another's session is ended at once.
  const others = { "mcp-session-id": "s2" };
  expect((await ask(port, { method: "DELETE", headers: others })).status).toBe(200);
  expect(got.slice(1).map((one) => one.headers["mcp-session-id"])).toEqual(["s2"]);
  expect(gate.recorded).toEqual([]);
  goOn.resolve();
  expect((await called).body).toBe(answerTo(1));
  await expect.poll(() => got.length).toBe(3);
  expect(gate.recorded).toEqual(["result"]);
  expect(got[2]).toMatchObject({ method: "DELETE", headers });
});

test("a proxy that ends hangs up on a server that still owes what the guard gave up", async () => {
  const gate = gateWho(async (frame, upstream) => {
    void sends(frame, upstream);
    return responseFrame(frame.id, { result: "given up" });
  });
  const proxied = await reverse(gate, () => undefined);
  await ask(proxied.port, { body: call(1) });
  await expect.poll(() => proxied.got.length).toBe(1);
  await proxied.close();
  await proxied.got[0]?.left;
});

test("a stream that can be taken up again holds no proxy that ends", async () => {
  const lost = Promise.withResolvers<string>();
  const gate = gateWho(async (frame, upstream) => {
    void sends(frame, upstream).then(({ bytes }) => lost.resolve(bytes.toString()));
    return responseFrame(frame.id, { result: "given up" });
  });
  const proxied = await reverse(gate, (_got, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.end("id: 1\nretry: 999999999\ndata: \n\n");
  });
  await ask(proxied.port, { body: call(1) });
  await expect.poll(() => proxied.got.length).toBe(1);
  await proxied.close();
  await lost.promise;
});

test("a listing that doesn't come in time is given up", async () => {
  const late = new AbortController();
  const timeout = vi.spyOn(AbortSignal, "timeout").mockReturnValue(late.signal);
  onTestFinished(() => timeout.mockRestore());
  const gate = gateWho(async (frame, upstream) => {
    const failed = await upstream.list(undefined).catch(() => "no list");
    return responseFrame(frame.id, { result: failed });
  });
  const { port, got } = await reverse(gate, () => undefined);
  const called = ask(port, { body: call(1) });
  await expect.poll(() => got.length).toBe(1);
  expect(timeout).toHaveBeenCalledExactlyOnceWith(listMs);
  late.abort();
  expect(JSON.parse((await called).body).result).toBe("no list");
  await got[0]?.left;
});
