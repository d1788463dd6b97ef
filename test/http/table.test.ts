import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  createGuard,
  type Guard,
  GuardError,
  memoryStore,
  NotPerformed,
  type Store,
} from "../../src/index.ts";
import { type Call, hosts, type Route, type Running, type Said } from "./hosts.ts";

/** What happened, outside of the guard. */
let ledger: Call[] = [];
let gate = Promise.withResolvers<void>();
let entered = Promise.withResolvers<void>();
let inStock = false;

const refunded: Said = {
  status: 201,
  headers: { location: "/refunds/1", "set-cookie": "session=1", "x-once": "kept" },
  json: { refund: 1 },
};

const route: Route = async (call) => {
  ledger.push(call);
  switch (call.path) {
    case "/refunds":
      return { ...refunded, json: { refund: ledger.length } };
    case "/moved":
      return { status: 303, headers: { location: "/refunds/1" } };
    case "/empty":
      return { status: 204 };
    case "/binary":
      return {
        status: 200,
        headers: { "content-type": "application/octet-stream" },
        bytes: Uint8Array.of(0, 255, 254, 10),
      };
    case "/slow":
      entered.resolve();
      await gate.promise;
      return refunded;
    case "/rejects":
      return { status: 422, json: { error: "too much" } };
    case "/fails":
      return { status: 502, json: { error: "the bank did not answer" } };
    case "/throws":
      throw Object.assign(new Error("lost"), { code: "ECONNREFUSED" });
    case "/declines":
      if (!inStock) throw new NotPerformed("the card was declined");
      return refunded;
    case "/sold-out":
      return inStock ? refunded : { status: 409, json: { error: "sold out" }, freed: true };
    case "/events":
      return { status: 200, streams: true };
    case "/large":
      return { status: 200, json: { text: "x".repeat(300_000) } };
    default:
      return { status: 404, json: {} };
  }
};

interface Sent {
  readonly path?: string;
  readonly method?: string;
  /** Null: no key is sent. */
  readonly key?: string | null;
  readonly user?: string | null;
  readonly json?: unknown;
  readonly text?: string;
}

/** What of a response counts: the same in every framework. */
interface Got {
  readonly status: number;
  readonly type: string | undefined;
  readonly body: string;
  readonly replayed: string | null;
  readonly retryAfter: string | null;
  readonly shouldRetry: string | null;
  readonly location: string | null;
  readonly cookie: string | null;
}

async function send(url: string, sent: Sent): Promise<Got> {
  const { path = "/refunds", method = "POST", key = "k1", user = "ana" } = sent;
  const headers = new Headers();
  if (key !== null) headers.set("idempotency-key", key);
  if (user !== null) headers.set("x-user", user);
  const content = sent.text ?? JSON.stringify(sent.json ?? { order: "A1", cents: 500 });
  headers.set("content-type", sent.text === undefined ? "application/json" : "text/plain");
  const response = await fetch(`${url}${path}`, {
    method,
    headers,
    redirect: "manual",
    ...(method === "GET" ? {} : { body: content }),
  });
  return {
    status: response.status,
    type: response.headers.get("content-type")?.split(";")[0],
    body: Buffer.from(await response.arrayBuffer()).toString("latin1"),
    replayed: response.headers.get("idempotent-replayed"),
    retryAfter: response.headers.get("retry-after"),
    shouldRetry: response.headers.get("x-should-retry"),
    location: response.headers.get("location"),
    cookie: response.headers.get("set-cookie"),
  };
}

