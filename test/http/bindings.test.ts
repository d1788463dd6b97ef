import { once } from "node:events";
import { request as nodeRequest } from "node:http";
import { connect } from "node:net";
import Anthropic from "@anthropic-ai/sdk";
import express from "express";
import fastify, { type FastifyInstance } from "fastify";
import { type Context, Hono } from "hono";
import { afterEach, describe, expect, test } from "vitest";
import {
  effectOf,
  expressIdempotency,
  fastifyIdempotency,
  honoIdempotency,
  type IdempotencyOptions,
  idempotent,
  keptResponse,
  notPerformed,
  withIdempotency,
} from "../../src/http/index.ts";
import { approval, createGuard, GuardError, immediate, memoryStore } from "../../src/index.ts";
import { fetchServer, hosts, nodeServer, type Running } from "./hosts.ts";

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

function newGuard() {
  const guard = createGuard({ store: "memory:" });
  open.push(guard);
  return guard;
}

function opened(running: Running): string {
  open.push(running);
  return running.url;
}

const post = (url: string, init: RequestInit & { readonly key?: string } = {}) =>
  fetch(url, {
    method: "POST",
    body: JSON.stringify({ order: "A1" }),
    ...init,
    headers: {
      "content-type": "application/json",
      "x-user": "ana",
      "idempotency-key": init.key ?? "k1",
      ...init.headers,
    },
  });

const codeOf = async (response: Response) => ((await response.json()) as { code: string }).code;

describe.each(hosts)("$name", (host) => {
  test("a client that has gone loses nothing: the outcome is recorded", async () => {
    let runs = 0;
    const gate = Promise.withResolvers<void>();
    const entered = Promise.withResolvers<void>();
    const guard = newGuard();
    const route = async () => {
      runs += 1;
      entered.resolve();
      await gate.promise;
      return { status: 201, json: { refund: runs } };
    };
    const url = opened(await host.start(route, guard));
    const gone = new AbortController();
    const lost = post(url, { signal: gone.signal }).catch((error: unknown) => error);
    await entered.promise;
    gone.abort();
    expect(await lost).toBeInstanceOf(Error);
    gate.resolve();

    let response = await post(url);
    while (response.status === 409) response = await post(url);
    expect([response.status, response.headers.get("idempotent-replayed")]).toEqual([201, "true"]);
    expect(await response.json()).toEqual({ refund: 1 });
    expect(runs).toBe(1);
  });

  test("a key that comes twice is refused, also where it is the same", async () => {
    let runs = 0;
    const route = () => {
      runs += 1;
      return { status: 201, json: {} };
    };
    const url = opened(await host.start(route, newGuard()));
    const request = nodeRequest(url, {
      method: "POST",
      headers: { "idempotency-key": ["q1", "q1"], "x-user": "ana" },
    });
    request.end();
    const [response] = await once(request, "response");
    response.resume();
    expect(response.statusCode).toBe(400);
    expect(runs).toBe(0);
  });

  test("without a key, where none is required, it runs unguarded", async () => {
    let runs = 0;
    const route = ({ key }: { readonly key: string | undefined }) => {
      runs += 1;
      return { status: 201, json: { guarded: key !== undefined } };
    };
    const url = opened(await host.start(route, newGuard(), { required: false }));
    for (const _ of [1, 2]) {
      const response = await fetch(url, { method: "POST", headers: { "x-user": "ana" } });
      expect([response.status, await response.json()]).toEqual([201, { guarded: false }]);
    }
    const guarded = await post(url);
    expect(await guarded.json()).toEqual({ guarded: true });
    expect(runs).toBe(3);
  });

  test("what it says of its effect is for its guard alone, and leaves by no way", async () => {
    const route = () => ({ status: 409, json: { error: "sold out" }, freed: true as const });
    const url = opened(await host.start(route, newGuard(), { required: false }));
    const unguarded = await fetch(url, { method: "POST", headers: { "x-user": "ana" } });
    for (const response of [unguarded, await post(url)]) {
      expect([response.status, await response.json()]).toEqual([409, { error: "sold out" }]);
      expect(response.headers.get("x-safeagent-not-performed")).toBeNull();
    }
  });

  test.each([
    ["mounted twice", "same"],
    ["within another of the same rules", {}],
  ] as const)("%s, it runs the handler once, and keeps its answer", async (_what, within) => {
    let runs = 0;
    const guard = newGuard();
    const route = () => {
      runs += 1;
      return { status: 201, json: { refund: runs } };
    };
    const url = opened(await host.start(route, guard, { within }));
    for (const replayed of [null, "true"]) {
      const response = await post(url);
      expect([response.status, await response.json()]).toEqual([201, { refund: 1 }]);
      expect(response.headers.get("idempotent-replayed")).toBe(replayed);
    }
    expect((await guard.list({})).items.map(({ state }) => state)).toEqual(["SETTLED"]);
  });

  test("within another of other rules it runs nothing, and the key stays free", async () => {
    let runs = 0;
    const guard = newGuard();
    const route = () => {
      runs += 1;
      return { status: 201, json: {} };
    };
    const within = { policy: approval({ from: ["ana"] }) };
    const url = opened(await host.start(route, guard, { within }));
    for (const _ of [1, 2]) {
      const response = await post(url);
      expect([response.status, await codeOf(response)]).toEqual([400, "invalid_request"]);
      expect(response.headers.get("x-safeagent-not-performed")).toBeNull();
    }
    expect((await guard.list({})).items.map(({ state }) => state)).toEqual(["FINAL"]);
    expect(runs).toBe(0);
  });

  test("over its time it is in doubt, and only the handler's own answer may settle that", async () => {
    const gate = Promise.withResolvers<void>();
    let runs = 0;
    const guard = newGuard();
    const route = async () => {
      runs += 1;
      await gate.promise;
      return { status: 201, json: { refund: runs } };
    };
    const url = opened(await host.start(route, guard, { timeoutMs: 20 }));
    const first = post(url);
    let doubts = await guard.list({ states: ["IN_DOUBT"] });
    while (doubts.items.length === 0) {
      await new Promise((done) => setTimeout(done, 1));
      doubts = await guard.list({ states: ["IN_DOUBT"] });
    }
    gate.resolve();
    expect([(await first).status, await codeOf(await first)]).toEqual([423, "in_doubt"]);
    // Another request goes the whole way: by then the late answer has come.
    await (await post(url, { key: "k2" })).text();

    let response = await post(url);
    if (host.late === "recorded") {
      while (response.status === 423) response = await post(url);
      expect([response.status, await response.json()]).toEqual([201, { refund: 1 }]);
    } else {
      expect([response.status, await codeOf(response)]).toEqual([423, "in_doubt"]);
      expect(response.headers.get("idempotent-replayed")).toBeNull();
      const { caseId } = doubts.items[0]!;
      expect((await guard.case(caseId).get())?.state).toBe("IN_DOUBT");
    }
    expect(runs).toBe(2);
  });

  test("JSON that has no exact form is compared by its bytes, or refused where a parser has rounded it", async () => {
    let runs = 0;
    const route = () => {
      runs += 1;
      return { status: 201, json: {} };
    };
    const url = opened(await host.start(route, newGuard()));
    const body = '{"id":820982911946154508}';
    const [first, again] = [await post(url, { body }), await post(url, { body })];
    if (host.isParsed) {
      expect([first.status, again.status, runs]).toEqual([400, 400, 0]);
      expect(((await first.json()) as { detail: string }).detail).toContain("/body/json/id");
    } else {
      const other = await post(url, { body: body.replace("508", "509") });
      expect([first.status, again.status, other.status, runs]).toEqual([201, 201, 422, 1]);
      expect(again.headers.get("idempotent-replayed")).toBe("true");
    }
  });
});

