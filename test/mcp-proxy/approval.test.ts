import { CallToolResultSchema, ElicitRequestSchema } from "@modelcontextprotocol/sdk/types.js";
import { isInputRequiredResult, specTypeSchemas } from "@modelcontextprotocol/server";
import { describe, expect, test } from "vitest";
import type { ResponseFrame } from "../../src/mcp-proxy/frame.ts";
import type { Client, ElicitAnswer } from "../../src/mcp-proxy/gate.ts";
import { marks } from "../../src/mcp-proxy/results.ts";
import {
  client,
  house,
  metaOf,
  resultOf,
  scripted,
  textOf,
  through,
  toolCall,
} from "./scripted.ts";

const args = { orderId: "A1", cents: 500 };
const rule = { key: "refund:{/orderId}", policy: { kind: "approval" } };
const needsApproval = { tools: { refund: rule } };
const held = (status: string) => ({ [marks.held]: { held: status } });
const yes: ElicitAnswer = { action: "accept", content: { approve: true } };

/** What a client sends with the same call again, once its person has answered. */
function answerTo(question: ResponseFrame, answer: ElicitAnswer) {
  const { requestState } = resultOf(question);
  return { requestState, inputResponses: { safeagent_approval: answer } };
}

/** The command with which a person approves it, for a client or a program: a model is told to ask. */
function commandIn(answer: ResponseFrame): unknown {
  expect(textOf(answer)).toContain("do not approve it yourself");
  expect(textOf(answer)).not.toContain("safeagent approve");
  return metaOf(answer)[marks.approve];
}

test("control: without a policy the call runs at once", async () => {
  await using place = house("memory");
  const server = scripted();
  expect(textOf(await through(place.gate, toolCall(args), server))).toBe("done 1");
});

describe("a client that can't ask", () => {
  test("is told the command, and the call runs once it was approved and is made again", async () => {
    await using place = house("sqlite", needsApproval);
    const server = scripted();
    const first = await through(place.gate, toolCall(args), server);
    expect(metaOf(first)).toMatchObject(held("pending"));
    expect(commandIn(first)).toBe("safeagent approve refund:A1");
    await through(place.gate, toolCall(args), server);
    expect(server.calls).toHaveLength(0);
    await place.guard.approve("refund:A1", { actor: "ana" });
    for (const gate of [place.gate, place.again()]) {
      expect(textOf(await through(gate, toolCall(args), server))).toBe("done 1");
    }
    expect(server.calls).toHaveLength(1);
  });

  test("gets a command that a shell reads as one case", async () => {
    await using place = house("memory", needsApproval);
    const answer = await through(place.gate, toolCall({ orderId: "it's; rm" }), scripted());
    expect(commandIn(answer)).toBe("safeagent approve 'refund:it'\\''s; rm'");
  });

  test("gets the command that its host wants", async () => {
    await using place = house("memory", needsApproval, { approveCommand: (id) => `ok ${id}!` });
    expect(commandIn(await through(place.gate, toolCall(args), scripted()))).toBe("ok refund:A1!");
  });

  test("has a person who runs the proxy, and who is told once", async () => {
    const lines: string[] = [];
    const tell = (line: string) => void lines.push(line);
    await using place = house("memory", needsApproval, { tell });
    for (const _ of [1, 2]) await through(place.gate, toolCall(args), scripted());
    expect(lines).toEqual(['"refund:A1" waits for a person: safeagent approve refund:A1']);
  });
});

