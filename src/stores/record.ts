import type {
  Case,
  Claim,
  Deliberating,
  Deliberation,
  Doubt,
  Executing,
  Final,
  InDoubt,
  Intent,
  Past,
  Retired,
  Settled,
  Void,
} from "../core/case.ts";
import { GuardError } from "../core/errors.ts";
import { frozen, type Json } from "../core/json.ts";
import type { Policy } from "../core/policy.ts";
import type { EffectTerms, NoneReceipt, OnceReceipt } from "../core/receipt.ts";
import type { Signal } from "../core/signal.ts";
import type { Approval, Decision, Tally, Verdict } from "../core/verdict.ts";

/** A case as text. JSON as it stands: a receipt must come back byte for byte, so no order is changed. */
export function caseText(kase: Case): string {
  return JSON.stringify(kase);
}

/**
 * Reads a case back, frozen. Whatever it does not understand to the last member it refuses
 * (`store_corrupt`): a record half understood would be acted on.
 */
export function readCase(text: string): Case {
  let value: unknown;
  let fault: string | undefined;
  try {
    value = JSON.parse(text);
    fault = anyCase(value);
  } catch (cause) {
    // Not JSON, or nested deeper than the stack goes.
    throw corrupt("it is not JSON that can be read", cause);
  }
  if (fault !== undefined) throw corrupt(`member "${fault}" is not as this version writes it`);
  // Checked member by member just now.
  return value as Case;
}

export function corrupt(what: string, cause?: unknown): GuardError {
  return new GuardError("store_corrupt", `A record in the store is not understood: ${what}.`, {
    cause,
  });
}

/** The path of the first member that is wrong, "" for the value itself; undefined: all is well. */
type Check = (value: unknown) => string | undefined;
/** One check for each member, so that a member added to the type doesn't compile until it is checked. */
type Members<T> = { readonly [Name in keyof T]-?: Check };

const when =
  (accepts: (value: unknown) => boolean): Check =>
  (value) =>
    accepts(value) ? undefined : "";

const text = when((value) => typeof value === "string");
const name = when((value) => typeof value === "string" && value !== "");
const time = when((value) => Number.isFinite(value));
const count = when((value) => Number.isSafeInteger(value) && (value as number) >= 0);
const positive = when((value) => Number.isSafeInteger(value) && (value as number) >= 1);
const flag = when((value) => typeof value === "boolean");
const sha256 = when((value) => typeof value === "string" && /^[0-9a-f]{64}$/.test(value));

const json: Check = (value) => {
  if (value === undefined) return "";
  frozen(value as Json);
  return undefined;
};

function word(...words: readonly string[]): Check {
  return when((value) => words.includes(value as string));
}

function nullable(check: Check): Check {
  return (value) => (value === null ? undefined : check(value));
}

function optional(check: Check): Check {
  return (value) => (value === undefined ? undefined : check(value));
}

function list(check: Check): Check {
  return (value) => {
    if (!Array.isArray(value)) return "";
    for (let index = 0; index < value.length; index += 1) {
      const fault = check(value[index]);
      if (fault !== undefined) return `${index}/${fault}`;
    }
    Object.freeze(value);
    return undefined;
  };
}

function numbersByName(check: Check): Check {
  return (value) => {
    if (!isObject(value)) return "";
    for (const [key, member] of Object.entries(value)) if (check(member) !== undefined) return key;
    Object.freeze(value);
    return undefined;
  };
}

/** Exactly these members: one more may be what forbids the next step. */
function shape<T>(members: Members<T>): Check {
  const names = Object.keys(members);
  const checks = Object.values(members) as Check[];
  return (value) => {
    if (!isObject(value)) return "";
    let present = 0;
    for (let index = 0; index < names.length; index += 1) {
      const key = names[index] as string;
      const member = value[key];
      if (member !== undefined) present += 1;
      const fault = (checks[index] as Check)(member);
      if (fault !== undefined) return fault === "" ? key : `${key}/${fault}`;
    }
    const keys = Object.keys(value);
    if (keys.length !== present) return keys.find((key) => !names.includes(key)) ?? "";
    Object.freeze(value);
    return undefined;
  };
}

