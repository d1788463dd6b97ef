import { createHmac } from "node:crypto";
import { afterEach, describe, expect, test } from "vitest";
import { type WebhookEvent, type WebhookOptions, webhook } from "../../src/http/index.ts";
import { createGuard, type Guard, GuardError, memoryStore, NotPerformed } from "../../src/index.ts";
import { fetchServer, type Running } from "./hosts.ts";

const bytes = Buffer.alloc(24, 7);
const secret = `whsec_${bytes.toString("base64")}`;
const other = Buffer.alloc(32, 9);
const otherSecret = `whsec_${other.toString("base64")}`;
const nowS = 1_674_087_231;

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

/** How a sender signs, written apart from the receiver. */
function signature(id: string, timestamp: number | string, body: string, key: Buffer = bytes) {
  return `v1,${createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest("base64")}`;
}

interface Delivery {
  readonly id?: string;
  readonly at?: number | string;
  readonly body?: string;
  /** Null: the header is left out. */
  readonly signature?: string | null;
}

function delivery(sent: Delivery = {}): { readonly headers: Headers; readonly body: string } {
  const { id = "msg_1", at = nowS, body = '{"type":"order.paid","order":"A1"}' } = sent;
  const headers = new Headers({ "content-type": "application/json" });
  headers.set("webhook-id", id);
  headers.set("webhook-timestamp", String(at));
  const signed = sent.signature === undefined ? signature(id, at, body) : sent.signature;
  if (signed !== null) headers.set("webhook-signature", signed);
  return { headers, body };
}

function receiver(
  handler: (event: WebhookEvent) => unknown,
  options: Partial<WebhookOptions> = {},
  guard: Guard = createGuard({ store: "memory:" }),
) {
  open.push(guard);
  const receive = webhook(
    guard,
    { secret, action: "billing", clock: () => nowS * 1_000, ...options },
    handler,
  );
  const deliver = (sent?: Delivery) =>
    receive(new Request("http://localhost/hooks", { method: "POST", ...delivery(sent) }));
  return { guard, deliver };
}

const codeOf = async (response: Response) => ((await response.json()) as { code: string }).code;

test("the specification's own example is signed rightly", async () => {
  const example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
  const seen: WebhookEvent[] = [];
  const receive = webhook(
    createGuard({ store: "memory:" }),
    { secret: example, action: "a", clock: () => 1_614_265_330_000 },
    (event) => seen.push(event),
  );
  const response = await receive(
    new Request("http://localhost/", {
      method: "POST",
      headers: {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
      },
      body: '{"test": 2432232314}',
    }),
  );
  expect(response.status).toBe(204);
  expect(seen[0]).toMatchObject({
    id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
    sentAt: 1_614_265_330_000,
    json: { test: 2_432_232_314 },
  });
});

describe("over a real server", () => {
  const serve = async (handle: (request: Request) => Response | Promise<Response>) => {
    const running: Running = await fetchServer(handle);
    open.push(running);
    return (sent?: Delivery) => fetch(running.url, { method: "POST", ...delivery(sent) });
  };

  test("delivered again it is answered, and not executed again", async () => {
    const orders: unknown[] = [];
    const guard = createGuard({ store: "memory:" });
    open.push(guard);
    const options = { secret, action: "billing", clock: () => nowS * 1_000 };
    const deliver = await serve(webhook(guard, options, ({ json }) => orders.push(json)));
    const first = await deliver();
    // A redelivery is signed anew, at another time.
    const again = await deliver({ at: nowS + 60 });
    expect([first.status, first.headers.get("idempotent-replayed")]).toEqual([204, null]);
    expect([again.status, again.headers.get("idempotent-replayed")]).toEqual([204, "true"]);
    expect(orders).toEqual([{ type: "order.paid", order: "A1" }]);
    expect((await guard.receipt("webhook:billing:id:msg_1"))?.effect).toBe("once");
  });

  test("control: a plain handler executes it twice", async () => {
    const orders: unknown[] = [];
    const deliver = await serve(async (request) => {
      orders.push(await request.json());
      return new Response(null, { status: 204 });
    });
    await deliver();
    await deliver({ at: nowS + 60 });
    expect(orders).toHaveLength(2);
  });
});

