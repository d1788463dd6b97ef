import { readFileSync } from "node:fs";
import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, test } from "vitest";
import { isGuardError } from "../../src/index.ts";
import { readConfig } from "../../src/mcp-proxy/config.ts";
import { configSchema } from "../../src/mcp-proxy/config-schema.ts";

const file = new URL("../../safeagent.config.schema.json", import.meta.url);
const schema = JSON.parse(readFileSync(file, "utf8")) as object;
const fits = new Ajv2020({ strict: false }).compile(schema);
const defaults = { server: "shop" };

const faultOf = (json: unknown): string => {
  try {
    readConfig(json, defaults);
    return "none";
  } catch (error) {
    if (!isGuardError(error, "invalid_request")) throw error;
    return error.message;
  }
};

test("the schema in the file is the schema that the reader checks by", () => {
  expect(schema).toEqual(configSchema);
});

test("an empty config has the defaults", () => {
  expect(readConfig({}, defaults)).toEqual({
    server: "shop",
    namespace: "default",
    tenant: undefined,
    trustAnnotations: true,
    callIds: true,
    elicit: true,
    approver: "person-at-client",
    questionMs: 300_000,
    principalHeaders: [],
    tools: new Map(),
    others: {},
  });
});

const rule = (members: object) => ({ tools: { refund: members } });

const whole = {
  $schema: "./safeagent.config.schema.json",
  server: "stripe",
  namespace: "prod",
  tenant: "acme",
  trustAnnotations: false,
  callIds: false,
  elicit: false,
  approver: "ana",
  questionMs: 60_000,
  principalHeaders: ["X-Tenant"],
  tools: {
    "*": { waitMs: 100, ignore: ["/note"] },
    refund: {
      guard: true,
      key: "refund:{/orderId}:{/lines/0/sku}",
      shared: true,
      action: "stripe.refund",
      keyArgument: "/idempotency_key",
      ignore: ["/reason", "/a~1b"],
      effect: "opaque",
      onError: "not_performed",
      timeoutMs: 60_000,
      policy: {
        kind: "all",
        of: [
          { kind: "approval", need: 1, from: ["ana"], expiresInMs: 1_000 },
          { kind: "threshold", share: 0.5, quorum: 2, weights: { a: 1, b: 2 } },
          {
            kind: "any",
            of: [
              { kind: "majority", quorum: 3 },
              { kind: "unanimous", quorum: 1 },
            ],
          },
          { kind: "manual" },
        ],
      },
    },
    search: { guard: false },
    write: { windowMs: null },
  },
} as const;

test("a config may say all of it, and a named rule overrides the common one", () => {
  const config = readConfig(whole, defaults);
  expect(fits(whole)).toBe(true);
  expect(config).toMatchObject({ server: "stripe", tenant: "acme", approver: "ana" });
  expect(config).toMatchObject({ questionMs: 60_000, principalHeaders: ["X-Tenant"] });
  expect(config.others).toEqual({ waitMs: 100, ignore: ["/note"] });
  expect(config.tools.get("search")).toEqual({ waitMs: 100, ignore: ["/note"], guard: false });
  const refund = config.tools.get("refund");
  expect(refund).toMatchObject({ waitMs: 100, ignore: ["/reason", "/a~1b"] });
  expect(refund?.key).toMatchObject({ pointers: ["/orderId", "/lines/0/sku"] });
  expect(refund?.policy).toMatchObject({
    kind: "all",
    of: [{ kind: "approval", expiresInMs: 1_000 }, { sharePpm: 500_000 }, { kind: "any" }, {}],
  });
});

test.each([
  ["policy", { policy: { kind: "approval" } }],
  ["key", { key: "refund:{/orderId}" }],
  ["keyArgument", { keyArgument: "/key" }],
  ["effect", { effect: "opaque" }],
  ["onError", { onError: "not_performed" }],
  ["windowMs", { windowMs: null }],
])("a rule with %s wants its tool guarded, unless it says otherwise", (_, members) => {
  const guardOf = (own: object, everybody: object = {}) =>
    readConfig({ tools: { "*": everybody, refund: own } }, defaults).tools.get("refund")?.guard;
  expect(guardOf(members)).toBe(true);
  expect(guardOf(members, { guard: false })).toBe(true);
  expect(guardOf({ ...members, guard: false })).toBe(false);
  expect(guardOf({ ignore: ["/note"], timeoutMs: 5 })).toBeUndefined();
});