/** One of several shapes, told apart by one member. */
function variant(tag: string, shapes: { readonly [word: string]: Check }): Check {
  const table = new Map(Object.entries(shapes));
  return (value) => {
    if (!isObject(value)) return "";
    return (table.get(value[tag] as string) ?? (() => tag))(value);
  };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

type Kind<K extends Policy["kind"]> = Extract<Policy, { readonly kind: K }>;
type Terms<C extends EffectTerms["class"]> = Extract<EffectTerms, { readonly class: C }>;

const kind = text;
const quorate = shape<Kind<"majority">>({ kind, quorum: count });
const combined = shape<Kind<"all">>({ kind, of: list((value) => policy(value)) });
const policy: Check = variant("kind", {
  immediate: shape<Kind<"immediate">>({ kind }),
  manual: shape<Kind<"manual">>({ kind }),
  threshold: shape<Kind<"threshold">>({
    kind,
    sharePpm: count,
    quorum: count,
    weights: nullable(numbersByName(count)),
    byConfidence: flag,
  }),
  majority: quorate,
  unanimous: quorate,
  approval: shape<Kind<"approval">>({
    kind,
    need: count,
    from: nullable(list(text)),
    expiresInMs: nullable(time),
  }),
  all: combined,
  any: combined,
});

const signal = shape<Signal>({
  signalId: text,
  source: text,
  outcome: text,
  confidencePpm: count,
  at: time,
});

const approval = shape<Approval>({
  actor: text,
  approved: flag,
  fingerprint: text,
  note: nullable(text),
  at: time,
});

const deliberation = shape<Deliberation>({
  policy,
  outcomes: nullable(list(text)),
  allow: nullable(list(text)),
  signals: list(signal),
  approvals: list(approval),
  decision: nullable(shape<Decision>({ outcome: text, by: text, reason: text, at: time })),
  late: list(signal),
  verdict: shape<Verdict>({
    status: word("undecided", "final", "denied"),
    outcome: nullable(text),
    tally: list(shape<Tally>({ outcome: text, sources: list(text) })),
    why: text,
  }),
  expiresAt: nullable(time),
});

const intent = shape<Intent>({
  action: name,
  payload: json,
  fingerprint: name,
  proposer: text,
  queued: nullable(name),
});

const terms = variant("class", {
  opaque: shape<Terms<"opaque">>({ class: text }),
  keyed: shape<Terms<"keyed">>({ class: text, ttlMs: time, settlingMs: nullable(time) }),
  probeable: shape<Terms<"probeable">>({ class: text, settlingMs: time }),
  idempotent: shape<Terms<"idempotent">>({ class: text }),
  transactional: shape<Terms<"transactional">>({ class: text }),
});

const doubt = shape<Doubt>({
  fence: positive,
  since: time,
  reason: word("lease_ended", "threw", "timed_out", "ended_itself"),
  error: nullable(text),
  probes: count,
  probeAt: nullable(time),
});

const claim = shape<Claim>({
  fence: positive,
  holder: name,
  by: text,
  requestId: name,
  terms,
  startedAt: time,
  firstStartedAt: time,
  earlierDoubt: nullable(doubt),
});

const onceReceipt = shape<OnceReceipt>({
  settlementId: name,
  effect: word("once"),
  namespace: name,
  caseId: name,
  requestId: name,
  action: name,
  fingerprint: name,
  outcome: nullable(text),
  value: optional(json),
  valueForm: word("exact", "converted", "omitted"),
  source: word("effect", "late", "probe", "resolved"),
  effectClass: word("opaque", "keyed", "probeable", "idempotent", "transactional"),
  fence: positive,
  startedAt: time,
  settledAt: time,
  by: text,
  evidence: nullable(text),
});

const noneReceipt = shape<NoneReceipt>({
  settlementId: name,
  effect: word("none"),
  namespace: name,
  caseId: name,
  action: nullable(name),
  fingerprint: nullable(name),
  outcome: nullable(text),
  reason: word("rejected", "denied", "expired", "not_performed", "withdrawn"),
  note: nullable(text),
  settledAt: time,
  by: text,
});

const common = {
  namespace: name,
  caseId: name,
  version: positive,
  entries: positive,
  createdAt: time,
  updatedAt: time,
  state: text,
};

const deliberating = shape<Deliberating>({ ...common, deliberation, intent: nullable(intent) });
const asked = nullable(deliberation);
const shapes: { readonly [State in Case["state"]]: Check } = {
  OPEN: deliberating,
  RESOLVED_PROVISIONAL: deliberating,
  IN_RECONCILIATION: deliberating,
  FINAL: shape<Final>({
    ...common,
    deliberation: asked,
    intent: nullable(intent),
    past: nullable(shape<Past>({ claim, reason: text })),
    runAt: nullable(time),
  }),
  EXECUTING: shape<Executing>({ ...common, deliberation: asked, intent, claim, leaseUntil: time }),
  IN_DOUBT: shape<InDoubt>({ ...common, deliberation: asked, intent, claim, doubt }),
  SETTLED: shape<Settled>({ ...common, deliberation: asked, intent, receipt: onceReceipt }),
  VOID: shape<Void>({
    ...common,
    deliberation: asked,
    intent: nullable(intent),
    fence: count,
    receipt: noneReceipt,
  }),
  RETIRED: shape<Retired>({
    ...common,
    fingerprint: nullable(name),
    effect: word("once", "none"),
    outcome: nullable(text),
    settlementId: name,
    receiptHash: sha256,
    journalHash: sha256,
    requests: list(name),
  }),
};
const anyCase = variant("state", shapes);
