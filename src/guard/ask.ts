import { GuardError, type GuardErrorCode } from "../core/errors.ts";
import {
  type CaseId,
  type Fingerprint,
  fingerprintText,
  isName,
  type RequestId,
} from "../core/identity.ts";
import { canonicalJson, type Json, type JsonProblem, without } from "../core/json.ts";
import { defaults, limits } from "../core/limits.ts";
import { immediate, type Policy, policyFault } from "../core/policy.ts";
import type { EffectClass, EffectTerms } from "../core/receipt.ts";
import type { ActionRules, CallOptions, Probe, Run } from "./call.ts";
import type { Platform } from "./platform.ts";

/** What a fingerprint is taken over. */
export interface Content {
  readonly namespace: string;
  readonly action: string;
  /** A frozen copy: what the effect is handed, and what is stored. */
  readonly payload: Json;
  /** The payload's canonical JSON. */
  readonly payloadText: string;
  /** The paths that don't count. */
  readonly ignore: readonly string[];
  /** Known where it comes from a stored case; else computed when it is needed. */
  readonly fingerprint?: Fingerprint | undefined;
}

/** A call that was checked and frozen once, at entry: nothing later looks at the caller's objects. */
export interface Ask extends Content {
  readonly requestId: RequestId;
  readonly caseId: CaseId;
  readonly rules: Rules;
  readonly terms: EffectTerms;
  readonly policy: Policy;
  /** False: the case must have been opened; this call can't bring it to life. */
  readonly opens: boolean;
  readonly timeoutMs: number;
  readonly waitMs: number;
  readonly signal: AbortSignal | undefined;
  readonly actor: string;
  /** The worker that runs it from the queue; null: a caller waits for it. */
  readonly worker: Worker | null;
}

export interface Worker {
  /** Claims of the case, after which it is void where it was not performed. */
  readonly maxAttempts: number;
}

/** The caller's functions, their types checked at the public face. */
export interface Rules {
  readonly run: Run<Json, unknown> | undefined;
  readonly probe: Probe<Json, unknown> | undefined;
  readonly onError: ActionRules<never, unknown>["onError"] | undefined;
}

export interface Entrance {
  readonly namespace: string;
  readonly actor: string;
  readonly waitMs: number;
  /** Whether the store has transactions to share. */
  readonly transactions: boolean;
}

/** Rules of any class, before they are checked. */
export interface AnyRules extends Omit<Partial<ActionRules<never, unknown>>, "effect" | "run"> {
  readonly effect?: EffectClass | undefined;
  readonly run?: (payload: never, ctx: never) => unknown;
}

interface AnyCall extends AnyRules, CallOptions {
  readonly requestId: string;
  readonly caseId?: string | undefined;
  readonly action: string;
  readonly payload: unknown;
}

type AnyContent = Omit<AnyCall, keyof AnyRules | keyof CallOptions> &
  Pick<AnyCall, "policy" | "ignore" | "actor">;

export function admit(call: AnyCall, entrance: Entrance, opens = true): Ask {
  object("The call", call);
  const { content, ids } = admitContent(call, entrance);
  if (typeof call.run !== "function") throw invalid("`run` must be a function.", ids);
  optional("probe", call.probe, typeof call.probe === "function", ids);
  optional("onError", call.onError, typeof call.onError === "function", ids);
  optional("signal", call.signal, call.signal instanceof AbortSignal, ids);
  return {
    ...content,
    rules: {
      run: call.run as Run<Json, unknown>,
      probe: call.probe as Probe<Json, unknown> | undefined,
      onError: call.onError,
    },
    terms: termsOf(call, entrance, ids),
    opens,
    timeoutMs: span("timeoutMs", call.timeoutMs ?? defaults.timeoutMs, 1, ids),
    waitMs: span("waitMs", call.waitMs ?? entrance.waitMs, 0, ids),
    signal: call.signal,
    worker: null,
  };
}

/** What is asked for, by whom, and how it is decided: all but how it is run. */
export type Admitted = Pick<Ask, keyof Content | "requestId" | "caseId" | "policy" | "actor">;

export function admitContent(
  call: AnyContent,
  entrance: Entrance,
): { readonly content: Admitted; readonly ids: Ids } {
  const ids = { requestId: call.requestId, caseId: call.caseId };
  const requestId = name("requestId", call.requestId, ids) as RequestId;
  const caseId = name("caseId", call.caseId ?? requestId, ids) as CaseId;
  const action = name("action", call.action, ids);
  const canonical = canonicalJson(call.payload);
  if (!canonical.ok) throw unkeepable(canonical.path, canonical.problem, ids);
  const content = {
    namespace: entrance.namespace,
    requestId,
    caseId,
    action,
    payload: canonical.value,
    payloadText: canonical.text,
    ignore: call.ignore === undefined ? none : pointers(call.ignore, ids),
    fingerprint: undefined,
    policy: call.policy === undefined ? immediate() : policyOf(call.policy, ids),
    actor: call.actor === undefined ? entrance.actor : name("actor", call.actor, ids),
  };
  return { content, ids };
}

const none: readonly string[] = [];

