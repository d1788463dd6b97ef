import { type EffectContext, GuardError } from "../index.ts";

const handed = new WeakMap<object, EffectContext>();

/** Keeps what the guard hands an effect beside the request that it came by. */
export function hand(request: object, effect: EffectContext): void {
  handed.set(request, effect);
}

/**
 * What the guard hands the handler of a request: the key to hand down, the fence, the signal.
 *
 * @param request what the handler got: a fetch `Request` (Hono: `c.req.raw`), Express's or Fastify's request
 * @throws GuardError `invalid_request` where the request did not come through the guard
 * @example await stripe.refunds.create(refund, { idempotencyKey: effectOf(request).idempotencyKey });
 */
export function effectOf(request: object): EffectContext {
  const effect = handed.get(request);
  if (effect !== undefined) return effect;
  throw new GuardError("invalid_request", "This request did not come through the guard.", {
    next: "Give effectOf the request that the guarded handler was called with.",
  });
}

/** Travels on the response itself, since frameworks copy a response's headers and not its identity. */
export const notPerformedHeader = "x-safeagent-not-performed";
/** Nobody else's header frees a key: not an upstream's that a handler passes on. */
export const notPerformedToken: string = crypto.randomUUID();

interface ExpressLike {
  setHeader(name: string, value: string): unknown;
}
interface FastifyLike {
  header(name: string, value: string): unknown;
}

/**
 * Says of a response that the effect certainly did not happen: it is sent as it is, and the key is
 * free for another try. In Express and Fastify it takes the response or reply, before it is sent.
 *
 * @example if (stock === 0) return notPerformed(Response.json({ error: "out of stock" }, { status: 409 }));
 */
export function notPerformed<R extends Response | ExpressLike | FastifyLike>(response: R): R {
  if (response instanceof Response) {
    const headers = new Headers(response.headers);
    headers.set(notPerformedHeader, notPerformedToken);
    const { status, statusText, body } = response;
    return new Response(body, { status, statusText, headers }) as R;
  }
  if ("setHeader" in response) response.setHeader(notPerformedHeader, notPerformedToken);
  else if ("header" in response) response.header(notPerformedHeader, notPerformedToken);
  return response;
}

/** A response that no guard takes: what it says of the effect is for nobody else. */
export function unmarked(response: Response): Response {
  if (!response.headers.has(notPerformedHeader)) return response;
  const headers = new Headers(response.headers);
  headers.delete(notPerformedHeader);
  const { status, statusText, body } = response;
  return new Response(body, { status, statusText, headers });
}

const marker = Symbol.for("safeagent.NotPerformed");

/** By marker, so that it holds across two copies of the package. */
export function isNotPerformed(error: unknown): boolean {
  return typeof error === "object" && error !== null && marker in error;
}