describe("a fetch handler", () => {
  const once = (
    options: Partial<IdempotencyOptions>,
    handler: (request: Request) => Response | Promise<Response>,
    guard = newGuard(),
  ) => {
    const serve = idempotent(guard, { ...options, singleTenant: true } as IdempotencyOptions);
    const ask = (key = "k1", body = '{"order":"A1"}') =>
      serve(
        new Request("http://localhost/refunds", {
          method: "POST",
          headers: { "idempotency-key": key, "content-type": "application/json" },
          body,
        }),
        handler,
      );
    return { guard, ask };
  };

  test("gets the request itself, unread, and the key to hand down", async () => {
    const sent = new Request("http://localhost/refunds", {
      method: "POST",
      headers: { "idempotency-key": "k1" },
      body: "A1",
    });
    const serve = idempotent(newGuard(), { singleTenant: true });
    const response = await serve(sent, async (request) => {
      expect(request).toBe(sent);
      return new Response(`${await request.text()} ${effectOf(request).idempotencyKey.length}`);
    });
    expect(await response.text()).toBe("A1 64");
    expect(() => effectOf(new Request("http://localhost"))).toThrow("did not come through");
  });

  test("a policy: pending until somebody else approves, then executed by the same request", async () => {
    let runs = 0;
    const guard = newGuard();
    const serve = withIdempotency(
      guard,
      { principal: () => "agent", policy: approval({ from: ["ana", "agent"] }) },
      () => {
        runs += 1;
        return Response.json({ done: true });
      },
    );
    const ask = () =>
      serve(
        new Request("http://localhost/", { method: "POST", headers: { "idempotency-key": "k1" } }),
      );
    const held = await ask();
    expect([held.status, held.headers.get("retry-after")]).toEqual([423, null]);
    const { code, effect, caseId } = (await held.json()) as Record<string, string>;
    expect([code, effect, runs]).toEqual(["pending", "none", 0]);
    await expect(guard.approve(caseId!, { actor: "agent", note: "mine" })).rejects.toMatchObject({
      code: "forbidden",
    });
    await guard.approve(caseId!, { actor: "ana", note: "fine" });
    expect([(await ask()).status, (await ask()).status, runs]).toEqual([200, 200, 1]);
  });

  test("denied, it has ended", async () => {
    const { guard, ask } = once({ policy: approval({ from: ["ana"] }) }, () => new Response());
    const { caseId } = (await (await ask()).json()) as { caseId: string };
    await guard.deny(caseId, { actor: "ana", note: "no" });
    const response = await ask();
    expect([response.status, await codeOf(response)]).toEqual([410, "void"]);
  });

  test("keyed: a request in doubt is executed again, with the same key", async () => {
    const keys: string[] = [];
    const { ask } = once({ effect: "keyed" }, (request) => {
      keys.push(effectOf(request).idempotencyKey);
      return new Response(null, { status: keys.length === 1 ? 500 : 201 });
    });
    expect([(await ask()).status, (await ask()).status, (await ask()).status]).toEqual([
      423, 201, 201,
    ]);
    expect(keys).toEqual([keys[0], keys[0]]);
  });

  test("probeable: what the probe finds is the answer", async () => {
    let runs = 0;
    const { ask } = once(
      {
        probe: () => ({ happened: true, value: Response.json({ refund: 7 }, { status: 201 }) }),
        settlingMs: 0,
        waitMs: 5_000,
      },
      () => {
        runs += 1;
        throw new Error("lost");
      },
    );
    const response = await ask();
    expect([response.status, await response.json(), runs]).toEqual([201, { refund: 7 }, 1]);
    expect((await ask()).headers.get("idempotent-replayed")).toBe("true");
  });

  test("a person who finds out that it happened says what to answer", async () => {
    const { guard, ask } = once({}, () => new Response(null, { status: 500 }));
    const doubts = async (key: string) =>
      ((await (await ask(key)).json()) as { caseId: string }).caseId;
    const word = { by: "ana", evidence: "re_1" };
    const value = await keptResponse(Response.json({ refund: 1 }, { status: 201 }));
    await guard.resolve(await doubts("k1"), { happened: true, value }, word);
    await guard.resolve(await doubts("k2"), { happened: true }, word);
    const [told, untold] = [await ask("k1"), await ask("k2")];
    expect([told.status, await told.json()]).toEqual([201, { refund: 1 }]);
    expect([untold.status, await codeOf(untold)]).toEqual([410, "response_not_kept"]);
  });

  test("found not to have happened, it is executed by the next request", async () => {
    let runs = 0;
    const { guard, ask } = once({}, () => {
      runs += 1;
      return new Response(null, { status: runs === 1 ? 500 : 201 });
    });
    const { caseId } = (await (await ask()).json()) as { caseId: string };
    await guard.resolve(caseId, { happened: false }, { by: "ana", evidence: "none there" });
    expect([(await ask()).status, runs]).toEqual([201, 2]);
  });

  test("a twin that may wait gets the answer of the one under way", async () => {
    const gate = Promise.withResolvers<void>();
    const entered = Promise.withResolvers<void>();
    const { ask } = once({ waitMs: 30_000 }, async () => {
      entered.resolve();
      await gate.promise;
      return new Response("done");
    });
    const first = ask();
    await entered.promise;
    const twin = ask();
    gate.resolve();
    expect([await (await first).text(), await (await twin).text()]).toEqual(["done", "done"]);
    expect((await twin).headers.get("idempotent-replayed")).toBe("true");
  });

  test("over its time it is in doubt; its late answer settles that", async () => {
    const gate = Promise.withResolvers<void>();
    const { ask } = once({ timeoutMs: 20 }, async () => {
      await gate.promise;
      return new Response("late");
    });
    expect((await ask()).status).toBe(423);
    gate.resolve();
    let response = await ask();
    while (response.status === 423) response = await ask();
    expect([response.status, await response.text()]).toEqual([200, "late"]);
  });

  test("a response without an end is given up when its time is over", async () => {
    const cancelled = Promise.withResolvers<void>();
    const { ask } = once(
      { timeoutMs: 20 },
      () =>
        new Response(
          new ReadableStream({
            async pull(controller) {
              controller.enqueue(new Uint8Array(65_536));
              await new Promise((done) => setTimeout(done, 1));
            },
            cancel: () => cancelled.resolve(),
          }),
        ),
    );
    const response = await ask();
    expect([response.status, await codeOf(response)]).toEqual([423, "in_doubt"]);
    await cancelled.promise;
  });

  test("nothing happened, says a response too large to keep: the key is free, and it isn't sent", async () => {
    let runs = 0;
    const { ask } = once({}, () => {
      runs += 1;
      return notPerformed(new Response("x".repeat(300_000), { status: 409 }));
    });
    for (const _ of [1, 2]) {
      const response = await ask();
      expect([response.status, await codeOf(response)]).toEqual([503, "not_performed"]);
    }
    expect(runs).toBe(2);
  });

  test("it happened, and the store can't be told: the handler's answer, now and on a retry", async () => {
    const inner = memoryStore();
    let broken = false;
    const guard = createGuard({
      store: {
        ...inner,
        commit: (steps) =>
          broken
            ? Promise.reject(new GuardError("store_unavailable", "The disk is gone."))
            : inner.commit(steps),
      },
    });
    let runs = 0;
    const { ask } = once(
      {},
      () => {
        runs += 1;
        broken = true;
        return Response.json({ runs }, { status: 201 });
      },
      guard,
    );
    for (const replayed of [null, "true"]) {
      const response = await ask();
      expect([response.status, await response.json()]).toEqual([201, { runs: 1 }]);
      expect(response.headers.get("idempotent-replayed")).toBe(replayed);
    }
    broken = false;
    await guard.close();
  });

  test("a store of another kind that breaks after the handler ran: in doubt, not an error to retry", async () => {
    const inner = memoryStore();
    let broken = false;
    const store = {
      ...inner,
      read: (...ids: Parameters<typeof inner.read>) =>
        broken ? Promise.reject(new TypeError("no such row")) : inner.read(...ids),
    };
    const { ask } = once(
      { probe: () => "unknown", settlingMs: 0, waitMs: 5_000 },
      () => {
        broken = true;
        throw new Error("lost");
      },
      createGuard({ store }),
    );
    const response = await ask();
    expect([response.status, await codeOf(response)]).toEqual([423, "in_doubt"]);
  });

  test("where another's word has settled it meanwhile, that is the answer for all", async () => {
    const store = memoryStore();
    const gate = Promise.withResolvers<void>();
    const entered = Promise.withResolvers<string>();
    const { ask } = once(
      {},
      async (request) => {
        entered.resolve(effectOf(request).caseId);
        await gate.promise;
        return Response.json({ by: "the handler" });
      },
      createGuard({ store }),
    );
    const first = ask();
    const caseId = await entered.promise;
    // Another machine, by whose clock the lease is over.
    const ahead = createGuard({ store, clock: () => Date.now() + 60_000 });
    await ahead.reconcile();
    const value = await keptResponse(Response.json({ by: "ana" }));
    await ahead.resolve(caseId, { happened: true, value }, { by: "ana", evidence: "seen" });
    gate.resolve();
    expect(await (await first).json()).toEqual({ by: "ana" });
    expect(await (await ask()).json()).toEqual({ by: "ana" });
    await ahead.close();
  });

  test("a pruned key has ended", async () => {
    const { guard, ask } = once({}, () => new Response("done"));
    await ask();
    await guard.prune({ before: new Date(Date.now() + 60_000) });
    const response = await ask();
    expect([response.status, await codeOf(response)]).toEqual([410, "retired"]);
  });

  test("a field that is left out of the comparison may change, the others may not", async () => {
    const { ask } = once({ ignore: ["/note"] }, () => new Response("done"));
    const say = async (body: object) => (await ask("k1", JSON.stringify(body))).status;
    expect(await say({ order: "A1", note: "please" })).toBe(200);
    expect(await say({ note: "now", order: "A1" })).toBe(200);
    expect(await say({ order: "B2", note: "please" })).toBe(422);
  });

  test("headers that are asked for are kept, those of one connection never", async () => {
    const { ask } = once(
      { keepHeaders: ["X-Refund"] },
      () => new Response("done", { headers: { "x-refund": "1", "x-trace": "2", date: "now" } }),
    );
    expect((await ask()).headers.get("x-trace")).toBe("2");
    const { headers } = await ask();
    expect([headers.get("x-refund"), headers.get("x-trace"), headers.get("date")]).toEqual([
      "1",
      null,
      null,
    ]);
    expect(() => once({ keepHeaders: ["Set-Cookie"] }, () => new Response())).toThrow("set-cookie");
  });

  test("statuses mean what the options say", async () => {
    let runs = 0;
    const { ask } = once(
      { means: (status) => (status === 429 ? "not_performed" : "receipt") },
      () => {
        runs += 1;
        return new Response(null, { status: runs === 1 ? 429 : 500 });
      },
    );
    expect([(await ask()).status, (await ask()).status, (await ask()).status]).toEqual([
      429, 500, 500,
    ]);
    expect(runs).toBe(2);
  });

  test("a body that does not end is refused, and nothing is executed", async () => {
    let runs = 0;
    const serve = idempotent(newGuard(), { singleTenant: true, bodyMs: 20 });
    const endless = new ReadableStream({
      start: (controller) => controller.enqueue(new TextEncoder().encode("more to come")),
    });
    const response = await serve(
      new Request("http://localhost/", {
        method: "POST",
        headers: { "idempotency-key": "k1" },
        body: endless,
        duplex: "half",
      }),
      () => {
        runs += 1;
        return new Response();
      },
    );
    expect([response.status, await codeOf(response), runs]).toEqual([408, "body_unfinished", 0]);
  });

  test("a body that somebody has read can't be compared", async () => {
    const request = new Request("http://localhost/", {
      method: "POST",
      headers: { "idempotency-key": "k1" },
      body: "A1",
    });
    await request.text();
    const response = await idempotent(newGuard(), { singleTenant: true })(
      request,
      () => new Response(),
    );
    expect([response.status, await codeOf(response)]).toEqual([415, "body_unreadable"]);
  });

  test("another guard's refusal, handed on, is no answer to keep", async () => {
    let runs = 0;
    const guard = newGuard();
    const inner = withIdempotency(guard, { singleTenant: true }, () => {
      runs += 1;
      return new Response();
    });
    // A copy isn't known for the same request: the inner guard waits for the outer one.
    const outer = withIdempotency(guard, { singleTenant: true }, (request) =>
      inner(new Request(request)),
    );
    const ask = () =>
      outer(
        new Request("http://localhost/", { method: "POST", headers: { "idempotency-key": "k" } }),
      );
    for (const _ of [1, 2]) {
      const response = await ask();
      expect([response.status, await codeOf(response)]).toEqual([423, "in_doubt"]);
    }
    expect(runs).toBe(0);
  });

  test("the same request, handed in twice by its owner, is a repeat", async () => {
    let runs = 0;
    const gate = Promise.withResolvers<void>();
    const entered = Promise.withResolvers<void>();
    const serve = withIdempotency(newGuard(), { singleTenant: true }, async () => {
      runs += 1;
      entered.resolve();
      await gate.promise;
      return new Response();
    });
    const request = new Request("http://localhost/", {
      method: "POST",
      headers: { "idempotency-key": "k1" },
    });
    const first = serve(request);
    await entered.promise;
    expect((await serve(request)).status).toBe(409);
    gate.resolve();
    expect([(await first).status, (await serve(request)).status, runs]).toEqual([200, 200, 1]);
  });

  test.each<[string, string | undefined, number, string]>([
    ["nobody", undefined, 401, "unauthorized"],
    ["another principal", "ben", 400, "invalid_request"],
  ])(
    "within a guard that asks nobody, one that finds %s runs nothing",
    async (_what, name, ...told) => {
      let runs = 0;
      const guard = newGuard();
      const inner = withIdempotency(guard, { principal: () => name }, () => {
        runs += 1;
        return new Response();
      });
      const outer = idempotent(guard, { singleTenant: true });
      const request = new Request("http://localhost/", {
        method: "POST",
        headers: { "idempotency-key": "k1" },
      });
      const response = await outer(request, inner);
      expect([response.status, await codeOf(response), runs]).toEqual([...told, 0]);
    },
  );

  test.each([
    ["redirect()", "NEXT_REDIRECT;replace;/orders/1;a=2;303;", 303, "/orders/1;a=2"],
    ["notFound()", "NEXT_HTTP_ERROR_FALLBACK;404", 404, null],
  ])("Next's %s is an answer, though it throws", async (_what, digest, status, location) => {
    let runs = 0;
    const serve = withIdempotency(newGuard(), { singleTenant: true }, () => {
      runs += 1;
      throw Object.assign(new Error("NEXT"), { digest });
    });
    for (const replayed of [null, "true"]) {
      const { headers, ...response } = await serve(
        new Request("http://localhost/", { method: "POST", headers: { "idempotency-key": "k1" } }),
      ).then((got) => ({ status: got.status, headers: got.headers }));
      expect([response.status, headers.get("location")]).toEqual([status, location]);
      expect(headers.get("idempotent-replayed")).toBe(replayed);
    }
    expect(runs).toBe(1);
  });

  test.each(["NEXT_REDIRECT;replace;/x;200;", "NEXT_REDIRECT", "NEXT_HTTP_ERROR_FALLBACK;200", 7])(
    "an error with the digest %s is an error",
    async (digest) => {
      const serve = withIdempotency(newGuard(), { singleTenant: true }, () => {
        throw Object.assign(new Error("lost"), { digest });
      });
      const headers = { "idempotency-key": "k1" };
      const response = await serve(new Request("http://localhost/", { method: "POST", headers }));
      expect([response.status, await codeOf(response)]).toEqual([423, "in_doubt"]);
    },
  );

  test("a response whose stream holds no bytes is nothing to keep", async () => {
    const { ask } = once({}, () => {
      const stream = new ReadableStream({
        start(controller) {
          controller.enqueue("a text");
          controller.close();
        },
      });
      return new Response(stream);
    });
    const response = await ask();
    expect([response.status, await codeOf(response)]).toEqual([423, "in_doubt"]);
  });

  test.each([
    ["a rounded number", (n: number) => `{"id":82098291194615450${n}}`],
    ["an endless number", (n: number) => `{"id":1e40${n}}`],
    ["half a character", (n: number) => `{"text":"\\ud83d${n}"}`],
    ["half a character in a name", (n: number) => `{"\\ud83d":${n}}`],
    ["a forbidden name", (n: number) => `{"__proto__":${n}}`],
    ["many elements", (n: number) => `[${"1,".repeat(12_000)}${n}]`],
    ["many levels", (n: number) => `${"[".repeat(62)}${n}${"]".repeat(62)}`],
    ["many characters", (n: number) => `["${"x".repeat(250_000)}",${n}]`],
  ])("JSON with %s is compared by its bytes", async (_what, body) => {
    let runs = 0;
    const { ask } = once({}, () => {
      runs += 1;
      return new Response();
    });
    const [first, again] = [await ask("k1", body(1)), await ask("k1", body(1))];
    expect([first.status, again.headers.get("idempotent-replayed")]).toEqual([200, "true"]);
    expect([(await ask("k1", body(2))).status, runs]).toEqual([422, 1]);
  });

  test("JSON that has no exact form is refused where fields of it are left out", async () => {
    const { ask } = once({ ignore: ["/note"] }, () => new Response());
    const response = await ask("k1", '{"id":820982911946154508}');
    expect([response.status, await codeOf(response)]).toEqual([400, "invalid_request"]);
  });

  test("fields may be left out where no policy waits", async () => {
    const { ask } = once({ ignore: ["/note"], policy: immediate() }, () => new Response());
    expect((await ask()).status).toBe(200);
  });

  test.each([
    ["no word on whose a key is", {}],
    ["a header that belongs to a connection", { singleTenant: true, keepHeaders: ["Date"] }],
    ["a bound of nothing", { singleTenant: true, bodyBytes: 0 }],
    ["a path that is no pointer", { singleTenant: true, ignore: ["note"] }],
    ["a meaning that is no function", { singleTenant: true, means: 500 }],
    [
      "fields left out of what is approved",
      { singleTenant: true, ignore: ["/to"], policy: approval({ from: ["ana"] }) },
    ],
  ])("refuses %s where it is made", (_what, options) => {
    expect(() => idempotent(newGuard(), options as never)).toThrow(
      expect.objectContaining({ code: "invalid_request" }),
    );
  });
});

