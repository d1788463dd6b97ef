import { afterEach, describe, expect, test, vi } from "vitest";
import { responseFrame } from "../../src/mcp-proxy/frame.ts";
import { listMs } from "../../src/mcp-proxy/own-request.ts";
import { openBytes, openCalls } from "../../src/mcp-proxy/room.ts";
import { type Client, Withdrawn } from "../../src/mcp-proxy/upstream.ts";
import { gateWho, passes, sends } from "./gates.ts";
import { answerTo, call } from "./messages.ts";
import { cancelled, heldAnswerTo, pipeThrough } from "./pipe.ts";

afterEach(() => void vi.useRealTimers());

const ping = (id: unknown) => `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"method":"ping"}`;
const release = '{"jsonrpc":"2.0","id":"all","method":"release"}';
const refusal = (id: unknown) => expect.objectContaining({ id, error: expect.anything() });

/** A gate that gives each call up as soon as it was sent; what came of them later is kept. */
function impatient() {
  const late: string[] = [];
  const gate = gateWho(async (frame, upstream) => {
    const answer = sends(frame, upstream);
    void answer.then(({ id, bytes }) => void late.push(`${id} ${new TextDecoder().decode(bytes)}`));
    return responseFrame(frame.id, { result: "given up" });
  });
  return { gate, late };
}

test.each([
  ["passed", passes],
  ["guarded", sends],
] as const)(
  "texts of megabytes go on in a call that is %s, and in its answer",
  async (_, answers) => {
    const pipe = await pipeThrough(gateWho(answers));
    const size = 9_000_000;
    const asked = call(1, "large", `,"size":${size},"text":"${"x".repeat(size)}"`);
    pipe.send(asked, ping(2));
    expect((await pipe.next()).length).toBeGreaterThan(size);
    expect(await pipe.next()).toBe(answerTo(2));
    expect(pipe.got()[0]).toBe(asked);
  },
);

test("a defect in what reads the server is told, and leaves no call waiting", async () => {
  const gate = gateWho(sends);
  const pipe = await pipeThrough({
    ...gate,
    toolsChanged() {
      throw new RangeError("too much of it");
    },
  });
  const ended = expect(pipe.proxy.ended).rejects.toThrow(
    "safeagent mcp has failed: too much of it",
  );
  pipe.send(call(1, "hold"), call(2, "change"));
  const said = [await pipe.next(), await pipe.next()].map((line) => JSON.parse(line));
  expect(said.map(({ id }) => id).sort()).toEqual([1, 2]);
  for (const { error } of said) expect(error.message).toBe("UpstreamLost: the proxy has failed");
  await ended;
});

test("a defect in what reads the client is told, and ends the proxy", async () => {
  const gate = gateWho(() => Promise.reject(new RangeError("too much of it")));
  const pipe = await pipeThrough(gate);
  const ended = expect(pipe.proxy.ended).rejects.toThrow(
    "safeagent mcp has failed: too much of it",
  );
  pipe.send(call(1, "any"));
  await ended;
});

describe("an id that is in use", () => {
  test("is refused to a second request while the server owes an answer that the guard gave up", async () => {
    const { gate, late } = impatient();
    const pipe = await pipeThrough(gate);
    pipe.send(call(20, "hold"));
    expect(JSON.parse(await pipe.next())).toMatchObject({ id: 20, result: "given up" });
    pipe.send(call(20, "other"), ping(20), release);
    expect(JSON.parse(await pipe.next())).toEqual(refusal(20));
    expect(JSON.parse(await pipe.next())).toEqual(refusal(20));
    expect(await pipe.next()).toBe(answerTo("all"));
    expect(late).toEqual([`20 ${heldAnswerTo(20)}`]);
    expect(pipe.got()).toEqual([call(20, "hold"), release]);
    // Answered, it may be used again.
    pipe.send(ping(20));
    expect(await pipe.next()).toBe(answerTo(20));
  });

  test("is refused to a call while a request has it that nobody guards", async () => {
    const gate = gateWho((frame, upstream) =>
      frame.params.name === "hold" ? passes(frame, upstream, {} as Client) : sends(frame, upstream),
    );
    const pipe = await pipeThrough(gate);
    pipe.send(call(1, "hold"));
    await expect.poll(() => pipe.got()).toHaveLength(1);
    pipe.send(call(1, "pay"), release, call(2, "pay"));
    expect(JSON.parse(await pipe.next())).toEqual(refusal(1));
    expect([await pipe.next(), await pipe.next(), await pipe.next()]).toEqual([
      heldAnswerTo(1),
      answerTo("all"),
      answerTo(2),
    ]);
    expect(gate.recorded).toEqual(["passed", "result"]);
  });
});