test("what the page shows is a config", () => {
  const page = readFileSync(new URL("../../docs/mcp-proxy-config.md", import.meta.url), "utf8");
  const [, block = ""] = /```json\n([\s\S]*?)```/.exec(page) ?? [];
  const shown = JSON.parse(block) as object;
  expect(fits(shown)).toBe(true);
  expect(readConfig(shown, defaults).tools.get("refund")?.policy).toMatchObject({ need: 1 });
  const policies = [...page.matchAll(/`(\{ "kind": [^`]*\})`/g)].map(([, text = ""]) => text);
  expect(policies).toHaveLength(6);
  for (const text of policies) readConfig(rule({ policy: JSON.parse(text) }), defaults);
  // Each member has its line.
  const { properties, $defs } = configSchema;
  const members = { ...properties, ...$defs?.rule?.properties };
  for (const name of Object.keys(members)) expect(page).toContain(`${name}`);
});

describe("a mistake is told with its place", () => {
  test.each([
    [7, "The config must be an object"],
    [{ tols: {} }, '"/tols" is not known here'],
    [{ server: "" }, '"/server" must not be empty'],
    [{ server: "  " }, '"/server" must be printable'],
    [{ tenant: "a\nb" }, '"/tenant" must be printable'],
    [{ elicit: "yes" }, '"/elicit" must be a boolean'],
    [{ tools: [] }, '"/tools" must be an object'],
    [rule({ guard: "off" }), '"/tools/refund/guard" must be a boolean'],
    [rule({ ky: "x" }), '"/tools/refund/ky" is not known here'],
    [{ tools: { "a/b": { ky: 1 } } }, '"/tools/a~1b/ky"'],
    [rule({ keyArgument: "key" }), '"/tools/refund/keyArgument" must be a JSON pointer'],
    [rule({ ignore: ["/a", "b"] }), '"/tools/refund/ignore/1" must be a JSON pointer'],
    [rule({ ignore: ["/a", "/a"] }), '"/tools/refund/ignore" must not have an entry twice'],
    [rule({ ignore: Array.from({ length: 32 }, (_, n) => `/${n}`) }), "at most 31 entries"],
    [rule({ effect: "keyed" }), '"/tools/refund/effect" must be one of: opaque, idempotent'],
    [{ questionMs: 0 }, '"/questionMs" must be at least 1'],
    [{ questionMs: 2 ** 31 }, '"/questionMs" must be at most'],
    [{ principalHeaders: ["X Tenant"] }, '"/principalHeaders/0" must be a header\'s name'],
    [rule({ windowMs: -1 }), '"/tools/refund/windowMs" must be at least 0'],
    [rule({ windowMs: "1h" }), '"/tools/refund/windowMs" must be an integer'],
    [rule({ timeoutMs: 1.5 }), '"/tools/refund/timeoutMs" must be an integer'],
    [rule({ timeoutMs: 1e12 }), '"/tools/refund/timeoutMs" must be at most'],
    [rule({ policy: "approval" }), '"/tools/refund/policy" must be an object whose "kind"'],
    [rule({ policy: { kind: "vote" } }), 'whose "kind" is one of: immediate, manual'],
    [rule({ policy: { kind: "majority" } }), '"/tools/refund/policy" lacks "quorum"'],
    [rule({ policy: { kind: "all", of: [] } }), '"/tools/refund/policy/of" must have at least 1'],
    [
      rule({ policy: { kind: "any", of: [{ kind: "approval", need: 0 }] } }),
      '"/tools/refund/policy/of/0/need" must be at least 1',
    ],
    [rule({ policy: { kind: "threshold", share: 0 } }), 'share" must be above 0'],
  ])("%j", (json, says) => {
    expect(faultOf(json)).toContain(says);
    // The file says no to all of them, too.
    expect(fits(json)).toBe(false);
  });

  test.each([
    [rule({ key: "refund" }), '"/tools/refund/key" names no argument'],
    [
      rule({ key: "refund:{orderId}" }),
      '"/tools/refund/key" has {orderId}, which is no JSON pointer',
    ],
    [rule({ key: "refund:{/a" }), '"/tools/refund/key" has a brace without its twin'],
    [rule({ key: "{/a}{/b}" }), '"/tools/refund/key" needs a sign between'],
    [rule({ key: "{/a}and{/b}" }), '"/tools/refund/key" needs a sign between'],
    [rule({ shared: true }), '"/tools/refund/shared" needs a key'],
    [{ tools: { "*": { key: "k:{/a}" } } }, '"/tools/*/key" must be a named tool\'s'],
    [{ tools: { "*": { policy: { kind: "approval" } } } }, '"/tools/*/policy" needs a "guard"'],
    [{ tools: { "*": { action: "x" } } }, '"/tools/*/action" must be a named tool\'s'],
    [rule({ policy: { kind: "approval", need: 2, from: ["ana"] } }), "more approvals than"],
    [
      rule({ policy: { kind: "threshold", share: 1, quorum: 2, weights: { a: 1 } } }),
      "a quorum above the number of sources",
    ],
    [rule({ policy: { kind: "threshold", share: 1e-9 } }), "below a millionth"],
    [
      rule({ policy: { kind: "all", of: Array.from({ length: 32 }, () => ({ kind: "manual" })) } }),
      "more than 32 policies",
    ],
  ])("that no schema can tell: %j", (json, says) => {
    expect(faultOf(json)).toContain(says);
  });
});
