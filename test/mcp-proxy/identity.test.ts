import canonicalize from "canonicalize";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isGuardError } from "../../src/index.ts";
import { readConfig } from "../../src/mcp-proxy/config.ts";
import { type Members, readFrame } from "../../src/mcp-proxy/frame.ts";
import { UpstreamLost } from "../../src/mcp-proxy/gate.ts";
import { type Identity, identityOf } from "../../src/mcp-proxy/identity.ts";
import { canonical } from "../../src/mcp-proxy/plain-json.ts";
import { marks } from "../../src/mcp-proxy/results.ts";
import { treatmentOf } from "../../src/mcp-proxy/treatment.ts";
import { client, house, metaOf, scripted, textOf, through, toolCall } from "./scripted.ts";

const identify = (
  rule: Members,
  args: unknown,
  params: Members = {},
  principal?: string,
  config: Members = {},
): Identity => {
  const read = readConfig({ ...config, tools: { refund: rule } }, { server: "shop" });
  const treatment = treatmentOf(read, "refund", "not asked");
  if (!treatment.guarded) throw new Error("not guarded");
  return identityOf(toolCall(args, params).params, treatment, read, principal);
};

const refused = (make: () => unknown): boolean => {
  try {
    make();
    return false;
  } catch (error) {
    return isGuardError(error, "invalid_request");
  }
};

const args = { orderId: "A1", cents: 500 };
const key = "refund:{/orderId}";
const claude = (id: string) => ({ _meta: { "claudecode/toolUseId": id } });
const codex = (threadId: string, callId: string) => ({ _meta: { threadId, callId } });

describe("the case", () => {
  test("is the key that the config makes of the arguments, before all else", () => {
    const { caseId, from } = identify({ key }, args, { idempotencyKey: "k1", ...claude("t1") });
    expect({ caseId, from }).toEqual({ caseId: "refund:A1", from: "template" });
  });

  test("is the explicit key, for this server, tool and caller", () => {
    const one = identify({}, args, { idempotencyKey: "k/1" });
    expect(one).toMatchObject({ caseId: "mcp:key/shop/refund/k%2F1", from: "key" });
    expect(identify({}, args, { idempotencyKey: "k/1" }, "ana").caseId).toBe(
      "mcp:key/@ana/shop/refund/k%2F1",
    );
  });

  test("is else the arguments, whatever the order of their members", () => {
    const one = identify({}, args);
    expect(one.caseId).toMatch(/^mcp:args\/shop\/refund\/[0-9a-f]{64}$/);
    expect(one.from).toBe("arguments");
    expect(identify({}, { cents: 500.0, orderId: "A1" }).caseId).toBe(one.caseId);
    const others = [
      identify({}, { ...args, cents: "500" }),
      identify({}, { ...args, note: null }),
      identify({}, args, { name: "other" }),
      identify({}, args, {}, "ana"),
      identify({}, args, {}, undefined, { server: "other" }),
    ].map(({ caseId }) => caseId);
    expect(new Set([one.caseId, ...others]).size).toBe(6);
  });

  test("leaves out what doesn't count", () => {
    const rule = { ignore: ["/note", "/lines/1"], keyArgument: "/key" };
    const lines = [{ sku: 1 }, { sku: 2 }];
    const one = identify(rule, { ...args, note: "a", lines });
    expect(identify(rule, { ...args, note: "b", lines: [{ sku: 1 }, { sku: 9 }] }).caseId).toBe(
      one.caseId,
    );
    expect(identify(rule, { ...args, note: "b", lines: [{ sku: 9 }] }).caseId).not.toBe(one.caseId);
    expect(one.ignore).toEqual(["/note", "/lines/1", "/key"]);
  });

  test("never depends on what is new in each try", () => {
    const meta = { progressToken: 1, "io.modelcontextprotocol/clientInfo": { name: "x" } };
    const one = identify({}, args, { _meta: meta });
    const two = identify({}, args, {
      _meta: { ...meta, progressToken: 2 },
      requestState: "s",
      inputResponses: {},
    });
    expect(two).toEqual(one);
  });
});

