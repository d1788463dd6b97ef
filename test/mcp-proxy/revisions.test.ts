import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { revisions, type TestClient } from "./clients.ts";
import { type Scene, scene } from "./proxied.ts";
import { listings } from "./raw.ts";

const table = revisions.flatMap((revision) =>
  (["stdio", "http"] as const).map(
    (transport) => [revision.revision, transport, revision] as const,
  ),
);

const inDoubt = { isError: true, text: expect.stringMatching(/^Unknown whether it ran\./) };
const done = (tool: string, order: string) => ({
  isError: false,
  text: expect.stringMatching(new RegExp(`^${tool} ${order} did `)),
});

// Each test has an order of its own: what others did doesn't matter to it.
describe.each(table)("%s over %s", (_, transport, revision) => {
  let of: Scene;
  let client: TestClient;
  beforeAll(async () => {
    of = scene(revision, transport);
    client = await of.connect();
  });
  afterAll(() => of[Symbol.asyncDispose]());

  /** A client that was there before a process was killed; over HTTP its session has died with it. */
  const survivor = () => (transport === "stdio" ? client : of.connect());

  test("client and server agree on the revision through the proxy", () => {
    expect(client.revision).toBe(revision.revision);
  });

  test("listings are the same bytes through the proxy and direct", async () => {
    const direct = await listings(revision, await of.direct());
    expect(direct.join("\n")).toContain('"name":"pay"');
    expect(await listings(revision, await of.proxied())).toEqual(direct);
  });

  test("a read-only tool passes untouched", async () => {
    const first = await client.call("look", "L1");
    expect(first).toEqual(done("look", "L1"));
    expect((await client.call("look", "L1")).text).not.toBe(first.text);
    expect(of.did("L1")).toEqual(["look L1", "look L1"]);
  });

  test("a call made twice runs twice direct, and once through the proxy", async () => {
    const direct = await of.connect("nothing");
    await direct.call("pay", "D1");
    await direct.call("pay", "D1");
    expect(of.did("D1")).toEqual(["pay D1", "pay D1"]);

    const first = await client.call("pay", "P1");
    expect(first).toEqual(done("pay", "P1"));
    expect(await client.call("pay", "P1")).toEqual(first);
    expect((await client.call("pay", "P2")).text).not.toBe(first.text);
    expect([of.did("P1"), of.did("P2")]).toEqual([["pay P1"], ["pay P2"]]);
  });

  test("calls of one kind at one time join", async () => {
    const calls = Array.from({ length: 5 }, () => client.call("slow", "J1"));
    await of.untilDid("J1", "slow J1");
    of.letEnd("J1");
    const [first, ...others] = await Promise.all(calls);
    expect(first).toEqual(done("slow", "J1"));
    for (const other of others) expect(other).toEqual(first);
    expect(of.did("J1")).toEqual(["slow J1"]);
  });

  test("an error of a tool is no receipt: the call is in doubt, and not sent again", async () => {
    expect((await client.call("refuse", "R1")).isError).toBe(true);
    expect(await client.call("refuse", "R1")).toEqual(inDoubt);
    expect(of.did("R1")).toEqual(["refuse R1"]);
  });

  test("a cancelled call goes on at the server, and a repeat gets what came of it", async () => {
    const controller = new AbortController();
    const call = client.call("slow", "C1", { signal: controller.signal });
    await of.untilDid("C1", "slow C1");
    controller.abort();
    await expect(call).rejects.toThrow();
    const repeat = client.call("slow", "C1");
    of.letEnd("C1");
    expect(await repeat).toEqual(done("slow", "C1"));
    expect(of.did("C1")).toEqual(["slow C1"]);
  });

  test("progress of a guarded call reaches the client while it runs", async () => {
    const seen: unknown[] = [];
    await client.call("slow", "G1", {
      onprogress({ progress, total }) {
        seen.push([progress, total]);
        of.letEnd("G1");
      },
    });
    expect(seen).toEqual([[1, 2]]);
  });

  test("a question of the server's reaches the client's user, and the answer the server", async () => {
    of.user.asked.length = 0;
    const first = await client.call("confirm", "Q1");
    expect(first).toEqual(done("confirm", "Q1"));
    expect(of.user.asked).toEqual(["Pay it?"]);
    expect(await client.call("confirm", "Q1")).toEqual(first);
    expect(of.did("Q1")).toEqual(["confirm Q1"]);
  });

  test("a tool that waits for approval runs once its user agrees", async () => {
    of.user.asked.length = 0;
    const first = await client.call("wire", "A1");
    expect(first).toEqual(done("wire", "A1"));
    expect(of.user.asked).toEqual([expect.stringContaining('"wire"')]);
    expect(await client.call("wire", "A1")).toEqual(first);
    expect(of.did("A1")).toEqual(["wire A1"]);
  });

  test("a tool that waits for approval never runs once its user has refused", async () => {
    of.user.agrees = false;
    expect((await client.call("wire", "A2")).isError).toBe(true);
    of.user.agrees = true;
    expect((await client.call("wire", "A2")).isError).toBe(true);
    expect(of.did("A2")).toEqual([]);
  });

  test("a client that leaves in a call: the next one gets what came of it", async () => {
    const leaving = await of.connect();
    leaving.call("slow", "E1").catch(() => undefined);
    await of.untilDid("E1", "slow E1");
    const left = leaving.close();
    of.letEnd("E1");
    await left;
    expect(await client.call("slow", "E1")).toEqual(done("slow", "E1"));
    expect(of.did("E1")).toEqual(["slow E1"]);
  });

  test("a server that dies in a call leaves it in doubt, and it is not sent again", async () => {
    const other = await of.connect();
    const call = other.call("slow", "S1");
    await of.untilDid("S1", "slow S1");
    await of.killServer("slow");
    of.letEnd("S1");
    expect(await call).toEqual(inDoubt);
    const next = await survivor();
    expect(await next.call("slow", "S1")).toEqual(inDoubt);
    expect(of.did("S1")).toEqual(["slow S1"]);
    expect(await next.call("pay", "S2")).toEqual(done("pay", "S2"));
  });

  test("a proxy that is killed in a call and started again: in doubt, and not sent again", async () => {
    const other = await of.connect();
    other.call("slow", "K1").catch(() => undefined);
    await of.untilDid("K1", "slow K1");
    await of.killProxy(other.pid);
    of.letEnd("K1");
    const next = await of.connect();
    expect(await next.call("slow", "K1")).toEqual(inDoubt);
    expect(of.did("K1")).toEqual(["slow K1"]);
    expect(await next.call("pay", "K2")).toEqual(done("pay", "K2"));
  });
});
