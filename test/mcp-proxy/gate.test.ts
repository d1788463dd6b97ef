import { describe, expect, test, vi } from "vitest";
import { type CallFrame, type Members, responseFrame } from "../../src/mcp-proxy/frame.ts";
import { NotSent, UpstreamLost } from "../../src/mcp-proxy/gate.ts";
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

const args = { orderId: "A1", cents: 500 };
const isError = (text: string) => ok(text, { isError: true });
const heldAs = (status: string) => ({ [marks.held]: { held: status } });

describe.each(["memory", "sqlite"] as const)("on %s", (store) => {
  test("the same call twice reaches the server once, and both get its result", async () => {
    // Control: without the gate the server is called twice.
    const bare = scripted();
    for (const frame of [toolCall(args), toolCall(args)]) await bare.upstream.call(frame);
    expect(bare.calls).toHaveLength(2);

    await using place = house(store);
    const result = { structuredContent: { refund: 7 }, _meta: { theirs: 1 } };
    const server = scripted(() => ok("done", result));
    const frames = [toolCall(args), toolCall({ cents: 500, orderId: "A1" })];
    const first = await through(place.gate, frames[0]!, server);
    const second = await through(place.gate, frames[1]!, server);
    expect(server.calls).toHaveLength(1);
    expect(server.calls[0]?.bytes).toBe(frames[0]?.bytes);
    expect(first.id).toBe(frames[0]?.id);
    expect(resultOf(first)).toEqual({ content: [{ type: "text", text: "done" }], ...result });

    expect(second.id).toBe(frames[1]?.id);
    const { content, structuredContent } = resultOf(second);
    expect({ content, structuredContent }).toEqual({
      content: resultOf(first).content,
      structuredContent: result.structuredContent,
    });
    const [kase] = (await place.guard.list()).items;
    if (kase?.state !== "SETTLED") throw new Error(`${kase?.state}`);
    expect(metaOf(second)).toEqual({
      theirs: 1,
      [marks.replayed]: true,
      [marks.settlement]: kase.receipt.settlementId,
    });
  });

  test("the first caller gets the server's own frame", async () => {
    await using place = house(store);
    const server = scripted();
    const frame = toolCall(args);
    const own = responseFrame(frame.id, ok("own"));
    const upstream = { ...server.upstream, call: async () => own };
    expect(await place.gate.call(frame, upstream, client())).toBe(own);
  });

  test("callers at the same time share one call, each under its own id", async () => {
    await using place = house(store);
    const gate = Promise.withResolvers<void>();
    const server = scripted(async () => {
      await gate.promise;
      return ok("once");
    });
    const other = place.again();
    const frames = Array.from({ length: 10 }, () => toolCall(args));
    const answers = frames.map((frame, nth) =>
      through(nth % 2 === 0 ? place.gate : other, frame, server),
    );
    while (server.calls.length === 0) await new Promise(setImmediate);
    gate.resolve();
    const came = await Promise.all(answers);
    expect(server.calls).toHaveLength(1);
    expect(came.map(({ id }) => id)).toEqual(frames.map(({ id }) => id));
    expect(new Set(came.map(textOf))).toEqual(new Set(["once"]));
  });

  test("a server that died after dispatch leaves it in doubt, and it is not sent again", async () => {
    await using place = house(store);
    const server = scripted(() => {
      throw new UpstreamLost("it exited with code 1", { cause: { code: "ECONNREFUSED" } });
    });
    const first = await through(place.gate, toolCall(args), server);
    expect(metaOf(first)).toMatchObject(heldAs("in_doubt"));
    expect(resultOf(first).isError).toBe(true);
    expect(textOf(first)).toContain("Do not call it again");
    for (const gate of [place.gate, place.again()]) {
      const again = await through(gate, toolCall(args), server);
      expect(metaOf(again)).toMatchObject(heldAs("in_doubt"));
    }
    expect(server.calls).toHaveLength(1);

    // A person looked, and says so.
    const { caseId } = metaOf(first)[marks.held] as { caseId: string };
    await place.guard.resolve(caseId, { happened: true }, { by: "ana", evidence: "in the ledger" });
    const after = await through(place.gate, toolCall(args), server);
    expect(textOf(after)).toContain("was done, once");
    expect(metaOf(after)).toMatchObject({ [marks.replayed]: true });
    expect(server.calls).toHaveLength(1);
  });

  test("what a person says that it returned is the result from then on", async () => {
    await using place = house(store);
    const server = scripted(() => {
      throw new UpstreamLost("gone");
    });
    const { held } = marks;
    for (const [orderId, value] of [
      ["text", "refund 7"],
      ["object", { refund: 7 }],
    ] as const) {
      const first = await through(place.gate, toolCall({ orderId }), server);
      const { caseId } = metaOf(first)[held] as { caseId: string };
      const word = { by: "ana", evidence: "in the ledger" };
      await place.guard.resolve(caseId, { happened: true, value }, word);
      const { content, structuredContent } = resultOf(
        await through(place.gate, toolCall({ orderId }), server),
      );
      const text = typeof value === "string" ? value : JSON.stringify(value);
      expect(content).toEqual([{ type: "text", text }]);
      expect(structuredContent).toEqual(typeof value === "string" ? undefined : value);
    }
    expect(server.calls).toHaveLength(2);
  });

  test("what was never sent is not performed, and may be called again", async () => {
    await using place = house(store);
    const server = scripted((_, nth) => {
      if (nth === 1) throw new NotSent("no such command");
      return ok("done");
    });
    const first = await through(place.gate, toolCall(args), server);
    expect(metaOf(first)).toMatchObject(heldAs("not_performed"));
    expect(textOf(await through(place.gate, toolCall(args), server))).toBe("done");
    await through(place.gate, toolCall(args), server);
    expect(server.calls).toHaveLength(2);
  });
});