describe("a key template", () => {
  test.each([
    ["pay:{/to}:{/for}", { to: "a:b", for: "c" }, "pay:a%3Ab:c"],
    ["pay:{/to}:{/for}", { to: "a", for: "b:c" }, "pay:a:b%3Ac"],
    ["{/lines/0/a~1b}", { lines: [{ "a/b": 7 }] }, "7"],
    ["ok:{/flag}", { flag: false }, "ok:false"],
    ["n:{/name}", { name: "Ана\n%" }, "n:Ана%0A%25"],
    ["n:{/name}", { name: "a\u200bb" }, "n:a%E2%80%8Bb"],
  ])("%s of %j", (template, given, caseId) => {
    expect(identify({ key: template }, given).caseId).toBe(caseId);
  });

  test.each([{}, { orderId: null }, { orderId: "" }, { orderId: ["A1"] }, { orderId: { a: 1 } }])(
    "needs the argument that names the effect: %j",
    (given) => {
      expect(refused(() => identify({ key }, given))).toBe(true);
    },
  );

  test("is each caller's own, unless the config shares it", () => {
    expect(identify({ key }, args, {}, "ana").caseId).toBe("@ana/refund:A1");
    expect(identify({ key }, args, {}, "a/b").caseId).toBe("@a%2Fb/refund:A1");
    expect(identify({ key, shared: true }, args, {}, "ana").caseId).toBe("refund:A1");
  });

  test("can't be filled so as to be another's", () => {
    const open = { key: "{/orderId}" };
    expect(identify(open, { orderId: "@ana/refund:A1" }).caseId).toBe("@/@ana/refund:A1");
    expect(identify(open, { orderId: "mcp:key/shop/refund/k1" }).caseId).toMatch(/^@\/mcp:/);
    expect(identify({ ...open, shared: true }, { orderId: "@ben/x" }, {}, "ana").caseId).toBe(
      "@/@ben/x",
    );
  });

  test("that grows too long is told by its beginning and its hash", () => {
    const long = identify({ key }, { orderId: "x".repeat(1_000) }).caseId;
    expect(long).toMatch(/^refund:x{113}#[0-9a-f]{64}$/);
    expect(identify({ key }, { orderId: `${"x".repeat(999)}y` }).caseId).not.toBe(long);
  });
});

describe("the request", () => {
  test("is the client's id of the model's call", () => {
    expect(identify({}, args, claude("toolu_1")).requestId).toBe(
      "mcp:call/shop/claudecode/toolu_1",
    );
    expect(identify({}, args, codex("t/1", "c1"), "ana").requestId).toBe(
      "mcp:call/@ana/shop/codex/t%2F1/c1",
    );
    expect(identify({}, args, { _meta: { callId: "c1" } }).requestId).toBeUndefined();
    expect(
      identify({}, args, claude("t"), undefined, { callIds: false }).requestId,
    ).toBeUndefined();
  });

  test("is the explicit key beside a template", () => {
    const params = { idempotencyKey: "k1", ...claude("t1") };
    expect(identify({ key }, args, params).requestId).toBe("mcp:key/shop/refund/k1");
    expect(identify({}, args, params).requestId).toBe("mcp:call/shop/claudecode/t1");
  });
});

describe("an explicit key", () => {
  test.each<[string, Members, Members]>([
    ["_meta, as UCP has it", { _meta: { "idempotency-key": "k1" } }, {}],
    ["_meta, as ACP has it", { _meta: { idempotency_key: "k1" } }, {}],
    ["the parameters", { idempotencyKey: "k1" }, {}],
    ["the configured argument", {}, { key: "k1" }],
    ["all of them, the same", { idempotencyKey: "k1", _meta: { idempotency_key: "k1" } }, {}],
  ])("may be in %s", (_, params, more) => {
    const { caseId } = identify({ keyArgument: "/key" }, { ...args, ...more }, params);
    expect(caseId).toBe("mcp:key/shop/refund/k1");
  });

  test.each<Members>([
    { idempotencyKey: 7 },
    { idempotencyKey: "" },
    { idempotencyKey: "x".repeat(256) },
    { idempotencyKey: "a", _meta: { idempotency_key: "b" } },
  ])("that can't be used refuses the call: %j", (params) => {
    expect(refused(() => identify({}, args, params))).toBe(true);
  });
});

test.each([
  ['{"n":1152921504606846977}', 'the argument at "/n" is a number beyond 2^53 - 1'],
  ['{"a/b":[{"n":1e999}]}', 'the argument at "/a~1b/0/n" is a number beyond'],
  ['{"text":"\\ud800"}', 'the argument at "/text" is or holds half a character'],
  [`{"deep":${"[".repeat(100)}${"]".repeat(100)}}`, "nested deeper than 64 levels"],
])("arguments that the guard could not tell from others are refused: %s", async (text, says) => {
  const params = `{"name":"refund","arguments":${text}}`;
  const frame = readFrame(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":${params}}`);
  if (frame.kind !== "call") throw new Error(frame.kind);
  await using place = house("memory");
  const server = scripted();
  const answer = await through(place.gate, frame, server);
  expect(textOf(answer)).toContain(says);
  expect(["invalid_request", "over_limit"]).toContain(
    (metaOf(answer)[marks.held] as { held: string }).held,
  );
  expect(server.calls).toHaveLength(0);
});

test("canonical arguments are those of RFC 8785", () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      const value: unknown = JSON.parse(text);
      try {
        expect(canonical(value).text).toBe(canonicalize(value));
      } catch (error) {
        if (!isGuardError(error)) throw error;
      }
    }),
  );
});

