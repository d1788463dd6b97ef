import { type Guard, GuardError, type Policy, type Probe } from "../index.ts";
import type { Body, BodyBounds } from "./body.ts";
import { headersToKeep } from "./kept.ts";

/** What the guard is given as the payload of a request: what a retry has to repeat. */
export interface RequestPayload {
  readonly method: string;
  readonly path: string;
  /** With its `?`; empty where there is none. */
  readonly query: string;
  readonly contentType: string | null;
  readonly body: Body;
}

/** What a status says about the effect. */
export type StatusMeaning = "receipt" | "not_performed" | "unknown";

/** How requests are guarded. `R` is the framework's request. */
export type IdempotencyOptions<R = Request> = Tenancy<R> & IdempotencyRules;

/** Whose key it is. */
export type Tenancy<R> =
  | {
      /**
       * Names who asks, as it was authenticated: two principals never see each other's answers. 1 to
       * 255 printable characters; undefined: nobody, and the request is refused with 401. It is also
       * the actor, so nobody approves a request of their own.
       */
      readonly principal: (request: R) => string | undefined | Promise<string | undefined>;
      readonly singleTenant?: never;
    }
  /** All callers are one: whoever sends a key gets its answer. */
  | { readonly singleTenant: true; readonly principal?: never };

export interface IdempotencyRules {
  /** Names the effect in the record. Default `"http.request"`. */
  readonly action?: string;
  /** Whether a request without a key is refused, or runs unguarded. Default true: it is refused. */
  readonly required?: boolean;
  /** Bytes of a request's body. Default 1,048,576; JSON that a parser of the server has read has the guard's own bound besides. */
  readonly bodyBytes?: number;
  /** Milliseconds for a body to end. Default 30,000. */
  readonly bodyMs?: number;
  /** Names of response headers to keep for a replay, beside those that describe the body and its place. */
  readonly keepHeaders?: readonly string[];
  /** What a handler's status says. Default: below 500 a receipt, from 500 on unknown. */
  readonly means?: (status: number) => StatusMeaning;
  /** JSON pointers (RFC 6901) of fields of a JSON body that a retry may change: free text that a model rewords. Not together with a `policy` that waits. */
  readonly ignore?: readonly string[];
  /** When a request is final: who has to approve it. Default: at once. */
  readonly policy?: Policy;
  /** What a crash, an error or an unknown status means. Default: `probeable` with a `probe`, else `opaque`. */
  readonly effect?: "opaque" | "keyed" | "idempotent" | "probeable";
  /** Asks the world whether a request's effect happened, and what to answer it with. */
  readonly probe?: Probe<RequestPayload, Response>;
  /** Milliseconds for which what the handler calls honours the key. Default 23 hours. */
  readonly keyTtlMs?: number;
  /** Milliseconds for which a lost handler may still be under way. Default 5,000. */
  readonly settlingMs?: number;
  /** Milliseconds a handler may take to its response's end. Default 300,000. Over it: by `effect`. */
  readonly timeoutMs?: number;
  /** Milliseconds to wait for a twin that is under way, before 409. Default 0. */
  readonly waitMs?: number;
}

/** Options, checked once. */
export interface Settings<R> extends BodyBounds {
  readonly guard: Guard;
  readonly action: string;
  readonly required: boolean;
  readonly principal: ((request: R) => string | undefined | Promise<string | undefined>) | null;
  readonly keepHeaders: ReadonlySet<string>;
  readonly means: (status: number) => StatusMeaning;
  readonly ignore: readonly string[];
  readonly waitMs: number;
  readonly probe: Probe<RequestPayload, Response> | undefined;
  readonly terms: Pick<
    IdempotencyRules,
    "policy" | "effect" | "keyTtlMs" | "settlingMs" | "timeoutMs"
  >;
}

/** @throws GuardError `invalid_request` for options that can't be meant */
export function settingsOf<R>(guard: Guard, options: IdempotencyOptions<R>): Settings<R> {
  if (typeof guard?.execute !== "function") throw invalid("The guard must be one of createGuard.");
  if (typeof options !== "object" || options === null) throw invalid("The options must be given.");
  const { principal, singleTenant, means = byClass, ignore = [], waitMs = 0 } = options;
  if (typeof principal !== "function" && singleTenant !== true) {
    throw new GuardError("invalid_request", "It must be said whose a key is.", {
      next: "Give `principal`: (request) => the authenticated caller's name, or say `singleTenant: true`.",
    });
  }
  if (typeof means !== "function") throw invalid("`means` must be a function.");
  if (!ignore.every((path) => typeof path === "string" && path.startsWith("/"))) {
    throw invalid('`ignore` must be JSON pointers, such as "/note".');
  }
  const { policy, effect, probe, keyTtlMs, settlingMs, timeoutMs } = options;
  if (ignore.length > 0 && policy !== undefined && policy.kind !== "immediate") {
    throw new GuardError("invalid_request", "`ignore` can't go with a policy that waits.", {
      next: "Leave one of them out: what is approved is the first request, and a retry's fields would run.",
    });
  }
  return {
    guard,
    action: options.action ?? "http.request",
    required: options.required ?? true,
    principal: principal ?? null,
    keepHeaders: headersToKeep(options.keepHeaders),
    means,
    ignore: ignore.map((path) => `/body/json${path}`),
    bodyBytes: whole("bodyBytes", options.bodyBytes ?? 1_048_576),
    bodyMs: whole("bodyMs", options.bodyMs ?? 30_000),
    waitMs,
    probe,
    terms: {
      ...(policy === undefined ? {} : { policy }),
      ...(effect === undefined ? {} : { effect }),
      ...(keyTtlMs === undefined ? {} : { keyTtlMs }),
      ...(settlingMs === undefined ? {} : { settlingMs }),
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    },
  };
}

/** A handler that answers below 500 has decided; one that answers above may have failed half-way. */
function byClass(status: number): StatusMeaning {
  return status < 500 ? "receipt" : "unknown";
}

export function whole(what: string, value: number): number {
  // The longest that a timer can be set to.
  if (Number.isInteger(value) && value >= 1 && value <= 2_147_483_647) return value;
  throw invalid(`\`${what}\` must be a whole number from 1 to 2,147,483,647.`);
}

export function invalid(facts: string): GuardError {
  return new GuardError("invalid_request", facts);
}