test("Hono: a body that a validator has read before is compared all the same", async () => {
  const app = new Hono();
  app.use(async (c, next) => {
    await c.req.json();
    await next();
  });
  app.use(honoIdempotency(newGuard(), { singleTenant: true }));
  app.post("/", async (c) => c.json(await c.req.json()));
  const url = opened(await fetchServer(app.fetch));
  expect((await post(url)).status).toBe(200);
  expect((await post(url)).headers.get("idempotent-replayed")).toBe("true");
  expect((await post(url, { body: "{}" })).status).toBe(422);
});

test("Hono: a principal that an earlier middleware has set, by its type", async () => {
  interface Env {
    Variables: { user: string };
  }
  const app = new Hono<Env>();
  app.use(async (c, next) => {
    c.set("user", c.req.header("x-user") ?? "");
    await next();
  });
  app.use(honoIdempotency(newGuard(), { principal: (c: Context<Env>) => c.get("user") }));
  app.post("/", (c) => c.json({ user: c.get("user") }));
  const url = opened(await fetchServer(app.fetch));
  const [ana, ben] = [await post(url), await post(url, { headers: { "x-user": "ben" } })];
  expect([await ana.json(), await ben.json()]).toEqual([{ user: "ana" }, { user: "ben" }]);
});

test("Hono: what others have made of the guard's answer is not the handler's late one", async () => {
  const gate = Promise.withResolvers<void>();
  const guard = newGuard();
  const app = new Hono();
  app.use(async (c, next) => {
    await next();
    c.res = new Response(null, { status: 204 });
  });
  app.use(honoIdempotency(guard, { singleTenant: true, timeoutMs: 20 }));
  app.post("/", async (c) => {
    await gate.promise;
    return c.json({ late: true }, 201);
  });
  const url = opened(await fetchServer(app.fetch));
  expect((await post(url)).status).toBe(204);
  const [doubt] = (await guard.list({ states: ["IN_DOUBT"] })).items;
  gate.resolve();
  // Another request goes the whole way: by then the late answer has come.
  await post(url, { key: "k2" });
  expect((await guard.case(doubt!.caseId).get())?.state).toBe("IN_DOUBT");
});