describe("signatures", () => {
  const good = signature("msg_1", nowS, '{"type":"order.paid","order":"A1"}');
  test.each<[string, Delivery, number, string]>([
    ["none", { signature: null }, 400, "signature_missing"],
    ["a timestamp that is no number", { at: "now" }, 400, "signature_missing"],
    ["an id of nothing", { id: "" }, 400, "signature_missing"],
    [
      "another secret's",
      { signature: signature("msg_1", nowS, "x", other) },
      401,
      "signature_wrong",
    ],
    ["of another body", { body: "{}", signature: good }, 401, "signature_wrong"],
    ["of another id", { id: "msg_2", signature: good }, 401, "signature_wrong"],
    ["of another time", { at: nowS + 1, signature: good }, 401, "signature_wrong"],
    ["of another version", { signature: good.replace("v1,", "v1a,") }, 401, "signature_wrong"],
    ["no base64", { signature: "v1,???" }, 401, "signature_wrong"],
    ["cut short", { signature: good.slice(0, -8) }, 401, "signature_wrong"],
    ["too old", { at: nowS - 301 }, 401, "signature_expired"],
    ["too new", { at: nowS + 301 }, 401, "signature_expired"],
  ])("%s: nothing is executed", async (_what, sent, status, code) => {
    let runs = 0;
    const { deliver } = receiver(() => {
      runs += 1;
    });
    const response = await deliver(sent);
    expect([response.status, await codeOf(response), runs]).toEqual([status, code, 0]);
  });

  test.each([
    ["at the edge of the time", { at: nowS - 300 }],
    ["beside others'", { signature: `v1a,AAAA v1,AAAA ${good}` }],
  ])("right %s", async (_what, sent) => {
    expect((await receiver(() => {}).deliver(sent)).status).toBe(204);
  });

  test("while a secret is changed, the old and the new one are right", async () => {
    const body = '{"n":1}';
    const { deliver } = receiver(() => {}, { secret: [otherSecret, secret] });
    const by = (key: Buffer, id: string) => ({
      id,
      body,
      signature: signature(id, nowS, body, key),
    });
    expect((await deliver(by(other, "msg_a"))).status).toBe(204);
    expect((await deliver(by(bytes, "msg_b"))).status).toBe(204);
    expect((await deliver(by(Buffer.alloc(24, 1), "msg_c"))).status).toBe(401);
  });

  test.each([
    ["an empty text", ""],
    ["no base64", "whsec_???"],
    ["too short", `whsec_${Buffer.alloc(8).toString("base64")}`],
    ["an empty list", []],
  ])("a secret that is %s is refused where the webhook is made", (_what, wrong) => {
    expect(() => receiver(() => {}, { secret: wrong })).toThrow(
      expect.objectContaining({ code: "invalid_request" }),
    );
  });
});

