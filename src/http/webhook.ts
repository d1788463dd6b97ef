import type { EffectContext, Guard, Json, Outcome, Probe } from "../index.ts";
import { bodyOfBytes, jsonOf, readBody, sha256 } from "./body.ts";
import { problem, problemOf } from "./problem.ts";
import { invalid, whole } from "./settings.ts";
import { isSigned, secretsOf, signedOf } from "./signature.ts";

/** A webhook whose signature was found right. */
export interface WebhookEvent {
  /** The sender's name for it, the same on each redelivery: `webhook-id`. */
  readonly id: string;
  /** When this delivery was sent, in milliseconds since 1970. */
  readonly sentAt: number;
  /** The body's JSON; undefined where it is none. */
  readonly json: Json | undefined;
  /** The body as it was signed. */
  readonly bytes: Uint8Array;
}

/** Does what a webhook asks for. Its value goes into the receipt, not to the sender. */
export type WebhookHandler = (event: WebhookEvent, effect: EffectContext) => unknown;

/** How webhooks are verified and guarded. */
export interface WebhookOptions {
  /** The sender's secret, `whsec_…`, or several while it is changed. */
  readonly secret: string | readonly string[];
  /** Names the effect in the record, and keeps the ids of one sender apart from another's: one for each sender. */
  readonly action: string;
  /**
   * Which effect a webhook asks for, where a sender may tell of one by several webhooks: a business
   * fact. Default: the webhook's id. What may differ between them has to be in `ignore`.
   */
  readonly key?: (event: WebhookEvent) => string;
  /**
   * JSON pointers (RFC 6901) of fields of the body that a redelivery may change. A body that JSON's
   * canonical form can't say is then refused, where otherwise its bytes are compared.
   */
  readonly ignore?: readonly string[];
  /** Milliseconds that a webhook's timestamp may be from this machine's clock. Default 300,000. */
  readonly toleranceMs?: number;
  /** What a crash or an error means. Default: `probeable` with a `probe`, else `opaque`. */
  readonly effect?: "opaque" | "keyed" | "idempotent" | "probeable";
  /** Asks the world whether a webhook's effect happened. */
  readonly probe?: Probe<unknown, unknown>;
  /** Milliseconds for which what the handler calls honours the key. Default 23 hours. */
  readonly keyTtlMs?: number;
  /** Milliseconds for which a lost handler may still be under way. Default 5,000. */
  readonly settlingMs?: number;
  /** Milliseconds the handler may run. Default 300,000. */
  readonly timeoutMs?: number;
  /** Bytes of a body. Default 1,048,576. */
  readonly bodyBytes?: number;
  /** Milliseconds for a body to end. Default 30,000. */
  readonly bodyMs?: number;
  /** For tests: milliseconds since 1970. */
  readonly clock?: () => number;
}

/**
 * Receives webhooks signed as Standard Webhooks asks for, and runs the handler once for each,
 * however often the sender delivers it. The answer's status makes the sender deliver it again only
 * where that is of use.
 *
 * @throws GuardError `invalid_request` for wrong options
 * @example
 * export const POST = webhook(guard, { secret: env.WEBHOOK_SECRET, action: "billing.webhook" },
 *   async ({ json }) => ship(json));
 */