describe("Express", () => {
  const started = async (build: (app: express.Express) => void) => {
    const app = express();
    build(app);
    return opened(await nodeServer(app.listen(0, "127.0.0.1")));
  };

  test.each([
    ["express.raw", [express.raw({ type: () => true })]],
    ["no parser", []],
  ])("behind %s it compares bytes, and leaves them to the handler", async (_name, parsers) => {
    const url = await started((app) => {
      for (const parser of parsers) app.use(parser);
      app.use(expressIdempotency(newGuard(), { singleTenant: true }));
      app.post("/", (request, response) => {
        response.send(`${Buffer.isBuffer(request.body)} ${request.body}`);
      });
    });
    const sent = { headers: { "content-type": "text/plain" }, body: "refund A1" };
    const [first, again] = [await post(url, sent), await post(url, sent)];
    expect([await first.text(), await again.text()]).toEqual(["true refund A1", "true refund A1"]);
    expect(again.headers.get("idempotent-replayed")).toBe("true");
    expect((await post(url, { ...sent, body: "refund A2" })).status).toBe(422);
  });

  test("before express.json it reads the body itself, and the parser leaves it", async () => {
    const url = await started((app) => {
      app.use(expressIdempotency(newGuard(), { singleTenant: true }), express.json());
      app.post("/", (request, response) => {
        response.json(request.body);
      });
    });
    expect(await (await post(url)).json()).toEqual({ order: "A1" });
    const again = await post(url, { body: '{ "order" : "A1" }' });
    expect(again.headers.get("idempotent-replayed")).toBe("true");
  });

  test("a form with files can't be compared, once a parser has taken them out", async () => {
    const url = await started((app) => {
      app.use((request, _response, next) => {
        request.resume();
        request.on("end", () => {
          request.body = { field: "1" };
          next();
        });
      });
      app.use(expressIdempotency(newGuard(), { singleTenant: true }));
      app.post("/", (_request, response) => {
        response.end();
      });
    });
    const response = await post(url, {
      headers: { "content-type": "multipart/form-data; boundary=x" },
    });
    expect([response.status, await codeOf(response)]).toEqual([415, "body_unreadable"]);
  });

  test("what is written piece by piece is recorded whole, and headers of others stay", async () => {
    let runs = 0;
    const url = await started((app) => {
      app.use((_request, response, next) => {
        response.setHeader("x-outer", "1");
        next();
      });
      app.use(express.json(), expressIdempotency(newGuard(), { singleTenant: true }));
      app.post("/", (_request, response) => {
        runs += 1;
        response.writeHead(201, { "Content-Type": "text/csv", "X-Inner": "1" });
        response.write("a,b\n", () => response.end("31\n", "hex"));
      });
      app.post("/fails", (_request, response) => {
        response.setHeader("x-inner", "1");
        response.status(500).end();
      });
    });
    for (const replayed of [null, "true"]) {
      const response = await post(url);
      expect([response.status, response.headers.get("content-type")]).toEqual([201, "text/csv"]);
      expect(await response.text()).toBe("a,b\n1");
      expect(response.headers.get("idempotent-replayed")).toBe(replayed);
      expect(response.headers.get("x-outer")).toBe("1");
    }
    expect(runs).toBe(1);
    const failed = await post(`${url}/fails`);
    expect([failed.headers.get("x-outer"), failed.headers.get("x-inner")]).toEqual(["1", null]);
  });

  test("a header that a list names twice is sent twice", async () => {
    const url = await started((app) => {
      app.use(expressIdempotency(newGuard(), { singleTenant: true }));
      app.post("/", (_request, response) => {
        response.writeHead(201, ["Set-Cookie", "a=1", "set-cookie", "b=2", "Link", "</1>"]).end();
      });
      app.post("/pairs", (_request, response) => {
        const pairs = [
          ["Set-Cookie", "a=1"],
          ["Set-Cookie", "b=2"],
        ];
        response.writeHead(201, pairs as never).end();
      });
    });
    const first = await post(url);
    expect(first.headers.getSetCookie()).toEqual(["a=1", "b=2"]);
    expect((await post(`${url}/pairs`)).headers.getSetCookie()).toEqual(["a=1", "b=2"]);
    const again = await post(url);
    expect([again.headers.get("link"), again.headers.getSetCookie()]).toEqual(["</1>", []]);
  });

  test("JSON that has no exact form is compared by its bytes, where no parser stands before", async () => {
    const url = await started((app) => {
      app.use(expressIdempotency(newGuard(), { singleTenant: true }));
      app.post("/", (request, response) => {
        response.json(typeof request.body.id);
      });
    });
    const body = '{"id":820982911946154508}';
    expect(await (await post(url, { body })).json()).toBe("number");
    expect((await post(url, { body })).headers.get("idempotent-replayed")).toBe("true");
    expect((await post(url, { body: body.replace("508", "509") })).status).toBe(422);
  });

  test("over its time it is answered; what it sends later is still recorded", async () => {
    const gate = Promise.withResolvers<void>();
    const url = await started((app) => {
      const options = { singleTenant: true, timeoutMs: 20 } as const;
      app.use(express.json(), expressIdempotency(newGuard(), options));
      app.post("/", async (_request, response) => {
        await gate.promise;
        response.status(201).json({ late: true });
      });
    });
    expect((await post(url)).status).toBe(423);
    gate.resolve();
    let response = await post(url);
    while (response.status === 423) response = await post(url);
    expect([response.status, await response.json()]).toEqual([201, { late: true }]);
    expect(response.headers.get("content-type")).toContain("application/json");
  });

  test("a stream that goes on after it was refused disturbs nobody", async () => {
    const wrote = Promise.withResolvers<void>();
    const url = await started((app) => {
      app.use(express.json(), expressIdempotency(newGuard(), { singleTenant: true }));
      app.post("/", async (_request, response) => {
        response.type("text/event-stream");
        response.write("data: 1\n\n");
        await once(response, "finish");
        response.setHeader("x-late", "1");
        response.write("data: 2\n\n");
        response.end();
        wrote.resolve();
      });
    });
    const response = await post(url);
    expect([response.status, await codeOf(response)]).toEqual([423, "response_streaming"]);
    await wrote.promise;
    expect((await post(url)).status).toBe(423);
  });

  test("an upload that breaks off, or never ends, executes nothing", async () => {
    let runs = 0;
    const url = await started((app) => {
      app.use(expressIdempotency(newGuard(), { singleTenant: true, bodyMs: 200 }));
      app.post("/", (_request, response) => {
        runs += 1;
        response.end();
      });
    });
    const head =
      "POST / HTTP/1.1\r\nHost: x\r\nIdempotency-Key: k1\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nmore\r\n";
    const socket = connect(Number(new URL(url).port), "127.0.0.1");
    socket.write(head);
    const [answer] = await once(socket, "data");
    expect(String(answer)).toMatch(/^HTTP\/1.1 408 /);
    socket.destroy();
    const broken = connect(Number(new URL(url).port), "127.0.0.1");
    broken.write(head, () => broken.destroy());
    await once(broken, "close");
    expect((await post(url, { headers: { "content-type": "text/plain" }, body: "x" })).status).toBe(
      200,
    );
    expect(runs).toBe(1);
  });
});