test("two calls that differ in an argument of the key have different keys", () => {
  const sign = fc.constantFrom("a", ":", "%", "3", "A", "/", "\n");
  const text = fc.array(sign, { minLength: 1, maxLength: 6 }).map((signs) => signs.join(""));
  const keyOf = (a: string, b: string) => identify({ key: "{/a}:{/b}" }, { a, b }).caseId;
  fc.assert(
    fc.property(text, text, text, text, (a, b, c, d) => {
      expect(keyOf(a, b) === keyOf(c, d)).toBe(a === c && b === d);
    }),
    { examples: [["a:", "a", "a", ":a"]], numRuns: 500 },
  );
});

describe("through the gate", () => {
  const held = (code: string) => ({ [marks.held]: { held: code } });

  test("the same explicit key with other arguments is a conflict, not a replay", async () => {
    await using place = house("memory");
    const server = scripted();
    await through(place.gate, toolCall(args, { idempotencyKey: "k1" }), server);
    const other = toolCall({ ...args, cents: 1 }, { idempotencyKey: "k1" });
    const answer = await through(place.gate, other, server);
    expect(metaOf(answer)).toMatchObject(held("payload_conflict"));
    expect(server.calls).toHaveLength(1);
  });

  test("a new explicit key is a new effect", async () => {
    await using place = house("memory");
    const server = scripted();
    for (const idempotencyKey of ["k1", "k2", "k1"]) {
      await through(place.gate, toolCall(args, { idempotencyKey }), server);
    }
    expect(server.calls).toHaveLength(2);
  });

  test("a model that makes up a new key for each try hits the same case by its template", async () => {
    const keyed = (nth: number) => toolCall({ ...args, idempotency_key: `made-up-${nth}` });
    // Control: without the template each key is a new effect.
    await using bare = house("memory", { tools: { refund: { keyArgument: "/idempotency_key" } } });
    const open = scripted();
    for (const nth of [1, 2, 3]) await through(bare.gate, keyed(nth), open);
    expect(open.calls).toHaveLength(3);

    const rule = { key, keyArgument: "/idempotency_key" };
    await using place = house("memory", { tools: { refund: rule } });
    const server = scripted();
    for (const nth of [1, 2, 3]) {
      expect(textOf(await through(place.gate, keyed(nth), server))).toBe("done 1");
    }
    expect(server.calls).toHaveLength(1);
    // Other arguments under the same key are a conflict.
    const other = await through(place.gate, toolCall({ ...args, cents: 1 }), server);
    expect(metaOf(other)).toMatchObject(held("payload_conflict"));
    // And so is a key that was used for another effect.
    const stolen = toolCall({ orderId: "A2", cents: 5, idempotency_key: "made-up-2" });
    expect(metaOf(await through(place.gate, stolen, server))).toMatchObject(
      held("payload_conflict"),
    );
    expect(server.calls).toHaveLength(1);
  });

  test("a second try of what is not performed sends on what is held, with its first key", async () => {
    const rule = { key, keyArgument: "/idempotency_key", effect: "idempotent" };
    await using place = house("memory", { tools: { refund: rule } });
    const server = scripted((_, nth) => {
      if (nth === 1) throw new UpstreamLost("gone");
      return { result: { content: [] } };
    });
    const frames = ["k1", "k2"].map((one) => toolCall({ ...args, idempotency_key: one }));
    for (const frame of frames) await through(place.gate, frame, server);
    expect(server.calls.map((call) => call.params.arguments.idempotency_key)).toEqual(["k1", "k1"]);
    expect(server.calls[0]?.bytes).toBe(frames[0]?.bytes);
    expect(server.calls[1]?.id).toBe(frames[1]?.id);
  });

  test("a client's call id that comes again with other arguments is a conflict", async () => {
    await using place = house("memory");
    const server = scripted();
    await through(place.gate, toolCall(args, claude("t1")), server);
    const answer = await through(place.gate, toolCall({ cents: 1 }, claude("t1")), server);
    expect(metaOf(answer)).toMatchObject(held("payload_conflict"));
    // A model that asks again under a new id gets the first result.
    expect(textOf(await through(place.gate, toolCall(args, claude("t2")), server))).toBe("done 1");
    expect(server.calls).toHaveLength(1);
  });

  test("one caller's effect and its result are not another's", async () => {
    await using place = house("memory", { tenant: "acme", tools: { refund: { key } } });
    const server = scripted();
    const texts: string[] = [];
    for (const principal of ["ana", "ben", undefined, "ana"]) {
      const answer = await through(place.gate, toolCall(args), server, client({ principal }));
      texts.push(textOf(answer));
    }
    expect(texts).toEqual(["done 1", "done 2", "done 3", "done 1"]);
    const { items } = await place.guard.list({});
    expect(items.map(({ caseId }) => caseId)).toEqual([
      "@ana/refund:A1",
      "@ben/refund:A1",
      "@acme/refund:A1",
    ]);
  });

  test("two frameworks on one store share a case", async () => {
    const rule = { key, action: "stripe.refund" };
    await using place = house("memory", { tools: { refund: rule } });
    const refund = place.guard.wrap("stripe.refund", {
      key: (p: typeof args) => `refund:${p.orderId}`,
      run: () => ({ content: [{ type: "text", text: "by the wrapped function" }] }),
    });
    await refund(args);
    const server = scripted();
    const answer = await through(place.gate, toolCall(args), server);
    expect(textOf(answer)).toBe("by the wrapped function");
    expect(server.calls).toHaveLength(0);
  });
});