describe("what is no receipt", () => {
  test("an error of an opaque tool is in doubt, and told with what the tool said", async () => {
    await using place = house("memory");
    const server = scripted(() => isError("card declined?"));
    const first = await through(place.gate, toolCall(args), server);
    expect(textOf(first)).toMatch(/^card declined\? Unknown whether it ran/);
    expect(metaOf(first)).toMatchObject(heldAs("in_doubt"));
    const second = await through(place.gate, toolCall(args), server);
    expect(textOf(second)).toMatch(/^Unknown whether it ran/);
    expect(server.calls).toHaveLength(1);
  });

  test("an error whose config says that nothing was done passes as it is, and it may be called again", async () => {
    await using place = house("memory", { tools: { refund: { onError: "not_performed" } } });
    const server = scripted((_, nth) => (nth < 3 ? isError(`declined ${nth}`) : ok("done")));
    const frame = toolCall(args);
    const first = await through(place.gate, frame, server);
    expect(first.message).toEqual({ jsonrpc: "2.0", id: frame.id, ...isError("declined 1") });
    expect(textOf(await through(place.gate, toolCall(args), server))).toBe("declined 2");
    expect(textOf(await through(place.gate, toolCall(args), server))).toBe("done");
    await through(place.gate, toolCall(args), server);
    expect(server.calls).toHaveLength(3);
  });

  test.each([-32700, -32020, -32022, -32042])(
    "error %i came before the tool: it passes as it is, and the call may be made again",
    async (code) => {
      await using place = house("memory");
      const error = { code, message: "no", data: { x: 1 } };
      const server = scripted((_, nth) => (nth === 1 ? { error } : ok("done")));
      const frame = toolCall(args);
      expect((await through(place.gate, frame, server)).message).toMatchObject({ error });
      expect(textOf(await through(place.gate, toolCall(args), server))).toBe("done");
    },
  );

  test.each([-32603, -32000, 7])("error %i is in doubt", async (code) => {
    await using place = house("memory");
    const server = scripted(() => ({ error: { code, message: "broke", data: 1 } }));
    const first = await through(place.gate, toolCall(args), server);
    const { error } = first.message as { error: { message: string } };
    expect(error).toMatchObject({ code, data: 1 });
    expect(error.message).toMatch(/^broke Unknown whether it ran/);
    expect(metaOf(await through(place.gate, toolCall(args), server))).toMatchObject(
      heldAs("in_doubt"),
    );
    expect(server.calls).toHaveLength(1);
  });

  test.each([[null], ["text"], [{ resultType: "novel" }], [{ isError: "yes", content: [] }]])(
    "a result that nobody can read is in doubt: %j",
    async (result) => {
      await using place = house("memory");
      const server = scripted(() => ({ result }));
      await through(place.gate, toolCall(args), server);
      const again = await through(place.gate, toolCall(args), server);
      expect(metaOf(again)).toMatchObject(heldAs("in_doubt"));
      expect(server.calls).toHaveLength(1);
    },
  );

  test("a call that takes too long is in doubt; its late result settles it", async () => {
    await using place = house("memory", { tools: { refund: { timeoutMs: 20, waitMs: 0 } } });
    const late = Promise.withResolvers<void>();
    const server = scripted(async () => {
      await late.promise;
      return ok("late");
    });
    const first = await through(place.gate, toolCall(args), server);
    expect(metaOf(first)).toMatchObject(heldAs("in_doubt"));
    late.resolve();
    let again = await through(place.gate, toolCall(args), server);
    while (metaOf(again)[marks.held] !== undefined) {
      again = await through(place.gate, toolCall(args), server);
    }
    expect(textOf(again)).toBe("late");
    expect(server.calls).toHaveLength(1);
  });

  test("a repeat whose wait is over hears that it is being done", async () => {
    await using place = house("memory", { tools: { refund: { waitMs: 0 } } });
    const held = Promise.withResolvers<void>();
    const server = scripted(async () => {
      await held.promise;
      return ok("done");
    });
    const first = through(place.gate, toolCall(args), server);
    while (server.calls.length === 0) await new Promise(setImmediate);
    const second = await through(place.gate, toolCall(args), server);
    expect(metaOf(second)).toMatchObject(heldAs("in_progress"));
    held.resolve();
    expect(textOf(await first)).toBe("done");
  });
});