describe("a question that nobody waits for", () => {
  const asks = (signal?: AbortSignal) => {
    const failures: unknown[] = [];
    const gate = gateWho(async (frame, _upstream, client) => {
      const answer = await client.elicit?.({ message: "Pay it?" }, signal).catch((error) => {
        failures.push(error);
      });
      return responseFrame(frame.id, { result: { answer, left: client.left?.aborted } });
    });
    return { gate, failures };
  };
  const accepted = (id: unknown) =>
    JSON.stringify({ jsonrpc: "2.0", id, result: { action: "accept" } });

  test("is taken back when its call is cancelled, and a late answer goes nowhere", async () => {
    const { gate, failures } = asks();
    const pipe = await pipeThrough(gate);
    pipe.send(call(1, "pay"));
    const { id } = JSON.parse(await pipe.next());
    pipe.send(cancelled(1));
    expect(JSON.parse(await pipe.next())).toMatchObject({
      method: "notifications/cancelled",
      params: { requestId: id },
    });
    expect(failures).toEqual([expect.any(Withdrawn)]);
    pipe.send(accepted(id), ping(2));
    // Nothing for the cancelled call, nor for the late answer.
    expect(await pipe.next()).toBe(answerTo(2));
    expect(pipe.got()).toEqual([ping(2)]);
    expect(gate.clients[0]?.left?.aborted).toBe(true);
    // Made again, it is asked anew.
    pipe.send(call(3, "pay"));
    const again = JSON.parse(await pipe.next());
    expect(again).toMatchObject({ method: "elicitation/create" });
    expect(again.id).not.toBe(id);
    pipe.send(accepted(again.id));
    expect(JSON.parse(await pipe.next()).result).toEqual({
      answer: { action: "accept" },
      left: false,
    });
  });

  test("is taken back when the gate says so", async () => {
    const late = new AbortController();
    const { gate, failures } = asks(late.signal);
    const pipe = await pipeThrough(gate);
    pipe.send(call(1, "pay"));
    const { id } = JSON.parse(await pipe.next());
    late.abort();
    expect(JSON.parse(await pipe.next()).params.requestId).toBe(id);
    expect(JSON.parse(await pipe.next())).toMatchObject({ id: 1, result: { left: false } });
    expect(failures).toEqual([expect.any(Withdrawn)]);
  });

  test("is not asked at all", async () => {
    const { gate, failures } = asks(AbortSignal.abort());
    const pipe = await pipeThrough(gate);
    pipe.send(call(1, "pay"));
    expect(JSON.parse(await pipe.next())).toMatchObject({ id: 1 });
    expect(failures).toEqual([expect.any(Withdrawn)]);
  });
});

test("a line end within a frame is refused: some would read two frames", async () => {
  const gate = gateWho(passes);
  const pipe = await pipeThrough(gate);
  const two = `{"jsonrpc":"2.0","id":1,"method":"ping","params":\r${call(2)}\r}`;
  pipe.send(two, `${ping(3)}\r`);
  expect(JSON.parse(await pipe.next())).toEqual(refusal(null));
  expect(await pipe.next()).toBe(answerTo(3));
  expect(pipe.got()).toEqual([ping(3)]);
  expect(gate.clients).toEqual([]);
});

describe("calls that the guard gave up, and the server did not", () => {
  test("count as open until they are answered", async () => {
    const { gate, late } = impatient();
    const pipe = await pipeThrough(gate);
    const held = Array.from({ length: openCalls }, (_, id) => call(id, "hold"));
    pipe.send(...held);
    for (const id of held.keys()) expect(JSON.parse(await pipe.next()).id).toBe(id);
    pipe.send(call("over", "hold"), release);
    expect(JSON.parse(await pipe.next())).toEqual(refusal("over"));
    expect(await pipe.next()).toBe(answerTo("all"));
    expect(late).toHaveLength(openCalls);
    pipe.send(call("after", "any"));
    expect(JSON.parse(await pipe.next())).toMatchObject({ id: "after", result: "given up" });
  });

  test("count with their bytes", async () => {
    const { gate } = impatient();
    const pipe = await pipeThrough(gate);
    const text = "x".repeat(openBytes / 3);
    pipe.send(...[1, 2, 3].map((id) => call(id, "hold", `,"text":"${text}"`)));
    expect(JSON.parse(await pipe.next())).toMatchObject({ id: 1, result: "given up" });
    expect(JSON.parse(await pipe.next())).toMatchObject({ id: 2, result: "given up" });
    expect(JSON.parse(await pipe.next())).toEqual(refusal(3));
  });
});

test("a listing that doesn't come in time is given up, and its late answer is nobody's", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const gate = gateWho(async (frame, upstream) => {
    const failed = await upstream.list("held").catch((error: Error) => error.message);
    return responseFrame(frame.id, { result: failed });
  });
  const pipe = await pipeThrough(gate);
  pipe.send(call(1));
  await vi.waitFor(() => expect(pipe.got()).toHaveLength(1));
  vi.advanceTimersByTime(listMs);
  expect(JSON.parse(await pipe.next())).toMatchObject({ id: 1, result: "the list is late" });
  pipe.send(release);
  expect(await pipe.next()).toBe(answerTo("all"));
});