describe("Fastify", () => {
  const started = async (build: (app: FastifyInstance) => Promise<void>) => {
    const app = fastify();
    await build(app);
    const url = await app.listen({ port: 0, host: "127.0.0.1" });
    return opened({ url, close: () => app.close() });
  };

  test("a stream without a type is replayed without one", async () => {
    const url = await started(async (app) => {
      await app.register(fastifyIdempotency(newGuard(), { singleTenant: true }));
      app.post("/", (_request, reply) => reply.send(new Response("a,b").body));
    });
    for (const replayed of [null, "true"]) {
      const response = await post(url);
      expect([response.headers.get("content-type"), await response.text()]).toEqual([null, "a,b"]);
      expect(response.headers.get("idempotent-replayed")).toBe(replayed);
    }
  });

  test("what a fetch response says of its effect leaves by no way", async () => {
    const url = await started(async (app) => {
      const options = { singleTenant: true, required: false } as const;
      await app.register(fastifyIdempotency(newGuard(), options));
      app.post("/", (_request, reply) => reply.send(notPerformed(new Response("no"))));
    });
    const response = await fetch(url, { method: "POST" });
    expect([response.headers.get("x-safeagent-not-performed"), await response.text()]).toEqual([
      null,
      "no",
    ]);
  });

  test("what authenticates in onRequest stands before it: its 401 is no key's answer", async () => {
    const url = await started(async (app) => {
      app.addHook("onRequest", async (request, reply) => {
        if (request.headers["x-user"] !== "ana") return reply.code(401).send();
      });
      await app.register(fastifyIdempotency(newGuard(), { singleTenant: true }));
      app.post("/", () => ({ refund: 1 }));
    });
    const stranger = { headers: { "x-user": "eve" } };
    expect((await post(url, stranger)).status).toBe(401);
    expect((await post(url)).status).toBe(200);
    expect((await post(url, stranger)).status).toBe(401);
  });
});

