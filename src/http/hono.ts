import type { Guard } from "../index.ts";
import { bodyOfBytes } from "./body.ts";
import { bodyOfFetch, overFetch } from "./fetch.ts";
import { type IdempotencyOptions, settingsOf } from "./settings.ts";

/** What is used of Hono's context. */
export interface HonoContext {
  readonly req: { readonly raw: Request; arrayBuffer(): Promise<ArrayBuffer> };
  res: Response;
  readonly error: Error | undefined;
}

/**
 * Hono middleware that runs a request's handler once per `Idempotency-Key`. `principal` is given the
 * context; the handler finds its effect by `effectOf(c.req.raw)`.
 *
 * Over `timeoutMs` the client is answered, and Hono drops what the handler answers later: the doubt
 * stays until it is cleared. In an app that is mounted (`app.mount`) the path has lost its prefix, and
 * two mounts share their keys: put it on the app that they are mounted in.
 *
 * @throws GuardError `invalid_request` for wrong options
 * @example
 * app.use("/refunds/*", honoIdempotency(guard, { principal: (c: Context<Env>) => c.get("user") }));
 */
export function honoIdempotency<C extends HonoContext>(
  guard: Guard,
  options: IdempotencyOptions<C>,
): (context: C, next: () => Promise<void>) => Promise<Response | undefined> {
  const settings = settingsOf(guard, options);
  return async (context, next) => {
    let ran = false;
    let replied = false;
    const run = async () => {
      ran = true;
      await next();
      // What is there now is the guard's own; Hono took no other after it.
      if (replied) throw new Error("the handler answered after its time");
      // Hono has made the response of what was thrown by then.
      return { response: context.res, error: context.error };
    };
    const response = await overFetch({
      settings,
      request: context,
      framework: context,
      fetched: context.req.raw,
      async body() {
        const { raw } = context.req;
        if (!raw.bodyUsed) return bodyOfFetch(raw, settings);
        // A validator has read it before; Hono has kept it.
        const type = raw.headers.get("content-type");
        return bodyOfBytes(new Uint8Array(await context.req.arrayBuffer()), type, settings);
      },
      next: run,
      through: async () => (await run()).response,
    });
    replied = true;
    if (!ran) return response;
    // To assign over a response merges their headers.
    (context as { res: Response | undefined }).res = undefined;
    context.res = response;
    return undefined;
  };
}