describe("tools", () => {
  const hinted = (annotations: Members) => [{ name: "refund", annotations }];

  test("that only read pass untouched, each time", async () => {
    await using place = house("memory");
    const server = scripted(undefined, hinted({ readOnlyHint: true }));
    expect(await place.gate.call(toolCall(args), server.upstream, client())).toBeUndefined();
    await through(place.gate, toolCall(args), server);
    await through(place.gate, toolCall(args), server);
    expect(server.calls).toHaveLength(2);
    expect(server.lists).toBe(1);
  });

  test.each([
    ["an unannotated tool", {}, undefined, 1],
    ["a tool that only reads", {}, { readOnlyHint: true }, 3],
    ["one that the config guards all the same", { guard: true }, { readOnlyHint: true }, 1],
    ["one that the config names the effect of", { key: "r:{/orderId}" }, { readOnlyHint: true }, 1],
    ["one that the config leaves alone", { guard: false }, { destructiveHint: true }, 3],
  ])("%s", async (_, rule, annotations, calls) => {
    await using place = house("memory", { tools: { refund: rule } });
    const server = scripted(undefined, hinted(annotations ?? {}));
    for (let nth = 0; nth < 3; nth += 1) await through(place.gate, toolCall(args), server);
    expect(server.calls).toHaveLength(calls);
  });

  test("that must be approved are not run because their server says that they only read", async () => {
    const rule = { policy: { kind: "approval", need: 2 } };
    await using place = house("memory", { tools: { refund: rule } });
    const server = scripted(undefined, hinted({ readOnlyHint: true }));
    const answer = await through(place.gate, toolCall(args), server);
    expect(metaOf(answer)).toMatchObject(heldAs("pending"));
    expect(server.calls).toHaveLength(0);
  });

  test("that the config names and the server doesn't list are told of, once", async () => {
    const lines: string[] = [];
    const config = { tools: { refnd: { guard: true }, refund: {} } };
    const tell = (line: string) => void lines.push(line);
    await using place = house("memory", config, { tell });
    const server = scripted();
    for (const principal of ["ana", "ben"]) {
      await through(place.gate, toolCall(args), server, client({ principal }));
    }
    expect(lines).toEqual([
      'the config has rules for the tool "refnd", which its server does not list',
    ]);
  });

  test("of a server whose word is not trusted are all guarded", async () => {
    await using place = house("memory", { trustAnnotations: false });
    const hints = { readOnlyHint: true, idempotentHint: true };
    const server = scripted(undefined, hinted(hints));
    for (let nth = 0; nth < 3; nth += 1) await through(place.gate, toolCall(args), server);
    expect(server.calls).toHaveLength(1);
    expect(server.lists).toBe(0);
  });

  test("that can't be listed, or are not listed, are guarded", async () => {
    await using place = house("memory");
    const server = scripted(undefined, []);
    const broken = {
      ...server,
      upstream: { ...server.upstream, list: () => Promise.reject(new Error("no")) },
    };
    for (const [one, orderId] of [
      [server, "unlisted"],
      [broken, "broken"],
    ] as const) {
      const before = server.calls.length;
      await through(place.gate, toolCall({ orderId }), one, client({ principal: orderId }));
      await through(place.gate, toolCall({ orderId }), one, client({ principal: orderId }));
      expect(server.calls).toHaveLength(before + 1);
    }
  });

  test("are listed over all pages, once for each caller, and again when they have changed", async () => {
    await using place = house("memory");
    const cursors: (string | undefined)[] = [];
    const server = scripted();
    const upstream = {
      ...server.upstream,
      async list(cursor: string | undefined) {
        cursors.push(cursor);
        if (cursor === undefined) return { tools: [{ name: "other" }], nextCursor: "two" };
        return { tools: hinted({ readOnlyHint: true }) };
      },
    };
    const ask = (principal: string) =>
      place.gate.call(toolCall(args), upstream, client({ principal }));
    expect(await ask("ana")).toBeUndefined();
    expect(await ask("ana")).toBeUndefined();
    expect(cursors).toEqual([undefined, "two"]);
    await ask("ben");
    expect(cursors).toHaveLength(4);
    place.gate.toolsChanged("ana");
    await ask("ben");
    expect(cursors).toHaveLength(4);
    await ask("ana");
    expect(cursors).toHaveLength(6);
    place.gate.toolsChanged();
    await ask("ben");
    expect(cursors).toHaveLength(8);
  });

  test("of a server that never lists them are waited for once", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      await using place = house("memory");
      const server = scripted();
      let lists = 0;
      const list = () => {
        lists += 1;
        return new Promise<never>(() => undefined);
      };
      const upstream = { ...server.upstream, list };
      const ask = (orderId: string) =>
        through(place.gate, toolCall({ orderId }), { ...server, upstream });
      const first = ask("A1");
      await vi.advanceTimersByTimeAsync(10_000);
      expect(textOf(await first)).toBe("done 1");
      // No timer is moved any more.
      expect(textOf(await ask("A2"))).toBe("done 2");
      expect(lists).toBe(1);
    } finally {
      vi.useRealTimers();
    }
  });

  test("are listed again after a minute, since nobody need tell that they have changed", async () => {
    let ms = 0;
    await using place = house("memory", {}, { monotonicMs: () => ms });
    const server = scripted(undefined, hinted({ readOnlyHint: true }));
    for (ms of [0, 59_000, 61_000, 100_000]) await through(place.gate, toolCall(args), server);
    expect(server.lists).toBe(2);
  });

  test.each([[[true, undefined]], [[undefined, true]], [[true, true]]])(
    "named twice are not taken at their word: %j",
    async (hints) => {
      await using place = house("memory");
      const listed = hints.flatMap((readOnlyHint) => hinted({ readOnlyHint }));
      const server = scripted(undefined, listed);
      await through(place.gate, toolCall(args), server);
      await through(place.gate, toolCall(args), server);
      expect(server.calls).toHaveLength(1);
    },
  );

  test("that may be repeated run again once the first is over, and share it while it is not", async () => {
    await using place = house("memory");
    const server = scripted(
      ({ params }) => ok(`wrote ${params.arguments.text}`),
      hinted({ idempotentHint: true }),
    );
    for (const text of ["a", "b", "a", "a"]) {
      expect(textOf(await through(place.gate, toolCall({ text }), server))).toBe(`wrote ${text}`);
    }
    expect(server.calls).toHaveLength(4);
    const both = [toolCall({ text: "c" }), toolCall({ text: "c" })];
    await Promise.all(both.map((frame) => through(place.gate, frame, server)));
    expect(server.calls).toHaveLength(5);
  });

  test("that may be repeated are sent again after a doubt, by the next call", async () => {
    await using place = house("memory");
    const server = scripted(
      (_, nth) => {
        if (nth === 1) throw new UpstreamLost("gone");
        return ok("done");
      },
      hinted({ idempotentHint: true }),
    );
    const first = await through(place.gate, toolCall(args), server);
    expect(textOf(first)).toContain("is safe");
    expect(server.calls).toHaveLength(1);
    expect(textOf(await through(place.gate, toolCall(args), server))).toBe("done");
  });
});

