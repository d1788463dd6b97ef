import type { Guard } from "../index.ts";
import { type Body, type BodyFault, bodyOfBytes, readBody } from "./body.ts";
import { notPerformedHeader, unmarked } from "./effect.ts";
import { type Asked, admit, exchange, type Handled } from "./exchange.ts";
import { type Answer, answerOf, bodiless } from "./kept.ts";
import { nextAnswerOf } from "./next.ts";
import { isHeld } from "./problem.ts";
import { type IdempotencyOptions, type Settings, settingsOf } from "./settings.ts";

/** What a fetch server calls. */
export type Next = (request: Request) => Response | Promise<Response>;

/**
 * Guards fetch handlers by the `Idempotency-Key` header: a request runs its handler once per key, and
 * every retry gets the same answer.
 *
 * @throws GuardError `invalid_request` for wrong options
 * @example
 * const once = idempotent(guard, { principal: (request) => userOf(request) });
 * serve((request) => once(request, app.fetch));
 */
export function idempotent(
  guard: Guard,
  options: IdempotencyOptions<Request>,
): (request: Request, next: Next) => Promise<Response> {
  const settings = settingsOf(guard, options);
  return (request, next) =>
    overFetch({
      settings,
      request,
      framework: null,
      fetched: request,
      body: () => bodyOfFetch(request, settings),
      next: async () => ({ response: await next(request) }),
      through: () => next(request),
    });
}

/**
 * The same around one handler: a Next route handler, a worker's `fetch`. What it is called with
 * beside the request is handed on. Of what it throws, Next's `redirect()` and `notFound()` are answers.
 *
 * @example export const POST = withIdempotency(guard, { principal }, async (request) => Response.json(await refund(request)));
 */
export function withIdempotency<R extends Request, Rest extends readonly unknown[]>(
  guard: Guard,
  options: IdempotencyOptions<R>,
  handler: (request: R, ...rest: Rest) => Response | Promise<Response>,
): (request: R, ...rest: Rest) => Promise<Response> {
  const settings = settingsOf(guard, options);
  return (request, ...rest) =>
    overFetch({
      settings,
      request,
      framework: null,
      fetched: request,
      body: () => bodyOfFetch(request, settings),
      next: async () => ({ response: await nextAnswered(() => handler(request, ...rest)) }),
      through: () => handler(request, ...rest),
    });
}

async function nextAnswered(handle: () => Response | Promise<Response>): Promise<Response> {
  try {
    return await handle();
  } catch (error) {
    const response = nextAnswerOf(error);
    if (response === undefined) throw error;
    return response;
  }
}

export interface Passage<R> {
  readonly settings: Settings<R>;
  /** What the framework calls the request. */
  readonly request: R;
  readonly framework: Asked["framework"];
  readonly fetched: Request;
  readonly body: Asked["body"];
  /** Runs the handler. */
  readonly next: () => Promise<{ readonly response: Response; readonly error?: unknown }>;
  /** Runs it unguarded. */
  readonly through: () => Response | Promise<Response>;
}

export async function overFetch<R>(passage: Passage<R>): Promise<Response> {
  const { settings, request, framework, fetched, body, next, through } = passage;
  const field = fetched.headers.get("idempotency-key");
  const asked: Asked = {
    framework,
    raw: fetched,
    method: fetched.method,
    url: fetched.url,
    contentType: fetched.headers.get("content-type"),
    // Repeated headers come here as one, with a comma between: no key has one outside of quotes.
    keyFields: field === null ? [] : [field],
    body,
  };
  const admission = admit(settings, asked);
  if (admission === "unguarded") return unmarked(await through());
  if (admission instanceof Response) return admission;
  let own: Response | undefined;
  const reply = await exchange(settings, request, { ...asked, ...admission }, async (effect) => {
    const { response, error } = await next();
    if (isHeld(response)) throw new Error("the handler handed on what another guard has held");
    const handled: Handled = { answer: await answerOf(response, effect.signal), error };
    own = again(response, handled.answer);
    return handled;
  });
  if (reply === "through") return through();
  return reply === "own" ? (own as Response) : reply;
}

/** A response whose body was read, as it was. */
function again({ statusText }: Response, { status, headers, body }: Answer): Response | undefined {
  if (typeof body === "string") return undefined;
  const rest = new Headers(headers);
  rest.delete(notPerformedHeader);
  const content = body === null || bodiless.has(status) ? null : new Uint8Array(body);
  return new Response(content, { status, statusText, headers: rest });
}

/** The handler reads the request's own body; this reads a copy, so that nothing is taken from it. */
export async function bodyOfFetch(
  request: Request,
  settings: Settings<never>,
): Promise<Body | BodyFault> {
  if (request.bodyUsed) return "body_unreadable";
  if (request.body === null) return null;
  const reader = request.clone().body?.getReader();
  if (reader === undefined) return null;
  const bytes = await readBody(
    {
      next: async () => {
        const piece = await reader.read();
        return piece.done ? undefined : piece.value;
      },
      stop: () => {
        // A branch of a body ends where both have: neither is waited for.
        for (const end of [reader.cancel(), request.body?.cancel()]) end?.catch(() => undefined);
      },
    },
    settings,
  );
  return typeof bytes === "string"
    ? bytes
    : bodyOfBytes(bytes, request.headers.get("content-type"), settings);
}