describe("a client of the legacy eras", () => {
  const asking = (answer: () => ElicitAnswer | Promise<ElicitAnswer>) => {
    const asked: unknown[] = [];
    const elicit = async (params: unknown) => {
      asked.push(params);
      return answer();
    };
    return { asked, who: client({ elicits: true, elicit }) };
  };

  test.each(["2025-06-18", "2025-11-25"])(
    "asks its person while the call waits (%s)",
    async (protocolVersion) => {
      await using place = house("sqlite", { ...needsApproval, approver: "ana" });
      const server = scripted();
      const { asked, who } = asking(() => yes);
      const answer = await through(place.gate, toolCall(args), server, { ...who, protocolVersion });
      expect(textOf(answer)).toBe("done 1");
      expect(asked).toHaveLength(1);
      const { message, requestedSchema } = asked[0] as { message: string; requestedSchema: object };
      expect(message).toContain('"orderId": "A1"');
      expect(requestedSchema).toMatchObject({ type: "object", required: ["approve"] });
      const kase = await place.guard.case("refund:A1").get();
      if (kase?.state !== "SETTLED") throw new Error(`${kase?.state}`);
      expect(kase.deliberation?.approvals).toMatchObject([
        { actor: "ana", approved: true, fingerprint: kase.intent.fingerprint },
      ]);
      // A repeat is answered, not asked about.
      await through(place.gate, toolCall(args), server, who);
      expect(asked).toHaveLength(1);
      expect(server.calls).toHaveLength(1);
    },
  );

  test.each<[string, ElicitAnswer]>([
    ["declines", { action: "decline" }],
    ["accepts with a no", { action: "accept", content: { approve: false } }],
  ])("denies for good where its person %s", async (_, answer) => {
    await using place = house("memory", needsApproval);
    const server = scripted();
    const { asked, who } = asking(() => answer);
    for (let nth = 0; nth < 2; nth += 1) {
      const said = await through(place.gate, toolCall(args), server, who);
      expect(metaOf(said)).toMatchObject(held("void"));
      expect(textOf(said)).toContain("an approver denied it");
    }
    expect(asked).toHaveLength(1);
    expect(server.calls).toHaveLength(0);
  });

  test.each<[string, () => ElicitAnswer]>([
    ["closes the form", () => ({ action: "cancel" })],
    ["accepts without a word", () => ({ action: "accept" })],
    ["accepts what is no answer", () => ({ action: "accept", content: { approve: "true" } })],
    [
      "can't be asked",
      () => {
        throw new Error("gone");
      },
    ],
  ])("leaves it pending where its person %s", async (_, answer) => {
    await using place = house("memory", needsApproval);
    const server = scripted();
    const { asked, who } = asking(answer);
    for (let nth = 1; nth <= 2; nth += 1) {
      const said = await through(place.gate, toolCall(args), server, who);
      expect(metaOf(said)).toMatchObject(held("pending"));
      expect(asked).toHaveLength(nth);
    }
    expect(server.calls).toHaveLength(0);
  });

  test("asks once for calls that come at the same time", async () => {
    await using place = house("memory", needsApproval);
    const server = scripted();
    const answer = Promise.withResolvers<ElicitAnswer>();
    const { asked, who } = asking(() => answer.promise);
    const calls = [1, 2, 3].map(() => through(place.gate, toolCall(args), server, who));
    while (asked.length === 0) await new Promise(setImmediate);
    answer.resolve(yes);
    expect((await Promise.all(calls)).map(textOf)).toEqual(["done 1", "done 1", "done 1"]);
    expect(asked).toHaveLength(1);
    expect(server.calls).toHaveLength(1);
  });

  test("is overtaken by who approves elsewhere", async () => {
    await using place = house("memory", needsApproval);
    const server = scripted();
    const { who } = asking(async () => {
      await place.guard.approve("refund:A1", { actor: "ben" });
      return yes;
    });
    expect(textOf(await through(place.gate, toolCall(args), server, who))).toBe("done 1");
  });

  test.each<[string, object]>([
    [
      "the policy wants others",
      { tools: { refund: { ...rule, policy: { kind: "approval", from: ["ana"] } } } },
    ],
    ["the policy wants a decision", { tools: { refund: { ...rule, policy: { kind: "manual" } } } }],
    ["the config says so", { ...needsApproval, elicit: false }],
    ["the caller would approve itself", { ...needsApproval, tenant: "bot", approver: "bot" }],
  ])("is not asked where %s", async (_, config) => {
    await using place = house("memory", config);
    const server = scripted();
    const { asked, who } = asking(() => yes);
    const said = await through(place.gate, toolCall(args), server, who);
    expect(metaOf(said)).toMatchObject(held("pending"));
    expect(asked).toHaveLength(0);
    expect(server.calls).toHaveLength(0);
  });

  test("counts once where two approvals are needed", async () => {
    const two = { tools: { refund: { ...rule, policy: { kind: "approval", need: 2 } } } };
    await using place = house("memory", two);
    const server = scripted();
    const { asked, who } = asking(() => yes);
    for (let nth = 0; nth < 2; nth += 1) {
      const said = await through(place.gate, toolCall(args), server, who);
      expect(metaOf(said)).toMatchObject(held("pending"));
    }
    expect(asked).toHaveLength(1);
    await place.guard.approve("refund:A1", { actor: "ana" });
    expect(textOf(await through(place.gate, toolCall(args), server, who))).toBe("done 1");
  });

  describe("is shown what runs:", () => {
    const shownOf = async (given: object) => {
      await using place = house("memory", needsApproval);
      const { asked, who } = asking(() => ({ action: "cancel" }));
      const said = await through(place.gate, toolCall({ ...args, ...given }), scripted(), who);
      expect(metaOf(said)).toMatchObject(held("pending"));
      return (asked as { message: string }[])[0]?.message;
    };

    test("each argument, whatever the length of another", async () => {
      const body = "Dear all, ".repeat(500);
      const message = await shownOf({ body, subject: "s", to: "everybody@example.org" });
      expect(message).toContain('"to": "everybody@example.org"');
      expect(message).toContain('"subject": "s"');
      expect(message).toContain(`"body": "${body.slice(0, 1_000)}…"`);
      expect(message).toContain('of the 5000 characters at "/body" the first 1000 are shown');
      const many = await shownOf({ parts: [body, { "a/b": body }, body, body, body], to: "ana" });
      expect(many).toContain('"to": "ana"');
      expect(many).toContain('of the 5000 characters at "/parts/1/a~1b" the first 300');
    });

    test("or it isn't asked: what doesn't fit into a form is approved elsewhere", async () => {
      const numbers = Array.from({ length: 1_000 }, (_, at) => at);
      expect(await shownOf({ numbers })).toBeUndefined();
      expect(await shownOf({ ["n".repeat(5_000)]: 1 })).toBeUndefined();
    });

    test("with escapes for what isn't seen, or turns what is", async () => {
      const message = await shownOf({
        note: "a\u202eb\u200bc\u3164d\u{e0041}e\u2028f",
        "\u2066x": 1,
      });
      expect(message).toContain('"note": "a\\u202eb\\u200bc\\u3164d\\udb40\\udc41e\\u2028f"');
      expect(message).toContain('"\\u2066x": 1');
    });
  });

  test("is never asked about what is too large to keep: nobody could see what would run", async () => {
    const ignoring = { tools: { refund: { ...rule, ignore: ["/note"] } } };
    await using place = house("memory", ignoring);
    const server = scripted();
    const { asked, who } = asking(() => yes);
    const large = toolCall({ ...args, body: "b".repeat(270_000), note: "first" });
    const said = await through(place.gate, large, server, who);
    expect(metaOf(said)).toMatchObject(held("over_limit"));
    expect([asked.length, server.calls.length]).toEqual([0, 0]);
    expect((await place.guard.list()).items).toEqual([]);
  });

  describe("that leaves its call", () => {
    /** A client whose questions stay open until the test answers them, or takes them back. */
    const patient = () => {
      const left = new AbortController();
      const asked: (PromiseWithResolvers<ElicitAnswer> & { readonly signal?: AbortSignal })[] = [];
      const elicit = (_: unknown, signal?: AbortSignal) => {
        const question = Promise.withResolvers<ElicitAnswer>();
        asked.push({ ...question, ...(signal === undefined ? {} : { signal }) });
        return question.promise;
      };
      return { left, asked, who: client({ elicits: true, elicit, left: left.signal }) };
    };
    const until = async (is: () => boolean) => {
      while (!is()) await new Promise(setImmediate);
    };

    test("has its question taken back, and an approval that comes late runs nothing by itself", async () => {
      await using place = house("sqlite", needsApproval);
      const server = scripted();
      const one = patient();
      const first = through(place.gate, toolCall(args), server, one.who);
      await until(() => one.asked.length === 1);
      one.left.abort();
      expect(metaOf(await first)).toMatchObject(held("pending"));
      expect(one.asked[0]?.signal?.aborted).toBe(true);

      // A repeat asks anew, instead of waiting for an answer that never comes.
      const two = patient();
      const second = through(place.gate, toolCall(args), server, two.who);
      await until(() => two.asked.length === 1);
      two.left.abort();
      await second;

      one.asked[0]?.resolve(yes);
      const state = async () => (await place.guard.case("refund:A1").get())?.state;
      while ((await state()) !== "FINAL") await new Promise(setImmediate);
      expect(server.calls).toHaveLength(0);
      expect(textOf(await through(place.gate, toolCall(args), server))).toBe("done 1");
      expect(server.calls).toHaveLength(1);
    });

    test("as its answer comes: it is written down, and runs for who asks again", async () => {
      await using place = house("memory", needsApproval);
      const server = scripted();
      const { left, who } = patient();
      const elicit = async () => {
        queueMicrotask(() => left.abort());
        return yes;
      };
      const said = await through(place.gate, toolCall(args), server, { ...who, elicit });
      expect(metaOf(said)).toMatchObject(held("pending"));
      const state = async () => (await place.guard.case("refund:A1").get())?.state;
      while ((await state()) !== "FINAL") await new Promise(setImmediate);
      expect(server.calls).toHaveLength(0);
      await through(place.gate, toolCall(args), server);
      expect(server.calls).toHaveLength(1);
    });

    test("leaves the others who wait for the same case: one of them is asked", async () => {
      await using place = house("memory", needsApproval);
      const server = scripted();
      const [one, two] = [patient(), patient()];
      const first = through(place.gate, toolCall(args), server, one.who);
      await until(() => one.asked.length === 1);
      const second = through(place.gate, toolCall(args), server, two.who);
      // It waits for the question that is open.
      for (let nth = 0; nth < 20; nth += 1) await new Promise(setImmediate);
      expect(two.asked).toHaveLength(0);
      one.left.abort();
      await until(() => two.asked.length === 1);
      two.asked[0]?.resolve(yes);
      expect(textOf(await second)).toBe("done 1");
      expect(metaOf(await first)).toMatchObject(held("pending"));
      expect(server.calls).toHaveLength(1);
    });

    test("while another's question is open waits no longer", async () => {
      await using place = house("memory", needsApproval);
      const [one, two] = [patient(), patient()];
      const first = through(place.gate, toolCall(args), scripted(), one.who);
      await until(() => one.asked.length === 1);
      const second = through(place.gate, toolCall(args), scripted(), two.who);
      for (let nth = 0; nth < 20; nth += 1) await new Promise(setImmediate);
      two.left.abort();
      expect(metaOf(await second)).toMatchObject(held("pending"));
      expect(one.asked[0]?.signal?.aborted).toBe(false);
      one.left.abort();
      await first;
    });
  });

  test("that never answers is not waited for: pending, and a repeat asks anew", async () => {
    await using place = house("memory", { ...needsApproval, questionMs: 5 });
    const server = scripted();
    const signals: (AbortSignal | undefined)[] = [];
    const elicit = (_: unknown, signal?: AbortSignal) => {
      signals.push(signal);
      return new Promise<never>(() => undefined);
    };
    for (let nth = 1; nth <= 2; nth += 1) {
      const who = client({ elicits: true, elicit });
      const said = await through(place.gate, toolCall(args), server, who);
      expect(metaOf(said)).toMatchObject(held("pending"));
      expect(signals.map((signal) => signal?.aborted)).toEqual(Array(nth).fill(true));
    }
    expect(server.calls).toHaveLength(0);
  });

  test("is shown what will run, not what a repeat words otherwise", async () => {
    const worded = { tools: { refund: { ...rule, ignore: ["/note"] } } };
    await using place = house("memory", worded);
    const server = scripted();
    await through(place.gate, toolCall({ ...args, note: "first" }), server);
    const { asked, who } = asking(() => yes);
    await through(place.gate, toolCall({ ...args, note: "second" }), server, who);
    expect((asked[0] as { message: string }).message).toContain('"note": "first"');
    expect(server.calls.map((call) => call.params.arguments.note)).toEqual(["first"]);
  });
});