describe("what the sender is told", () => {
  test("in doubt: it is accepted, since another delivery would bring nothing", async () => {
    let runs = 0;
    const { guard, deliver } = receiver(() => {
      runs += 1;
      throw new Error("lost");
    });
    for (const _ of [1, 2]) {
      const response = await deliver();
      expect([response.status, await response.json()]).toMatchObject([202, { status: "in_doubt" }]);
    }
    expect(runs).toBe(1);
    expect((await guard.list({ states: ["IN_DOUBT"] })).items).toHaveLength(1);
  });

  test("in doubt, but harmless to repeat: the next delivery executes it", async () => {
    let runs = 0;
    const handler = () => {
      runs += 1;
      if (runs === 1) throw new Error("lost");
    };
    const { deliver } = receiver(handler, { effect: "idempotent" });
    const first = await deliver();
    expect([first.status, first.headers.get("retry-after")]).toEqual([503, "5"]);
    expect([(await deliver()).status, (await deliver()).status, runs]).toEqual([204, 204, 2]);
  });

  test("not performed: the next delivery executes it", async () => {
    let runs = 0;
    const { deliver } = receiver(() => {
      runs += 1;
      if (runs === 1) throw new NotPerformed("the warehouse is closed");
    });
    expect([(await deliver()).status, (await deliver()).status, runs]).toEqual([503, 204, 2]);
  });

  test("never to be performed: it has ended", async () => {
    const { deliver } = receiver(() => {
      throw new NotPerformed("no such order", { final: true });
    });
    const response = await deliver();
    expect([response.status, await response.json()]).toMatchObject([202, { status: "void" }]);
  });

  test("under way: it may come again", async () => {
    const gate = Promise.withResolvers<void>();
    const entered = Promise.withResolvers<void>();
    const { deliver } = receiver(async () => {
      entered.resolve();
      await gate.promise;
    });
    const first = deliver();
    await entered.promise;
    const twin = await deliver();
    expect([twin.status, twin.headers.get("retry-after")]).toEqual([409, "1"]);
    gate.resolve();
    expect((await first).status).toBe(204);
  });

  test("another body under the same id: a conflict, and nothing is executed", async () => {
    const orders: unknown[] = [];
    const { deliver } = receiver(({ json }) => orders.push(json));
    await deliver({ body: '{"order":"A1","cents":500}' });
    const same = await deliver({ body: '{ "cents": 500.0, "order": "A1" }' });
    const changed = await deliver({ body: '{"order":"A1","cents":50000}' });
    expect([same.status, changed.status, await codeOf(changed)]).toEqual([
      204,
      422,
      "payload_conflict",
    ]);
    expect(orders).toHaveLength(1);
  });

  test.each([
    ["a rounded number", '{"id":820982911946154508}'],
    ["an endless number", '{"id":1e400}'],
    ["half a character", '{"text":"\\ud83d"}'],
    ["many elements", `[${"1,".repeat(12_000)}1]`],
    ["many characters", `["${"x".repeat(300_000)}"]`],
  ])("JSON with %s is executed once, and compared by its bytes", async (_what, body) => {
    let runs = 0;
    const { deliver } = receiver(() => {
      runs += 1;
    });
    const [first, again] = [await deliver({ body }), await deliver({ body, at: nowS + 60 })];
    expect([first.status, again.status]).toEqual([204, 204]);
    expect(again.headers.get("idempotent-replayed")).toBe("true");
    expect([(await deliver({ body: ` ${body}` })).status, runs]).toEqual([422, 1]);
  });

  test("the store is down: it may come again, and nothing was executed", async () => {
    let runs = 0;
    const down = () => Promise.reject(new GuardError("store_unavailable", "The disk is gone."));
    const guard = createGuard({ store: { ...memoryStore(), read: down, commit: down } });
    const { deliver } = receiver(
      () => {
        runs += 1;
      },
      {},
      guard,
    );
    const response = await deliver();
    expect([response.status, response.headers.get("retry-after"), runs]).toEqual([503, "5", 0]);
  });

  test("too large: it is refused before it is looked at", async () => {
    const { deliver } = receiver(() => {}, { bodyBytes: 10 });
    const response = await deliver();
    expect([response.status, await codeOf(response)]).toEqual([413, "body_too_large"]);
  });
});

describe("the key", () => {
  const orderOf = ({ json }: WebhookEvent) => (json as { order: string }).order;

  test("of two webhooks that tell of one fact, the first is executed", async () => {
    const seen: string[] = [];
    const handler = ({ id }: WebhookEvent) => seen.push(id);
    const { deliver } = receiver(handler, { key: orderOf, ignore: ["/id"] });
    const first = await deliver({ id: "msg_1", body: '{"id":1,"order":"A1"}' });
    const second = await deliver({ id: "msg_2", body: '{"id":2,"order":"A1"}' });
    const another = await deliver({ id: "msg_3", body: '{"id":3,"order":"B2"}' });
    expect([first.status, second.status, another.status]).toEqual([204, 204, 204]);
    expect(second.headers.get("idempotent-replayed")).toBe("true");
    expect(seen).toEqual(["msg_1", "msg_3"]);
  });

  test("that is no text is refused: it would make all webhooks one", async () => {
    const { deliver } = receiver(() => {}, { key: () => undefined as never });
    const response = await deliver();
    expect([response.status, await codeOf(response)]).toEqual([400, "invalid_request"]);
  });

  test("the ids of two senders are apart, whatever the senders are called", async () => {
    const guard = createGuard({ store: "memory:" });
    let runs = 0;
    const handler = () => {
      runs += 1;
    };
    const ask = (action: string, id: string) =>
      receiver(handler, { action }, guard)
        .deliver({ id })
        .then(({ status }) => status);
    expect([await ask("a", "id:b"), await ask("a:id", "b"), await ask("b", "id:b")]).toEqual([
      204, 204, 204,
    ]);
    expect(runs).toBe(3);
  });

  test("a long id is as good as a short one", async () => {
    let runs = 0;
    const { deliver } = receiver(() => {
      runs += 1;
    });
    const id = `msg_${"x".repeat(400)}`;
    expect([(await deliver({ id })).status, (await deliver({ id })).status, runs]).toEqual([
      204, 204, 1,
    ]);
  });
});
