import {
  errorTable,
  type GuardError,
  type GuardErrorCode,
  type HeldOutcome,
  isGuardError,
} from "../index.ts";

/** What a request can be refused or held for, beside the codes of `GuardError`. */
export type ProblemCode =
  | GuardErrorCode
  | HeldOutcome["status"]
  | "key_missing"
  | "key_malformed"
  | "body_too_large"
  | "body_unfinished"
  | "body_unreadable"
  | "response_streaming"
  | "response_not_kept"
  | "signature_missing"
  | "signature_wrong"
  | "signature_expired";

/** The body of a refusal: RFC 9457, with what is known of the effect. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  /** What happened to the effect, then the facts, then the next step. */
  readonly detail: string;
  readonly code: ProblemCode;
  /** `none`: nothing was executed by this request; `unknown`: it may have been; `once`: it was, once. */
  readonly effect: "none" | "unknown" | "once";
  /** The same for a model, so that it does the right thing next. */
  readonly forModel?: string;
  /** For whoever looks after the case. It tells neither the principal nor the key. */
  readonly caseId?: string;
  /** Where the code is explained, in the package. */
  readonly docs: string;
}

/**
 * What no client library retries by itself: not 408, 409, 425, 429 or 5xx, which they all do or may,
 * not 413 (some, after `Retry-After`), nor 401 and 421, which have retries of their own.
 */
const lockedStatus = 423;

interface Kind {
  readonly status: number;
  readonly title: string;
  readonly detail: string;
  readonly effect: Problem["effect"];
  /** Seconds after which the same request is worth sending again. */
  readonly retryAfter?: number;
}

type OwnCode = Exclude<ProblemCode, GuardErrorCode>;

const kinds: { readonly [Code in OwnCode]: Kind } = {
  key_missing: {
    status: 400,
    title: "The Idempotency-Key header is missing",
    detail:
      "Nothing was executed. This request needs an Idempotency-Key header. Send one that is new for each action, and the same on every retry of it.",
    effect: "none",
  },
  key_malformed: {
    status: 400,
    title: "The Idempotency-Key header is malformed",
    detail:
      'Nothing was executed. The Idempotency-Key header must come once and hold one text of 1 to 255 printable ASCII characters, such as "8e03978e-40d5".',
    effect: "none",
  },
  body_too_large: {
    status: 413,
    title: "The body is too large",
    detail:
      "Nothing was executed. The body is larger than a request with an idempotency key may have.",
    effect: "none",
  },
  body_unfinished: {
    status: 408,
    title: "The body did not end",
    detail:
      "Nothing was executed. The body did not end in time. A stream without an end can't be compared with a retry: send it whole.",
    effect: "none",
  },
  body_unreadable: {
    status: 415,
    title: "The body can't be compared",
    detail:
      "Nothing was executed. The body could not be read before the handler, so a retry could not be compared with it.",
    effect: "none",
  },
  in_progress: {
    status: 409,
    title: "The request is being executed",
    detail:
      "A request with this key is being executed. Send the same request again to get its answer.",
    effect: "unknown",
    retryAfter: 1,
  },
  in_doubt: {
    status: lockedStatus,
    title: "It is not known whether the request was executed",
    detail:
      "It may have been executed once, and nobody knows. It is kept for a person to check. Don't send it again under another key.",
    effect: "unknown",
  },
  response_streaming: {
    status: lockedStatus,
    title: "The response is a stream",
    detail:
      "It may have been executed once: the handler answered with a stream, which can't be kept or followed to its end. It is kept for a person to check. Don't send it again under another key.",
    effect: "unknown",
  },
  pending: {
    status: lockedStatus,
    title: "The request waits for a decision",
    detail:
      "Nothing was executed. It waits for a decision by others. Send the same request again after the decision.",
    effect: "none",
  },
  not_performed: {
    status: 503,
    title: "The request was not performed",
    detail: "Nothing was executed. The same request may be sent again.",
    effect: "none",
    retryAfter: 1,
  },
  void: {
    status: 410,
    title: "The request has ended without effect",
    detail: "Nothing was executed, and nothing will be. A new action needs a new key.",
    effect: "none",
  },
  response_not_kept: {
    status: 410,
    title: "The response was not kept",
    detail:
      "It was executed, once. Its response can't be given: it was too large to keep, or a person or a probe found out that it happened. Don't send it again under another key.",
    effect: "once",
  },
  signature_missing: {
    status: 400,
    title: "The webhook is not signed",
    detail:
      "Nothing was executed. The headers webhook-id, webhook-timestamp and webhook-signature must all be there, and well-formed.",
    effect: "none",
  },
  signature_wrong: {
    status: 401,
    title: "The webhook's signature is wrong",
    detail:
      "Nothing was executed. No signature of this webhook fits its content and a known secret.",
    effect: "none",
  },
  signature_expired: {
    status: 401,
    title: "The webhook's signature is too old or too new",
    detail: "Nothing was executed. The webhook's timestamp is too far from the receiver's clock.",
    effect: "none",
  },
};