/** What a crash or an unknown error will mean. */
export function termsOf(
  rules: AnyRules,
  { transactions }: Pick<Entrance, "transactions">,
  ids: Ids = {},
): EffectTerms {
  const settling = () => span("settlingMs", rules.settlingMs ?? defaults.settlingMs, 0, ids);
  const effect = rules.effect ?? (rules.probe === undefined ? "opaque" : "probeable");
  switch (effect) {
    case "opaque":
      if (rules.probe !== undefined) {
        throw invalid("An opaque effect has no probe: leave `effect` or `probe` out.", ids);
      }
      return { class: "opaque" };
    case "idempotent":
      return { class: "idempotent" };
    case "probeable":
      if (rules.probe === undefined) throw invalid("A probeable effect needs a `probe`.", ids);
      return { class: "probeable", settlingMs: settling() };
    case "keyed": {
      const ttlMs = span("keyTtlMs", rules.keyTtlMs ?? defaults.keyTtlMs, 1, ids);
      return { class: "keyed", ttlMs, settlingMs: rules.probe === undefined ? null : settling() };
    }
    case "transactional":
      return transactional(rules, transactions, ids);
  }
  throw invalid("`effect` must be opaque, keyed, probeable, idempotent or transactional.", ids);
}

function transactional(rules: AnyRules, transactions: boolean, ids: Ids): EffectTerms {
  if (rules.probe !== undefined || rules.onError !== undefined) {
    throw invalid(
      "A transactional effect has neither `probe` nor `onError`: what it throws is taken back.",
      ids,
    );
  }
  if (transactions) return { class: "transactional" };
  const facts = "This store has no transactions, so no effect can be transactional.";
  throw new GuardError("invalid_request", facts, {
    ...ids,
    next: "Use SQLite or Postgres, or declare what the effect is without them.",
  });
}

/** The policy as it is now, frozen: what the caller does to it later changes nothing. */
export function policyOf(policy: Policy, ids: Ids = {}): Policy {
  const copy = canonicalJson(policy);
  const kept = (copy.ok ? copy.value : null) as unknown as Policy;
  const fault = policyFault(kept);
  if (fault !== undefined) throw invalid(`The policy can't be used: ${fault}.`, ids);
  return kept;
}

function optional(what: string, value: unknown, fits: boolean, ids: Ids): void {
  if (value !== undefined && !fits) throw invalid(`\`${what}\` is not what it must be.`, ids);
}

/** Computed only where no cheaper comparison has answered. */
export function fingerprintOf(ask: Content, platform: Platform): Fingerprint {
  if (ask.fingerprint !== undefined) return ask.fingerprint;
  const payload = ask.ignore.length === 0 ? ask.payloadText : counted(ask);
  return platform.sha256(fingerprintText(ask.namespace, ask.action, payload)) as Fingerprint;
}

/** The payload less the fields that don't count. */
function counted(ask: Content): string {
  const canonical = canonicalJson(without(ask.payload, ask.ignore));
  return canonical.ok ? canonical.text : ask.payloadText;
}

export interface Ids {
  readonly requestId?: string | undefined;
  readonly caseId?: string | undefined;
}

export function name(what: string, text: unknown, ids: Ids = {}): string {
  if (isName(text)) return text;
  throw invalid(`\`${what}\` must be 1 to ${limits.idChars} printable characters.`, ids);
}

/** A note, reason or evidence: any text of a bounded length. */
export function text(what: string, value: unknown, ids: Ids = {}): string {
  if (typeof value === "string" && value.length <= limits.textChars && value.isWellFormed()) {
    if (value.trim().length > 0) return value;
  }
  throw invalid(`\`${what}\` must be a text of 1 to ${limits.textChars} characters.`, ids);
}

export function span(
  what: string,
  ms: number,
  least: number,
  ids: Ids = {},
  most: number = limits.spanMsMax,
): number {
  if (Number.isInteger(ms) && ms >= least && ms <= most) return ms;
  throw invalid(`\`${what}\` must be a whole number from ${least} to ${most}.`, ids);
}

/** What must be given and be an object: a wrong call is told so, and not met with a TypeError. */
export function object(what: string, value: unknown): void {
  if (typeof value === "object" && value !== null) return;
  throw invalid(`${what} must be an object.`);
}

export function pointers(paths: readonly string[], ids: Ids): readonly string[] {
  const wellFormed =
    Array.isArray(paths) && paths.every((path) => typeof path === "string" && path.startsWith("/"));
  if (wellFormed && paths.length <= limits.ignoredPaths) return [...paths];
  throw invalid(
    `\`ignore\` must be at most ${limits.ignoredPaths} JSON pointers, such as "/note".`,
    ids,
  );
}

export function invalid(facts: string, ids: Ids = {}): GuardError {
  return new GuardError("invalid_request", facts, ids);
}

const problems: { readonly [Problem in JsonProblem]: readonly [GuardErrorCode, string] } = {
  not_json: ["invalid_request", "is not JSON (undefined, a function, BigInt, Date, Map, class …)"],
  not_finite: ["invalid_request", "is NaN or infinite"],
  unsafe_integer: ["invalid_request", "is a whole number beyond 2^53 - 1: send it as text"],
  lone_surrogate: ["invalid_request", "holds half a character (a lone surrogate)"],
  forbidden_key: ["invalid_request", "is a member named __proto__"],
  too_deep: ["over_limit", `is nested more than ${limits.jsonDepth} levels deep, or in a circle`],
  too_many: ["over_limit", `is beyond the ${limits.jsonNodes} members a payload may have`],
  too_large: ["over_limit", `is beyond the ${limits.payloadChars} characters a payload may have`],
};

export function unkeepable(path: string, problem: JsonProblem, ids: Ids): GuardError {
  const [code, says] = problems[problem];
  const place = path === "" ? "The payload" : `The payload at ${JSON.stringify(clipped(path))}`;
  return new GuardError(code, `${place} ${says}.`, ids);
}

function clipped(path: string): string {
  return path.length <= limits.idChars ? path : `${path.slice(0, limits.idChars).toWellFormed()}…`;
}