describe("a client library that retries by itself", () => {
  // Generated by Stainless, as OpenAI's and others': it retries 408, 409, 429, 5xx, and obeys x-should-retry.
  const client = (baseURL: string) => new Anthropic({ baseURL, apiKey: "none", maxRetries: 2 });
  const options = { headers: { "idempotency-key": "k1" }, body: { order: "A1" } };

  test("does not retry what is in doubt, or waits for a decision", async () => {
    let requests = 0;
    const guarded = withIdempotency(
      newGuard(),
      { singleTenant: true },
      () => new Response(null, { status: 500 }),
    );
    const url = opened(
      await fetchServer((request) => {
        requests += 1;
        return guarded(request);
      }),
    );
    await expect(client(url).post("/refunds", options)).rejects.toMatchObject({ status: 423 });
    expect(requests).toBe(1);
  });

  test("control: it does retry the plain 500, and each time it is executed", async () => {
    let runs = 0;
    const url = opened(
      await fetchServer(() => {
        runs += 1;
        return new Response(null, { status: 500, headers: { "retry-after-ms": "1" } });
      }),
    );
    await expect(client(url).post("/refunds", options)).rejects.toMatchObject({ status: 500 });
    expect(runs).toBe(3);
  });

  test("gets the answer by its own retries, where one is under way", async () => {
    let runs = 0;
    const gate = Promise.withResolvers<void>();
    const entered = Promise.withResolvers<void>();
    const guarded = withIdempotency(newGuard(), { singleTenant: true }, async () => {
      runs += 1;
      entered.resolve();
      await gate.promise;
      return Response.json({ refund: 1 });
    });
    const url = opened(
      await fetchServer(async (request) => {
        const response = await guarded(request);
        // The retry comes a second later, by the header; the first has then ended.
        if (response.status === 409) gate.resolve();
        return response;
      }),
    );
    const first = client(url).post("/refunds", options);
    await entered.promise;
    const second = client(url).post("/refunds", options);
    expect([await first, await second, runs]).toEqual([{ refund: 1 }, { refund: 1 }, 1]);
  });
});
