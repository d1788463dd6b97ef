import { expect, test } from "vitest";
import { explainText } from "../../src/mcp-proxy/explain.ts";
import { client, house, scripted } from "./scripted.ts";

const tools = [
  { name: "search", annotations: { readOnlyHint: true } },
  { name: "write", annotations: { idempotentHint: true } },
  { name: "send" },
  { name: "refund" },
  { name: "odd", annotations: { readOnlyHint: true } },
];

const config = {
  tools: {
    refund: {
      key: "refund:{/orderId}",
      keyArgument: "/idempotency_key",
      onError: "not_performed",
      policy: { kind: "approval", need: 2, from: ["ana", "ben"] },
    },
    odd: { guard: true, windowMs: 600_000, ignore: ["/note"] },
    gone: { guard: false },
  },
};

test("says what each tool gets and why, as data", async () => {
  await using place = house("memory", config);
  const explained = await place.gate.explain(scripted(undefined, tools).upstream, client());
  expect(explained.map(({ tool, guarded, listed }) => [tool, guarded, listed])).toEqual([
    ["search", false, true],
    ["write", true, true],
    ["send", true, true],
    ["refund", true, true],
    ["odd", true, true],
    ["gone", false, false],
  ]);
  expect(explained[3]).toMatchObject({
    effect: "opaque",
    onError: "not_performed",
    policy: "2 approvals by ana, ben",
    same: "the key refund:{/orderId}, for each caller",
  });
});

test("says it as text", async () => {
  await using place = house("memory", config);
  const upstream = scripted(undefined, tools).upstream;
  expect(explainText(await place.gate.explain(upstream, client()))).toBe(
    `search
  not guarded       its server says that it only reads (readOnlyHint)

write
  guarded           its server does not say that it only reads
  same effect       the client's idempotency key; without one, equal arguments, while the first is not over
  idempotent effect its server says that a repeat does nothing (idempotentHint)
  on an error       told as it is, and it may be called again

send
  guarded           its server does not say that it only reads
  same effect       the client's idempotency key; without one, equal arguments, for good
  opaque effect     nothing says that a repeat does no harm
  on an error       in doubt, until a person says what happened
  note              two equal calls are one effect, even if both are meant: give it a key or a window
  note              an error leaves it in doubt, for a person: onError says if it means that nothing was done

refund
  guarded           the config says so
  same effect       the key refund:{/orderId}, for each caller
  opaque effect     nothing says that a repeat does no harm
  on an error       nothing was done, and it may be called again
  waits for         2 approvals by ana, ben

odd
  guarded           the config says so
  same effect       the client's idempotency key; without one, equal arguments but /note, until 10 min after the first was done
  opaque effect     nothing says that a repeat does no harm
  on an error       in doubt, until a person says what happened
  note              an error leaves it in doubt, for a person: onError says if it means that nothing was done

gone (in the config, but the server does not list it)
  not guarded       the config says so

4 of 6 tools guarded
`,
  );
});

test("says so where the server's word is not trusted", async () => {
  await using place = house("memory", { trustAnnotations: false });
  const [search] = await place.gate.explain(scripted(undefined, tools).upstream, client());
  expect(search).toMatchObject({
    guarded: true,
    effect: "opaque",
    why: "the config does not trust the server's annotations",
  });
});

test("fails where the tools can't be listed", async () => {
  await using place = house("memory");
  const upstream = { ...scripted().upstream, list: () => Promise.reject(new Error("no list")) };
  await expect(place.gate.explain(upstream, client())).rejects.toThrow("no list");
});

test("of a server without tools is short", () => {
  expect(explainText([])).toBe("0 of 0 tools guarded\n");
});