/** Where an error's own message may be shown: it tells of the request, not of the server. */
const tellable: ReadonlySet<GuardErrorCode> = new Set(["invalid_request", "over_limit"]);

function isOwn(code: ProblemCode): code is OwnCode {
  return Object.hasOwn(kinds, code);
}

function guardKind(code: GuardErrorCode): Kind {
  const { http, remedy } = errorTable[code];
  const base = { status: http, title: titles[code], effect: "none" } as const;
  const kind = { ...base, detail: `Nothing was executed by this request. ${remedy}` };
  return http === 503 ? { ...kind, detail: storeDown, retryAfter: 5 } : kind;
}

const storeDown =
  "Nothing was executed by this request. Whether an earlier one was can't be looked up now. Send the same request again later.";

const titles: { readonly [Code in GuardErrorCode]: string } = {
  invalid_request: "The request can't be guarded",
  unauthorized: "The request names nobody",
  forbidden: "The request may not be made",
  not_found: "There is no such case",
  payload_conflict: "The key was used for another request",
  held: "The request is held",
  retired: "The key has ended",
  over_limit: "The request is too large",
  store_unavailable: "The record can't be reached",
  store_contended: "The record is busy",
  store_outdated: "The record is of another version",
  store_corrupt: "The record is damaged",
  broken_invariant: "The guard is defective",
};

interface Facts {
  readonly effect?: Problem["effect"];
  readonly detail?: string | undefined;
  readonly forModel?: string;
  readonly caseId?: string | undefined;
}

/** A problem as a response. */
export function problem(code: ProblemCode, facts: Facts = {}): Response {
  const kind = isOwn(code) ? kinds[code] : guardKind(code);
  const effect = facts.effect ?? kind.effect;
  // Whatever failed: where it may have run, no library is to try again by itself.
  const status = effect === "unknown" && kind.status >= 500 ? lockedStatus : kind.status;
  const body: Problem = {
    type: `urn:safeagent:problem:${code}`,
    title: kind.title,
    status,
    detail: facts.detail ?? kind.detail,
    code,
    effect,
    ...(facts.forModel === undefined ? {} : { forModel: facts.forModel }),
    ...(facts.caseId === undefined ? {} : { caseId: facts.caseId }),
    docs: isOwn(code) ? "docs/http.md#problems" : `docs/errors.md#${code}`,
  };
  const headers: Record<string, string> = {
    "content-type": "application/problem+json",
    "cache-control": "no-store",
  };
  if (status === kind.status && kind.retryAfter !== undefined) {
    headers["retry-after"] = String(kind.retryAfter);
  } else {
    // Read by the clients that Stainless generates (OpenAI's, Anthropic's and others).
    headers["x-should-retry"] = "false";
  }
  const response = new Response(JSON.stringify(body), { status, headers });
  if (effect !== "once") held.add(response);
  return response;
}

const held = new WeakSet<Response>();

/**
 * Whether a guard made this response in the place of a handler's. Another guard's handler may hand it
 * on: it tells of no effect, so it is nothing to keep a key for.
 */
export function isHeld(response: Response): boolean {
  return held.has(response);
}

/** What the guard threw, as a response; anything else is thrown on. */
export function problemOf(error: unknown): Response {
  if (!isGuardError(error)) throw error;
  return problem(error.code, factsOf(error));
}

function factsOf(error: GuardError): Facts {
  const { code, effect, forModel, caseId } = error;
  const unknown = effect === "unknown" ? kinds.in_doubt.detail : undefined;
  return {
    effect,
    forModel,
    caseId,
    detail: tellable.has(code) && effect === "none" ? error.message : unknown,
  };
}