describe("a server that wants more (input_required)", () => {
  const wants = { result: { resultType: "input_required", requestState: "s1", inputRequests: {} } };
  const modern = client({ protocolVersion: "2026-07-28", elicits: true });
  const more = { inputResponses: { q: { action: "accept" } }, requestState: "s1" };

  test("gets the continuation under the claim that is open, and its end is the receipt", async () => {
    await using place = house("memory");
    const server = scripted((frame) =>
      frame.params.requestState === undefined ? wants : ok("done", { resultType: "complete" }),
    );
    const first = await through(place.gate, toolCall(args), server, modern);
    expect(resultOf(first)).toEqual(wants.result);
    const open = await place.guard.list({ states: ["EXECUTING"] });
    expect(open.items).toHaveLength(1);

    // The question got lost: the same call again gets it again, and nothing is sent.
    const lost = toolCall(args);
    const repeated = await through(place.gate, lost, server, modern);
    expect(repeated).toMatchObject({ id: lost.id, answer: wants });
    expect(server.calls).toHaveLength(1);

    const continued = toolCall(args, more);
    const last = await through(place.gate, continued, server, modern);
    expect(textOf(last)).toBe("done");
    expect(last.id).toBe(continued.id);
    expect(server.calls).toHaveLength(2);
    expect(server.calls[1]?.bytes).toBe(continued.bytes);

    // The whole call again, and its continuation again: replays.
    for (const params of [{}, more]) {
      const again = await through(place.gate, toolCall(args, params), server, modern);
      expect(metaOf(again)).toMatchObject({ [marks.replayed]: true });
    }
    expect(server.calls).toHaveLength(2);
  });

  test("may want more than once, and another state is nobody's continuation", async () => {
    await using place = house("memory", { tools: { refund: { waitMs: 3_600_000 } } });
    const next = (requestState: string) => ({ result: { ...wants.result, requestState } });
    const server = scripted(({ params }) =>
      params.requestState === undefined
        ? next("s1")
        : params.requestState === "s1"
          ? next("s2")
          : ok("done"),
    );
    await through(place.gate, toolCall(args), server, modern);
    const forged = toolCall(args, { ...more, requestState: "s9" });
    // It isn't waited for: nobody will answer to it.
    expect(metaOf(await through(place.gate, forged, server, modern))).toMatchObject(
      heldAs("in_progress"),
    );
    const second = await through(place.gate, toolCall(args, more), server, modern);
    expect(resultOf(second)).toMatchObject({ requestState: "s2" });
    // Nor is another caller's.
    const other = toolCall({ ...args, cents: 1 }, { ...more, requestState: "s2" });
    await through(place.gate, other, server, modern);
    const end = toolCall(args, { ...more, requestState: "s2" });
    expect(textOf(await through(place.gate, end, server, modern))).toBe("done");
    const { items } = await place.guard.list({ states: ["SETTLED"] });
    expect(items).toHaveLength(2);
  });

  test("gets no answers for other arguments, and shows its question to no other caller", async () => {
    const rule = { key: "refund:{/orderId}", shared: true, waitMs: 0 };
    await using place = house("memory", { tools: { refund: rule } });
    const server = scripted(() => wants);
    await through(place.gate, toolCall(args), server, { ...modern, principal: "ana" });
    const dearer = toolCall({ ...args, cents: 9_999 }, more);
    const refused = await through(place.gate, dearer, server, { ...modern, principal: "ana" });
    expect(metaOf(refused)).toMatchObject(heldAs("payload_conflict"));
    for (const params of [{}, more]) {
      const frame = toolCall(args, params);
      const said = await through(place.gate, frame, server, { ...modern, principal: "ben" });
      expect(metaOf(said)).toMatchObject(heldAs("in_progress"));
    }
    expect(server.calls).toHaveLength(1);
  });

  test("and whose client has gone at the end keeps no guard open, and leaves a doubt", async () => {
    await using place = house("memory");
    const server = scripted(() => wants);
    await through(place.gate, toolCall(args), server, modern);
    place.gate[Symbol.dispose]();
    const again = await through(place.gate, toolCall(args), server, modern);
    expect(metaOf(again)).toMatchObject(heldAs("in_doubt"));
    // Nor does one that comes so late.
    const last = await through(place.gate, toolCall({ late: true }), server, modern);
    expect(resultOf(last)).toMatchObject({ resultType: "input_required" });
    await place.guard.close();
    expect(server.calls).toHaveLength(2);
  });

  test("and never gets it leaves a doubt", async () => {
    await using place = house("memory", { tools: { refund: { timeoutMs: 20 } } });
    const server = scripted(() => wants);
    await through(place.gate, toolCall(args), server, modern);
    while ((await place.guard.list({ states: ["IN_DOUBT"] })).items.length === 0) {
      await new Promise(setImmediate);
    }
    const late = await through(place.gate, toolCall(args, more), server, modern);
    expect(metaOf(late)).toMatchObject(heldAs("in_doubt"));
    expect(server.calls).toHaveLength(1);
  });
});