describe("a client of 2026-07-28", () => {
  const modern: Client = client({ elicits: true, protocolVersion: "2026-07-28" });
  const stateKey = new Uint8Array(32).fill(7);

  test("gets the question as a result, and its answer comes with the same call", async () => {
    await using place = house("sqlite", needsApproval, { stateKey });
    const server = scripted();
    const first = await through(place.gate, toolCall(args), server, modern);
    expect(resultOf(first)).toMatchObject({
      resultType: "input_required",
      inputRequests: {
        safeagent_approval: { method: "elicitation/create", params: { mode: "form" } },
      },
      requestState: expect.stringMatching(/^safeagent\./),
    });
    expect(server.calls).toHaveLength(0);

    // Any process that has the key may take the answer.
    const answered = toolCall(args, answerTo(first, yes));
    const last = await through(place.again(), answered, server, modern);
    expect(textOf(last)).toBe("done 1");
    expect(last.id).toBe(answered.id);
    // Its server never asked: it gets the call as it was first made.
    const { params } = server.calls[0] ?? { params: undefined };
    expect(params).toEqual({ name: "refund", arguments: args, _meta: {} });
    expect(server.calls[0]?.message.params).toEqual({ name: "refund", arguments: args });

    // The answer again approves nothing again: a replay.
    const again = await through(place.gate, toolCall(args, answerTo(first, yes)), server, modern);
    expect(metaOf(again)).toMatchObject({ [marks.replayed]: true });
    expect(server.calls).toHaveLength(1);
  });

  test("that has left by the time its answer is read: it is written down, and nothing runs", async () => {
    await using place = house("memory", needsApproval);
    const server = scripted();
    const first = await through(place.gate, toolCall(args), server, modern);
    const gone = { ...modern, left: AbortSignal.abort() };
    await through(place.gate, toolCall(args, answerTo(first, yes)), server, gone);
    expect((await place.guard.case("refund:A1").get())?.state).toBe("FINAL");
    expect(server.calls).toHaveLength(0);
  });

  test.each<[string, ElicitAnswer, string]>([
    ["declined", { action: "decline" }, "void"],
    ["dismissed", { action: "cancel" }, "pending"],
  ])("and it is %s", async (_, answer, status) => {
    await using place = house("memory", needsApproval);
    const server = scripted();
    const first = await through(place.gate, toolCall(args), server, modern);
    const said = await through(place.gate, toolCall(args, answerTo(first, answer)), server, modern);
    expect(metaOf(said)).toMatchObject(held(status));
    expect(server.calls).toHaveLength(0);
  });

  test("an answer counts for the arguments that were shown, and for nothing else", async () => {
    await using place = house("memory", needsApproval);
    const server = scripted();
    const first = await through(place.gate, toolCall(args), server, modern);
    const answer = answerTo(first, yes);
    // Other arguments under the same key.
    const dearer = await through(
      place.gate,
      toolCall({ ...args, cents: 9_999 }, answer),
      server,
      modern,
    );
    expect(metaOf(dearer)).toMatchObject(held("payload_conflict"));
    // Another case: the person is asked about that one.
    const other = await through(
      place.gate,
      toolCall({ ...args, orderId: "B2" }, answer),
      server,
      modern,
    );
    expect(resultOf(other)).toMatchObject({ resultType: "input_required" });
    expect(server.calls).toHaveLength(0);
  });

  test("an answer to a forged question, or one of another key, is asked anew", async () => {
    await using place = house("memory", needsApproval, { stateKey });
    const server = scripted();
    const first = await through(place.gate, toolCall(args), server, modern);
    const answer = answerTo(first, yes);
    const forged = { ...answer, requestState: "safeagent.AAAA" };
    const restarted = place.again(needsApproval, { stateKey: new Uint8Array(32) });
    for (const [gate, params] of [
      [place.gate, forged],
      [restarted, answer],
      [place.gate, { requestState: answer.requestState }],
    ] as const) {
      const said = await through(gate, toolCall(args, params), server, modern);
      expect(resultOf(said)).toMatchObject({ resultType: "input_required" });
    }
    expect(server.calls).toHaveLength(0);
  });

  test("that declared no elicitation is told the command", async () => {
    await using place = house("memory", needsApproval);
    const said = await through(place.gate, toolCall(args), scripted(), {
      ...modern,
      elicits: false,
    });
    expect(resultOf(said)).toMatchObject({ resultType: "complete", isError: true });
    expect(commandIn(said)).toBe("safeagent approve refund:A1");
  });

  test("and a server that asks in its own way gets its own answers", async () => {
    await using place = house("memory", needsApproval);
    const wants = { resultType: "input_required", requestState: "theirs", inputRequests: {} };
    const server = scripted(({ params }) =>
      params.requestState === "theirs"
        ? { result: { content: [{ type: "text", text: "done" }] } }
        : { result: wants },
    );
    const first = await through(place.gate, toolCall(args), server, modern);
    const second = await through(place.gate, toolCall(args, answerTo(first, yes)), server, modern);
    expect(resultOf(second)).toEqual(wants);
    const theirs = { requestState: "theirs", inputResponses: { q: {} } };
    expect(textOf(await through(place.gate, toolCall(args, theirs), server, modern))).toBe("done");
    expect(server.calls.map(({ params }) => params.requestState)).toEqual([undefined, "theirs"]);
  });
});

