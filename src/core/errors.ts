import type { Outcome } from "./outcome.ts";

export type GuardErrorCode =
  | "invalid_request"
  | "unauthorized"
  | "forbidden"
  | "not_found"
  | "payload_conflict"
  | "held"
  | "retired"
  | "over_limit"
  | "store_unavailable"
  | "store_contended"
  | "store_outdated"
  | "store_corrupt"
  | "broken_invariant";

/** What a code is to HTTP, to a shell, and to the person who has to act. */
export interface ErrorKind {
  readonly http: number;
  readonly exit: number;
  readonly remedy: string;
}

/** Every code of the guard's errors, in one table. Codes are API: added, never renamed. */
export const errorTable: { readonly [Code in GuardErrorCode]: ErrorKind } = {
  invalid_request: { http: 400, exit: 2, remedy: "Correct the call and make it again." },
  unauthorized: { http: 401, exit: 4, remedy: "Say who you are." },
  forbidden: { http: 403, exit: 4, remedy: "Let somebody do it who may." },
  not_found: { http: 404, exit: 3, remedy: "Check the id, the namespace and the store." },
  payload_conflict: {
    http: 422,
    exit: 4,
    remedy: "A retry must send what was sent first; a new action needs a new id.",
  },
  held: { http: 409, exit: 4, remedy: "See the outcome: it says what to wait for." },
  retired: {
    http: 410,
    exit: 4,
    remedy: "This id has ended for good. A new action needs a new id.",
  },
  over_limit: { http: 413, exit: 4, remedy: "Make it smaller, or ask less often." },
  store_unavailable: { http: 503, exit: 7, remedy: "Mend the store, then call again." },
  store_contended: { http: 503, exit: 7, remedy: "Call again in a moment." },
  store_outdated: {
    http: 500,
    exit: 7,
    remedy: "Run the version of SafeAgent that wrote this store.",
  },
  store_corrupt: { http: 500, exit: 7, remedy: "Restore the store from a backup; keep this copy." },
  broken_invariant: {
    http: 500,
    exit: 1,
    remedy: "This is a defect in SafeAgent: please report it.",
  },
};

/** What is known of the effect: `none`, it did not run by this call; `unknown`, it may have. */
export type EffectKnown = "none" | "unknown";

export interface GuardErrorOptions {
  readonly effect?: EffectKnown;
  readonly requestId?: string | undefined;
  readonly caseId?: string | undefined;
  readonly next?: string;
  readonly forModel?: string;
  /** What happened to the effect, where there is more to say than "nothing by this call". */
  readonly first?: string;
  /** What `wrap` holds back: the whole outcome, where the code is `held`. */
  readonly outcome?: Outcome;
  /** Of a store's error: waiting won't mend it, a person must. */
  readonly lasting?: boolean;
  readonly cause?: unknown;
}

const marker = Symbol.for("safeagent.GuardError");
const untouched = "Nothing was executed.";
const docsPage = "docs/errors.md";

/**
 * The one error of the guard. Its message says first what happened to the effect, then the facts,
 * then the next step; it never holds a payload's values.
 */
export class GuardError extends Error {
  override readonly name = "GuardError";
  readonly code: GuardErrorCode;
  readonly effect: EffectKnown;
  readonly requestId: string | undefined;
  readonly caseId: string | undefined;
  /** The next step, for a person. */
  readonly next: string;
  /** The same for a model: it must not take a refusal for a failure to be tried again. */
  readonly forModel: string;
  /** Where this code is explained, in the package. */
  readonly docs: string;
  readonly outcome: Outcome | undefined;
  /** Whether the store can't be used until a person has done what `next` says: it is not tried again by itself. */
  readonly lasting: boolean;
  constructor(code: GuardErrorCode, facts: string, options: GuardErrorOptions = {}) {
    const held = options.outcome?.status === "settled" ? undefined : options.outcome;
    const effect = held?.effect ?? options.effect ?? "none";
    const next = held?.next ?? options.next ?? errorTable[code].remedy;
    const known = effect === "none" ? untouched : "It may have been executed.";
    const first = options.first ?? known;
    // An outcome's own text says first what happened to the effect.
    const message = held === undefined ? `${first} ${facts} ${next}` : held.next;
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.code = code;
    this.effect = effect;
    this.requestId = options.requestId;
    this.caseId = options.caseId;
    this.next = next;
    this.forModel = held?.forModel ?? options.forModel ?? modelText(code, effect);
    this.docs = `${docsPage}#${code}`;
    this.outcome = options.outcome;
    this.lasting = options.lasting ?? false;
    Object.defineProperty(this, marker, { value: true });
  }
}

/** The facts of an error's message alone, where what they are told in says the rest. */
export function factsOf({ message, next }: GuardError): string {
  const from = message.startsWith(untouched) ? untouched.length : 0;
  return message.slice(from, message.length - next.length).trim();
}

function modelText(code: GuardErrorCode, effect: EffectKnown): string {
  if (effect === "unknown") {
    return "Unknown whether this ran. Do not call it again. A person is checking; continue with other work.";
  }
  switch (code) {
    case "invalid_request":
    case "over_limit":
      return "Not executed: the arguments are not acceptable. Correct them before calling again.";
    case "payload_conflict":
      return "Not executed: something else was asked for under this name before. Do not try another name; tell the person who asked.";
    case "retired":
      return "Not executed by this call: this name was used before and is closed. Do not call it again, and not under another name; tell the person who asked.";
    case "unauthorized":
    case "forbidden":
    case "not_found":
    case "held":
    case "broken_invariant":
      return "Not executed. Do not call again now; say that it is not done, and continue with other work.";
    case "store_unavailable":
    case "store_contended":
    case "store_outdated":
    case "store_corrupt":
      return "Not executed by this call; whether an earlier one did it can't be looked up now. Do not call again now; say that it is not known, and continue with other work.";
  }
}

/**
 * Whether a value is the guard's error, and of this code. By marker, not by `instanceof`, so that it
 * holds across two copies of the package.
 *
 * @example if (isGuardError(error, "payload_conflict")) …
 */
export function isGuardError(error: unknown, code?: GuardErrorCode): error is GuardError {
  if (typeof error !== "object" || error === null || !(marker in error)) return false;
  return code === undefined || ("code" in error && error.code === code);
}

/** Whether the store, not the call, is what failed. */
export function isStoreTrouble(error: unknown): error is GuardError {
  return isGuardError(error) && error.code.startsWith("store_");
}

const notPerformedMarker = Symbol.for("safeagent.NotPerformed");

/**
 * Thrown by an effect that certainly did not happen, so that it may be asked again. With
 * `{ final: true }` it never will be: the case is void.
 *
 * @example if (reply.status === 422) throw new NotPerformed("the card was declined", { final: true });
 */
export class NotPerformed extends Error {
  override readonly name = "NotPerformed";
  /** The case ends here, without effect. */
  readonly final: boolean;
  constructor(reason: string, options: { final?: boolean; cause?: unknown } = {}) {
    super(reason, options.cause === undefined ? {} : { cause: options.cause });
    this.final = options.final ?? false;
    Object.defineProperty(this, notPerformedMarker, { value: true });
  }
}

export function isNotPerformed(error: unknown): error is NotPerformed {
  return typeof error === "object" && error !== null && notPerformedMarker in error;
}

/** A check on ourselves: what it says can't be false in a correct program. */
export function assert(condition: boolean, invariant: string): asserts condition {
  if (!condition) {
    throw new GuardError("broken_invariant", `Broken: ${invariant}.`, { effect: "unknown" });
  }
}