export function webhook(
  guard: Guard,
  options: WebhookOptions,
  handler: WebhookHandler,
): (request: Request) => Promise<Response> {
  if (typeof handler !== "function") throw invalid("The handler must be a function.");
  const { action, key, ignore = [], clock = Date.now, ...terms } = options;
  const { secret, toleranceMs = 300_000, bodyBytes = 1_048_576, bodyMs = 30_000, ...rules } = terms;
  const secrets = secretsOf(secret);
  if (typeof action !== "string" || action === "") throw invalid("`action` must be given.");
  whole("toleranceMs", toleranceMs);
  const bounds = {
    bodyBytes: whole("bodyBytes", bodyBytes),
    bodyMs: whole("bodyMs", bodyMs),
  };
  // What a redelivery brings: nothing, where the first one's end can't change any more.
  const repeatable = rules.probe !== undefined || (rules.effect ?? "opaque") !== "opaque";

  return async (request) => {
    const signed = signedOf(request.headers);
    if (signed === undefined) return problem("signature_missing");
    const sentAt = Number(signed.timestamp) * 1_000;
    if (Math.abs(clock() - sentAt) > toleranceMs) return problem("signature_expired");
    const bytes = await bytesOf(request, bounds);
    if (typeof bytes === "string") return problem(bytes);
    if (!(await isSigned(signed, bytes, secrets))) return problem("signature_wrong");

    const event: WebhookEvent = { id: signed.id, sentAt, json: jsonOf(bytes), bytes };
    try {
      const requestId = await nameOf(action, "id", signed.id);
      const caseId = key === undefined ? requestId : await nameOf(action, "key", keyed(key, event));
      const outcome = await guard.execute<unknown, unknown>({
        ...rules,
        requestId,
        caseId,
        action,
        // Its JSON is compared by value where it can be, whatever the content type says.
        payload: { body: await bodyOfBytes(bytes, "application/json", { ignore }) },
        waitMs: 0,
        ...(ignore.length === 0 ? {} : { ignore: ignore.map((path) => `/body/json${path}`) }),
        onError: () => "unknown",
        run: (_, effect) => handler(event, effect),
      });
      return answerTo(outcome, repeatable);
    } catch (error) {
      return problemOf(error);
    }
  };
}

function keyed(key: NonNullable<WebhookOptions["key"]>, event: WebhookEvent): string {
  const text: unknown = key(event);
  if (typeof text === "string" && text !== "") return text;
  throw invalid("`key` must give a text: it names the effect that the webhook asks for.");
}

/** What a sender is told. It reads the status alone: 2xx is the end, anything else comes again. */
function answerTo(outcome: Outcome<unknown>, repeatable: boolean): Response {
  switch (outcome.status) {
    case "settled": {
      const headers: Record<string, string> = outcome.replayed
        ? { "idempotent-replayed": "true" }
        : {};
      return new Response(null, { status: 204, headers });
    }
    case "not_performed":
    case "pending":
      // Nothing has happened, so the next delivery may bring it about.
      return later(outcome);
    case "in_progress":
      // By the next delivery it is known how this one ends.
      return problem("in_progress", { caseId: outcome.case.caseId });
    case "in_doubt":
      return repeatable ? later(outcome) : over(outcome);
    case "void":
      return over(outcome);
  }
}

type Held = Exclude<Outcome<unknown>, { readonly status: "settled" }>;

function later({ status, effect, case: kase }: Held): Response {
  const body = { status, effect, caseId: kase.caseId };
  return Response.json(body, { status: 503, headers: { "retry-after": "5" } });
}

/** It is in the record, for a person or for good: another delivery would get the same answer. */
function over({ status, effect, case: kase }: Held): Response {
  return Response.json({ status, effect, caseId: kase.caseId }, { status: 202 });
}

async function bytesOf(request: Request, bounds: Parameters<typeof readBody>[1]) {
  if (request.bodyUsed) return "body_unreadable";
  const reader = request.body?.getReader();
  if (reader === undefined) return new Uint8Array();
  return readBody(
    {
      next: async () => {
        const piece = await reader.read();
        return piece.done ? undefined : piece.value;
      },
      stop: () => void reader.cancel().catch(() => undefined),
    },
    bounds,
  );
}

/** Readable where it fits; the action's own colons are no borders. */
async function nameOf(action: string, kind: "id" | "key", text: string): Promise<string> {
  const scope = `webhook:${encodeURIComponent(action)}:${kind}:`;
  const name = `${scope}${text}`;
  if (name.length <= 255) return name;
  return `webhook:${kind}:${await sha256(new TextEncoder().encode(name))}`;
}