describe("what clients are sent is what the protocol's own types accept", () => {
  const fits = async (schema: Schema, value: unknown) =>
    expect(await schema["~standard"].validate(value)).not.toHaveProperty("issues");

  test("the question, in a request and in a result", async () => {
    await using place = house("memory", needsApproval);
    const asked: unknown[] = [];
    const elicit = async (params: unknown): Promise<ElicitAnswer> => {
      asked.push(params);
      return { action: "cancel" };
    };
    const legacy = client({ elicits: true, elicit });
    const pending = await through(place.gate, toolCall(args), scripted(), legacy);
    const request = { method: "elicitation/create", params: asked[0] };
    expect(asked).toHaveLength(1);
    ElicitRequestSchema.parse(request);
    await fits(specTypeSchemas.ElicitRequest, request);
    CallToolResultSchema.parse(resultOf(pending));

    const modern = client({ elicits: true, protocolVersion: "2026-07-28" });
    const wanted = resultOf(await through(place.gate, toolCall(args), scripted(), modern));
    expect(isInputRequiredResult(wanted)).toBe(true);
    const { inputRequests } = wanted as { inputRequests: { safeagent_approval: unknown } };
    await fits(specTypeSchemas.ElicitRequest, inputRequests.safeagent_approval);
  });

  test("a held call and a replay", async () => {
    await using place = house("memory");
    const server = scripted((frame) =>
      frame.params.arguments.fails === true
        ? { result: { content: [{ type: "text", text: "no" }], isError: true } }
        : { result: { content: [], structuredContent: { refund: 7 } } },
    );
    for (const given of [args, args, { fails: true }, { fails: true }]) {
      const answer = resultOf(await through(place.gate, toolCall(given), server));
      CallToolResultSchema.parse(answer);
      await fits(specTypeSchemas.CallToolResult, answer);
    }
    expect(server.calls).toHaveLength(2);
  });
});

interface Schema {
  readonly "~standard": { readonly validate: (value: unknown) => unknown };
}