test.each([
  ["2026-07-28", { resultType: "task", taskId: "t1", ttlMs: 60_000 }],
  ["2025-11-25", { task: { taskId: "t1", status: "working" } }],
])("a task's handle is started once and replayed (%s)", async (protocolVersion, result) => {
  await using place = house("memory");
  const server = scripted(() => ({ result }));
  const who = client({ protocolVersion });
  expect(resultOf(await through(place.gate, toolCall(args), server, who))).toEqual(result);
  expect(resultOf(await through(place.gate, toolCall(args), server, who))).toMatchObject(result);
  expect(server.calls).toHaveLength(1);
});

test("results of our own say what kind they are where the revision asks for it", async () => {
  await using place = house("memory");
  const server = scripted(() => ok("done"));
  await through(place.gate, toolCall(args), server);
  const resultType = async (protocolVersion: string | undefined) =>
    resultOf(await through(place.gate, toolCall(args), server, client({ protocolVersion })))
      .resultType;
  expect(await resultType("2026-07-28")).toBe("complete");
  expect(await resultType("2025-11-25")).toBeUndefined();
  expect(await resultType(undefined)).toBeUndefined();
});

test("a result too large to keep is told as done, not as a failure to be tried again", async () => {
  await using place = house("memory");
  const server = scripted(() => ok("x".repeat(300_000)));
  expect(textOf(await through(place.gate, toolCall(args), server))).toHaveLength(300_000);
  const again = await through(place.gate, toolCall(args), server);
  expect(textOf(again)).toContain("was done, once");
  expect(server.calls).toHaveLength(1);
});

test("arguments too large to keep are told apart by their hash", async () => {
  await using place = house("memory");
  const server = scripted();
  const large = (sign: string) => ({ path: "f", text: sign.repeat(300_000) });
  for (const sign of ["a", "a", "b"]) await through(place.gate, toolCall(large(sign)), server);
  expect(server.calls).toHaveLength(2);
  expect(server.calls[0]?.params.arguments).toEqual(large("a"));
});

test("a store that fails lets nothing through", async () => {
  const place = house("sqlite");
  const server = scripted();
  await place.guard.close();
  const answer = await through(place.gate, toolCall(args), server);
  expect(metaOf(answer)).toMatchObject(heldAs("store_unavailable"));
  expect(server.calls).toHaveLength(0);
  await place[Symbol.asyncDispose]();
});

test("nothing that is thrown leaves the gate", async () => {
  await using place = house("memory");
  const server = scripted();
  const odd = { ...toolCall(args), params: { ...toolCall(args).params, arguments: 7n } };
  const answer = await through(place.gate, odd as unknown as CallFrame, server);
  expect(textOf(answer)).toContain("Do not call it again");
  expect(server.calls).toHaveLength(0);
});
