import { limits } from "../index.ts";

/** The part of JSON Schema (2020-12) that the config's schema is written in. */
export interface Schema {
  readonly $schema?: string;
  readonly $ref?: `#/$defs/${string}`;
  readonly $defs?: { readonly [name: string]: Schema };
  readonly title?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly type?: "object" | "array" | "string" | "number" | "integer" | "boolean" | "null";
  readonly const?: string;
  readonly enum?: readonly string[];
  /** Told apart by the `kind` that each of them states, or by their types. */
  readonly oneOf?: readonly Schema[];
  readonly properties?: { readonly [name: string]: Schema };
  readonly required?: readonly string[];
  readonly additionalProperties?: false | Schema;
  readonly minProperties?: number;
  readonly maxProperties?: number;
  readonly items?: Schema;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly uniqueItems?: true;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
  readonly maximum?: number;
}

const { spanMsMax } = limits;
/** What a timer can be set to. */
const timerMsMax = 2_147_483_647;

const name: Schema = {
  type: "string",
  minLength: 1,
  maxLength: limits.idChars,
  pattern: "^(?! +$)[\\p{L}\\p{M}\\p{N}\\p{P}\\p{S} ]+$",
};

const pointer: Schema = { type: "string", pattern: "^(?:/(?:[^~/]|~[01])*)+$" };

const flag = (description: string, byDefault: boolean): Schema => ({
  description,
  type: "boolean",
  default: byDefault,
});

const policy = (kind: string, properties: Schema["properties"], required: readonly string[] = []) =>
  ({
    type: "object",
    properties: { kind: { const: kind }, ...properties },
    required: ["kind", ...required],
    additionalProperties: false,
  }) satisfies Schema;

const quorum: Schema = { type: "integer", minimum: 1, maximum: limits.signalsPerCase };
const parts: Schema = {
  type: "array",
  minItems: 1,
  maxItems: limits.policyNodes,
  items: { $ref: "#/$defs/policy" },
};

/**
 * What `safeagent.config.json` may say. The reader checks by this very schema, and the file
 * `safeagent.config.schema.json`, which editors read, is a copy of it.
 */
export const configSchema: Schema = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  title: "safeagent.config.json",
  description: "How `safeagent mcp` guards the tools of an MCP server.",
  type: "object",
  additionalProperties: false,
  properties: {
    $schema: { type: "string" },
    server: {
      ...name,
      description:
        "Names the server in the ids of cases. Two servers with one name share the cases of tools of one name.",
    },
    namespace: {
      ...name,
      description: "Keeps its cases apart from every other namespace in the same store.",
      default: "default",
    },
    tenant: {
      ...name,
      description:
        "Who calls, where the transport can't tell (stdio, HTTP without authentication). Cases of two tenants are never one.",
    },
    trustAnnotations: flag(
      "Believe the server's readOnlyHint and idempotentHint. False: every tool is guarded as opaque unless its rule says otherwise.",
      true,
    ),
    callIds: flag(
      "Take the ids that Claude Code and Codex give each tool call for the name of the request. False where a model server repeats its ids.",
      true,
    ),
    elicit: flag(
      "Ask the person at the client for approvals, where the client can. False: approvals come by command only.",
      true,
    ),
    approver: {
      ...name,
      description: "The name under which the person at the client approves.",
      default: "person-at-client",
    },
    questionMs: {
      description:
        "Milliseconds for which the person at the client is asked. Then the question is taken back, and the call stays pending.",
      type: "integer",
      minimum: 1,
      maximum: timerMsMax,
      default: 300_000,
    },
    principalHeaders: {
      description:
        "Over HTTP: further headers by which the server knows its callers. Callers who differ in one are never given each other's results.",
      type: "array",
      maxItems: 32,
      uniqueItems: true,
      items: { type: "string", pattern: "^[A-Za-z0-9-]+$" },
    },
    tools: {
      description:
        'Rules by tool name. "*" is for every tool; a named rule overrides it by member.',
      type: "object",
      additionalProperties: { $ref: "#/$defs/rule" },
    },
  },
  $defs: {
    rule: {
      type: "object",
      additionalProperties: false,
      properties: {
        guard: {
          description: "Guard this tool, or leave it alone, whatever the server says of it.",
          type: "boolean",
        },
        key: {
          description:
            'What makes two calls the same effect: text with JSON pointers into the arguments, such as "refund:{/orderId}".',
          ...name,
        },
        shared: flag(
          "The key names one effect for all who call. False: for each authenticated caller or tenant by itself.",
          false,
        ),
        action: {
          ...name,
          description: "Names the effect in the record. Default: the tool's name.",
        },
        keyArgument: {
          ...pointer,
          description:
            "The argument that holds an idempotency key. It never counts for what the arguments are.",
        },
        ignore: {
          description: "Arguments that don't count: free text that a model rewords.",
          type: "array",
          // One place is kept for `keyArgument`.
          maxItems: limits.ignoredPaths - 1,
          uniqueItems: true,
          items: pointer,
        },
        effect: {
          description:
            "What a crash or an error means. opaque: nobody knows, and it is not run again. idempotent: a repeat does no harm.",
          enum: ["opaque", "idempotent"],
        },
        onError: {
          description:
            "What an error of the tool (isError, or a JSON-RPC error after dispatch) says of the effect. Default: by `effect`.",
          enum: ["unknown", "not_performed"],
        },
        windowMs: {
          description:
            "Milliseconds after which an equal call without a key is taken for a new effect; counted from the first one's settlement. null: never.",
          oneOf: [{ type: "integer", minimum: 0, maximum: spanMsMax }, { type: "null" }],
        },
        timeoutMs: {
          description: "Milliseconds the tool may take. Over it, the call is in doubt.",
          type: "integer",
          minimum: 1,
          maximum: spanMsMax,
        },
        waitMs: {
          description: "Milliseconds a repeat waits for the call that is under way.",
          type: "integer",
          minimum: 0,
          maximum: spanMsMax,
        },
        policy: { $ref: "#/$defs/policy" },
      },
    },
    policy: {
      description: "When the call may go on.",
      oneOf: [
        policy("immediate", {}),
        policy("manual", {}),
        policy("approval", {
          need: { type: "integer", minimum: 1, maximum: limits.approvalsPerCase, default: 1 },
          from: {
            type: "array",
            minItems: 1,
            maxItems: limits.policyNames,
            uniqueItems: true,
            items: name,
          },
          expiresInMs: { type: "integer", minimum: 1, maximum: spanMsMax },
        }),
        policy(
          "threshold",
          {
            share: { type: "number", exclusiveMinimum: 0, maximum: 1 },
            quorum,
            weights: {
              type: "object",
              minProperties: 1,
              maxProperties: limits.policyNames,
              additionalProperties: { type: "integer", minimum: 1, maximum: limits.weight },
            },
            byConfidence: { type: "boolean", default: false },
          },
          ["share"],
        ),
        policy("majority", { quorum }, ["quorum"]),
        policy("unanimous", { quorum }, ["quorum"]),
        policy("all", { of: parts }, ["of"]),
        policy("any", { of: parts }, ["of"]),
      ],
    },
  },
};