/** A problem's code, and what it says of the effect. */
function told(got: Got): readonly [status: number, code: string, effect: string] {
  expect(got.type).toBe("application/problem+json");
  const problem = JSON.parse(got.body);
  expect(problem.status).toBe(got.status);
  expect(problem.type).toBe(`urn:safeagent:problem:${problem.code}`);
  expect(problem.detail).toMatch(/^(Nothing was executed|It may have|It was|A request)/);
  expect(problem.docs).toMatch(/^docs\//);
  return [got.status, problem.code, problem.effect];
}

/** What a case may do: send, and break the store. */
interface Bench {
  readonly send: (sent: Sent) => Promise<Got>;
  readonly breakStore: (broken: boolean) => void;
}

/** Each leaves what it got; all frameworks must have got the same. */
const table: Readonly<Record<string, (bench: Bench) => Promise<readonly Got[]>>> = {
  async "the first is executed, a retry is answered with the same bytes"({ send }) {
    const first = await send({});
    const again = await send({ json: { cents: 500.0, order: "A1" } });
    expect([first.status, first.replayed, first.body]).toEqual([201, null, '{"refund":1}']);
    expect([again.status, again.replayed, again.body]).toEqual([201, "true", first.body]);
    expect([again.type, again.location]).toEqual(["application/json", "/refunds/1"]);
    expect(ledger).toHaveLength(1);
    expect(ledger[0]?.body).toEqual({ order: "A1", cents: 500 });
    expect(ledger[0]?.key).toMatch(/^[0-9a-f]{64}$/);
    return [first, again];
  },
  async "Set-Cookie goes to the first alone"({ send }) {
    const [first, again] = [await send({}), await send({})];
    expect([first.cookie, again.cookie]).toEqual(["session=1", null]);
    return [first, again];
  },
  async "another body is refused"({ send }) {
    const first = await send({});
    const other = await send({ json: { order: "A1", cents: 50_000 } });
    expect(told(other)).toEqual([422, "payload_conflict", "none"]);
    expect(other.body).not.toContain("500");
    expect(ledger).toHaveLength(1);
    return [first, other];
  },
  async "another query is refused, another path is another request"({ send }) {
    const first = await send({});
    const query = await send({ path: "/refunds?force=1" });
    expect(told(query)).toEqual([422, "payload_conflict", "none"]);
    const path = await send({ path: "/empty" });
    expect([path.status, path.replayed]).toEqual([204, null]);
    expect(ledger).toHaveLength(2);
    return [first, query, path];
  },
  async "a text body is compared by its bytes"({ send }) {
    const first = await send({ text: "refund A1" });
    const again = await send({ text: "refund A1" });
    const other = await send({ text: "refund A2" });
    expect([first.status, again.replayed]).toEqual([201, "true"]);
    expect(ledger.map(({ body }) => body)).toEqual(["refund A1"]);
    expect(told(other)).toEqual([422, "payload_conflict", "none"]);
    return [first, again, other];
  },
  async "while one is under way: another body is refused, the same is told to wait"({ send }) {
    const first = send({ path: "/slow" });
    await entered.promise;
    const other = await send({ path: "/slow", json: { order: "B2" } });
    const twin = await send({ path: "/slow" });
    expect(told(other)).toEqual([422, "payload_conflict", "none"]);
    expect(told(twin)).toEqual([409, "in_progress", "unknown"]);
    expect([twin.retryAfter, twin.shouldRetry]).toEqual(["1", null]);
    gate.resolve();
    expect((await first).status).toBe(201);
    const again = await send({ path: "/slow" });
    expect([again.status, again.replayed]).toEqual([201, "true"]);
    expect(ledger).toHaveLength(1);
    return [other, twin, await first, again];
  },
  async "a key is needed, and a well-formed one"({ send }) {
    const missing = await send({ key: null });
    expect(told(missing)).toEqual([400, "key_missing", "none"]);
    const malformed: Got[] = [];
    for (const key of ['"q1', '"q\\1"', "q1, q2", '"q1", "q2"', "", '""', "x".repeat(256)]) {
      const got = await send({ key });
      expect(told(got)).toEqual([400, "key_malformed", "none"]);
      malformed.push(got);
    }
    expect(ledger).toHaveLength(0);
    return [missing, ...malformed];
  },
  async 'q1 and "q1" are one key'({ send }) {
    const [bare, quoted] = [await send({ key: "q1" }), await send({ key: '"q1"' })];
    expect([quoted.replayed, quoted.body]).toEqual(["true", bare.body]);
    return [bare, quoted];
  },
  async "two principals never see each other's"({ send }) {
    const ana = await send({ user: "ana" });
    const ben = await send({ user: "ben" });
    const nobody = await send({ user: null });
    expect([ana.body, ben.body]).toEqual(['{"refund":1}', '{"refund":2}']);
    expect(ben.replayed).toBeNull();
    expect(told(nobody)).toEqual([401, "unauthorized", "none"]);
    expect(ledger).toHaveLength(2);
    return [ana, ben, nobody];
  },
  async "a 5xx is in doubt, and the next request isn't executed"({ send }) {
    const first = await send({ path: "/fails" });
    const again = await send({ path: "/fails" });
    expect(told(first)).toEqual([423, "in_doubt", "unknown"]);
    expect(again).toEqual(first);
    expect([first.retryAfter, first.shouldRetry]).toEqual([null, "false"]);
    expect(ledger).toHaveLength(1);
    return [first, again];
  },
  async "an error is in doubt, whatever it says of its own"({ send }) {
    const first = await send({ path: "/throws" });
    const again = await send({ path: "/throws" });
    expect(told(first)).toEqual([423, "in_doubt", "unknown"]);
    expect(again).toEqual(first);
    expect(ledger).toHaveLength(1);
    return [first, again];
  },
  async "a 4xx of the handler is its answer"({ send }) {
    const [first, again] = [await send({ path: "/rejects" }), await send({ path: "/rejects" })];
    expect([first.status, again.status, again.replayed]).toEqual([422, 422, "true"]);
    expect(again.body).toBe('{"error":"too much"}');
    expect(ledger).toHaveLength(1);
    return [first, again];
  },
  async "NotPerformed frees the key"({ send }) {
    const declined = await send({ path: "/declines" });
    expect(told(declined)).toEqual([503, "not_performed", "none"]);
    expect(declined.retryAfter).toBe("1");
    inStock = true;
    const done = await send({ path: "/declines" });
    const again = await send({ path: "/declines" });
    expect([done.status, done.replayed, again.replayed]).toEqual([201, null, "true"]);
    expect(ledger).toHaveLength(2);
    return [declined, done, again];
  },
  async "a response that says so frees the key, and is sent as it is"({ send }) {
    const out = await send({ path: "/sold-out" });
    expect([out.status, out.body, out.replayed]).toEqual([409, '{"error":"sold out"}', null]);
    inStock = true;
    const done = await send({ path: "/sold-out" });
    expect([done.status, done.replayed]).toEqual([201, null]);
    expect(ledger).toHaveLength(2);
    return [out, done];
  },
  async "no body, and bytes that are no text, come back as they were"({ send }) {
    const all: Got[] = [];
    for (const path of ["/empty", "/moved", "/binary"]) {
      const [first, again] = [await send({ path }), await send({ path })];
      expect({ ...again, replayed: null }).toEqual(first);
      expect(again.replayed).toBe("true");
      all.push(first, again);
    }
    expect(all.map(({ body }) => body)).toEqual([
      "",
      "",
      "",
      "",
      "\x00\xff\xfe\n",
      "\x00\xff\xfe\n",
    ]);
    return all;
  },
  async "a stream is refused as a response, and in doubt"({ send }) {
    const first = await send({ path: "/events" });
    const again = await send({ path: "/events" });
    expect(told(first)).toEqual([423, "response_streaming", "unknown"]);
    expect(told(again)).toEqual([423, "in_doubt", "unknown"]);
    expect(ledger).toHaveLength(1);
    return [first, again];
  },
  async "a response too large to keep was executed once, and nobody gets it"({ send }) {
    const [first, again] = [await send({ path: "/large" }), await send({ path: "/large" })];
    expect(told(first)).toEqual([410, "response_not_kept", "once"]);
    expect(again).toEqual(first);
    expect(ledger).toHaveLength(1);
    return [first, again];
  },
  async "what is too large is refused"({ send }) {
    const large = await send({ text: "x".repeat(70_000) });
    expect(told(large)).toEqual([413, "body_too_large", "none"]);
    expect(ledger).toHaveLength(0);
    return [large];
  },
  async "a safe method passes"({ send }) {
    const read = await send({ method: "GET", key: null, user: null });
    expect([read.status, read.body]).toEqual([200, '{"read":true}']);
    return [read];
  },
  async "with the store down nothing is executed"({ send, breakStore }) {
    breakStore(true);
    const down = await send({});
    breakStore(false);
    expect(told(down)).toEqual([503, "store_unavailable", "none"]);
    expect(down.retryAfter).toBe("5");
    expect(down.body).not.toContain("disk");
    expect(ledger).toHaveLength(0);
    const up = await send({});
    expect(up.status).toBe(201);
    return [down, up];
  },
};

/** A store that can be taken away. */
function breakable(): { readonly store: Store; readonly breakStore: (broken: boolean) => void } {
  const inner = memoryStore();
  let broken = false;
  const fail = () => Promise.reject(new GuardError("store_unavailable", "The disk is gone."));
  const store: Store = {
    ...inner,
    read: (...args) => (broken ? fail() : inner.read(...args)),
    commit: (...args) => (broken ? fail() : inner.commit(...args)),
  };
  return {
    store,
    breakStore(now) {
      broken = now;
    },
  };
}

const answers = new Map<string, Map<string, readonly Got[]>>();

describe.each(hosts)("$name", (host) => {
  let running: Running;
  let guard: Guard;
  const { store, breakStore } = breakable();

  beforeAll(async () => {
    guard = createGuard({ store });
    running = await host.start((call) => route(call), guard, { bodyBytes: 65_536 });
  });
  afterAll(async () => {
    await running.close();
    await guard.close();
  });

  test.each(Object.entries(table))("%s", async (name, run) => {
    ledger = [];
    inStock = false;
    gate = Promise.withResolvers();
    entered = Promise.withResolvers();
    const scope = `${Object.keys(table).indexOf(name)}-`;
    const got = await run({
      // The server lives as long as the table: a user of each case's own keeps its keys apart.
      send: (sent) =>
        send(running.url, {
          ...sent,
          user: sent.user === null ? null : scope + (sent.user ?? "ana"),
        }),
      breakStore,
    });
    answers.set(name, (answers.get(name) ?? new Map()).set(host.name, got));
  });

  test("plain, the same retry is executed twice", async () => {
    ledger = [];
    const plain = await host.start((call) => route(call), undefined);
    const [first, again] = [await send(plain.url, {}), await send(plain.url, {})];
    await plain.close();
    expect([first.body, again.body]).toEqual(['{"refund":1}', '{"refund":2}']);
    expect(ledger).toHaveLength(2);
  });
});

/** Case ids are the same for the same principal, method, path and key, whatever the framework. */
test.each(Object.keys(table))("all servers answer alike: %s", (name) => {
  const [first, ...others] = [...(answers.get(name) ?? [])].map(([, got]) => got);
  expect(first).toBeDefined();
  expect(others).toHaveLength(hosts.length - 1);
  for (const other of others) expect(other).toEqual(first);
});