describe.each(["memory", "sqlite"] as const)("a window, on %s", (store) => {
  const minute = 60_000;
  const windowed = { tools: { refund: { windowMs: minute, waitMs: 0 } } };

  test("without one, equal arguments are one effect for good", async () => {
    let now = 0;
    await using place = house(store, {}, { now: () => now });
    const server = scripted();
    for (now of [Date.now(), Date.now() + 1e12]) await through(place.gate, toolCall(args), server);
    expect(server.calls).toHaveLength(1);
  });

  test("opens a new case once the former was settled that long ago, in every process", async () => {
    let now = Date.now();
    await using place = house(store, windowed, { now: () => now });
    const server = scripted();
    const other = place.again();
    const texts: string[] = [];
    const ask = async (params: Members = {}) => {
      for (const gate of [place.gate, other]) {
        texts.push(textOf(await through(gate, toolCall(args, params), server)));
      }
    };
    await ask(claude("t1"));
    now += minute / 2;
    await ask();
    now += 2 * minute;
    await ask(claude("t2"));
    // A request of a resumed session keeps its receipt, however late it comes.
    await ask(claude("t1"));
    now += 1e9;
    await ask(claude("t1"));
    await ask(claude("t2"));
    expect(texts.map((text) => text.at(-1)).join("")).toBe("111122111122");
    expect(server.calls).toHaveLength(2);
  });

  test("never opens one beside a case in doubt, that runs, or that waits, whatever the clock says", async () => {
    let now = Date.now();
    await using place = house(store, windowed, { now: () => now });
    const end = Promise.withResolvers<void>();
    const server = scripted(async (frame) => {
      if (frame.params.arguments.lost === true) throw new UpstreamLost("gone");
      await end.promise;
      return { result: { content: [{ type: "text", text: "done" }] } };
    });
    await through(place.gate, toolCall({ lost: true }), server);
    const runs = through(place.gate, toolCall(args), server);
    while (server.calls.length < 2) await new Promise(setImmediate);
    now += 1e12;
    const states = await Promise.all(
      [{ lost: true }, args].map(async (given) =>
        metaOf(await through(place.gate, toolCall(given), server)),
      ),
    );
    expect(states).toMatchObject([held("in_doubt"), held("in_progress")]);
    expect(server.calls).toHaveLength(2);
    end.resolve();
    await runs;
  });

  test("that a clock set back can't open early", async () => {
    let now = Date.now();
    await using place = house(store, windowed, { now: () => now });
    const server = scripted();
    await through(place.gate, toolCall(args), server);
    now -= 1e12;
    await through(place.gate, toolCall(args), server);
    expect(server.calls).toHaveLength(1);
  });

  test("finds the last of many cases from any process", async () => {
    let now = Date.now();
    await using place = house(store, windowed, { now: () => now });
    const server = scripted();
    for (let nth = 0; nth < 21; nth += 1) {
      now += 2 * minute + nth;
      await through(place.gate, toolCall(args), server);
    }
    expect(server.calls).toHaveLength(21);
    // It remembers nothing, and by its clock the last one was settled just now.
    const fresh = place.again(windowed, { now: () => Date.now() });
    expect(textOf(await through(fresh, toolCall(args), server))).toBe("done 21");
    expect(server.calls).toHaveLength(21);
  });

  const held = (code: string) => ({ [marks.held]: { held: code } });
});
