import { createHash } from "node:crypto";
import { GuardError, limits } from "../index.ts";
import type { ProxyConfig } from "./config.ts";
import type { CallParams } from "./frame.ts";
import { fillTemplate } from "./key-template.ts";
import { canonical, pointedTo, without } from "./plain-json.ts";
import type { Guarded } from "./treatment.ts";

/**
 * Which effect a call asks for, and by which name it asks. In this order:
 *
 * 1. The key template of the config, filled with the arguments: the case. A model that makes up a
 *    new idempotency key for each try still asks for the same case.
 * 2. An explicit key (`_meta`, `params.idempotencyKey`, the configured argument). Beside a template it
 *    names the request, so that the same key for another effect is a conflict; alone, the case.
 * 3. Who calls, server, tool and the arguments' hash: the case, where there is nothing better. Two
 *    calls with equal arguments are then one effect, until `windowMs` after it was settled.
 *
 * The id that the client gives the model's tool call names the request. It survives a resumed
 * session; a model that asks again gets a new one, so it is never a case.
 *
 * Never: the JSON-RPC id (it starts again with each client, and a call that is sent again must have
 * a new one), `progressToken`, the session's id, `requestState`.
 */
export interface Identity {
  readonly caseId: string;
  /** Where the call has a name of its own. */
  readonly requestId: string | undefined;
  readonly from: "template" | "key" | "arguments";
  /** The arguments as the guard keeps them. */
  readonly payload: unknown;
  /** False: the payload is but the arguments' hash. */
  readonly isWhole: boolean;
  /** Pointers to what doesn't count in the payload. */
  readonly ignore: readonly string[];
  /** Of the arguments that count: tells whether two calls ask for the same. */
  readonly digest: string;
}

/**
 * @throws GuardError `invalid_request` where a call contradicts itself, or what names its effect is
 * missing; `over_limit` where it waits for a decision and is too large to be shown
 */
export function identityOf(
  params: CallParams,
  treatment: Guarded,
  config: ProxyConfig,
  principal: string | undefined,
): Identity {
  const { rule } = treatment;
  const ignore = [
    ...(rule.ignore ?? []),
    ...(rule.keyArgument === undefined ? [] : [rule.keyArgument]),
  ];
  const whole = canonical(params.arguments);
  const digest = sha256(canonical(without(params.arguments, ignore)).text);
  const isWhole = whole.text.length <= limits.payloadChars && whole.nodes <= limits.jsonNodes;
  if (!isWhole && treatment.policy !== undefined && treatment.policy.kind !== "immediate") {
    throw unshowable();
  }
  // A file that is written may be larger than what the guard keeps: its hash stands for it.
  const short = { argumentsSha256: digest, characters: whole.text.length };
  const kept = isWhole
    ? { isWhole, ignore, payload: params.arguments }
    : { isWhole, ignore: ["/characters"], payload: short };

  const who = principal === undefined ? "" : `@${encoded(principal)}/`;
  const place = `${who}${encoded(config.server)}`;
  const tool = `${place}/${encoded(params.name)}`;
  const key = explicitKey(params, rule.keyArgument);
  const keyName = key === undefined ? undefined : `mcp:key/${tool}/${encoded(key)}`;
  const callName = config.callIds ? callIdOf(params) : undefined;
  const callId = callName === undefined ? undefined : `mcp:call/${place}/${callName}`;

  if (rule.key !== undefined) {
    const filled = fillTemplate(rule.key, params.arguments);
    // No key can be read for another caller's, nor for one of the names made here.
    const own = /^(@|mcp:)/.test(filled) ? `@/${filled}` : filled;
    const caseId = bounded(rule.shared === true || who === "" ? own : `${who}${filled}`);
    return { ...kept, digest, caseId, requestId: named(keyName ?? callId), from: "template" };
  }
  if (keyName !== undefined) {
    return { ...kept, digest, caseId: bounded(keyName), requestId: named(callId), from: "key" };
  }
  const caseId = bounded(`mcp:args/${tool}/${digest}`);
  return { ...kept, digest, caseId, requestId: named(callId), from: "arguments" };
}

/** The key that the caller chose for this effect. */
function explicitKey(params: CallParams, keyArgument: string | undefined): string | undefined {
  const given = [
    params._meta["idempotency-key"],
    params._meta.idempotency_key,
    params.idempotencyKey,
    keyArgument === undefined ? undefined : pointedTo(params.arguments, keyArgument),
  ].filter((key) => key !== undefined && key !== null);
  const [key] = given;
  if (key === undefined) return undefined;
  if (given.some((other) => other !== key)) throw wrongKey("It gives two different ones.");
  if (typeof key !== "string" || key === "" || key.length > limits.idChars) {
    throw wrongKey(`It must be a text of 1 to ${limits.idChars} characters.`);
  }
  return key;
}

/** Of what is too large only a hash is kept: nobody could be shown what would run. */
function unshowable(): GuardError {
  return new GuardError(
    "over_limit",
    `The call waits for a decision, and its arguments are over ${limits.payloadChars} characters or ${limits.jsonNodes} members: who decides could not see them.`,
    { forModel: "Not executed: the arguments are too large for a call that must be approved." },
  );
}

function wrongKey(facts: string): GuardError {
  return new GuardError("invalid_request", `The call's idempotency key can't be used. ${facts}`);
}

/** The client's own name for the model's tool call, as Claude Code and Codex send it. */
function callIdOf({ _meta }: CallParams): string | undefined {
  const { threadId, callId } = _meta;
  const toolUseId = _meta["claudecode/toolUseId"];
  if (isGiven(toolUseId)) return `claudecode/${encoded(toolUseId)}`;
  if (isGiven(threadId) && isGiven(callId)) return `codex/${encoded(threadId)}/${encoded(callId)}`;
  return undefined;
}

function isGiven(text: unknown): text is string {
  return typeof text === "string" && text !== "";
}

/** One part of an id, so that no two lists of parts make the same id. */
function encoded(part: string): string {
  if (part.isWellFormed()) return encodeURIComponent(part);
  throw new GuardError("invalid_request", "A name in the call holds half a character.");
}

function named(requestId: string | undefined): string | undefined {
  return requestId === undefined ? undefined : bounded(requestId);
}

/** An id of bounded length: of a longer one, its beginning and the hash of the whole. */
function bounded(id: string): string {
  // Room is left for the number that a later case of the same arguments gets.
  if (id.length <= limits.idChars - 15) return id;
  return `${id.slice(0, 120).toWellFormed()}#${sha256(id)}`;
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
