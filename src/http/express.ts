import type { Guard } from "../index.ts";
import {
  type Body,
  type BodyFault,
  bodyOfBytes,
  bodyOfParsed,
  isJson,
  jsonOf,
  readBody,
} from "./body.ts";
import { type Asked, admit, exchange } from "./exchange.ts";
import { type ExpressResponseLike, record, send, unmark } from "./express-response.ts";
import { absolute, fieldsOf, type NodeHeaders, oneOf, saysBody } from "./node-message.ts";
import { type IdempotencyOptions, type Settings, settingsOf } from "./settings.ts";

/** What is used of Express's request. */
export interface ExpressRequestLike {
  readonly method: string;
  readonly originalUrl: string;
  readonly headers: NodeHeaders;
  readonly rawHeaders: readonly string[];
  readonly readableEnded: boolean;
  body?: unknown;
  on(event: never, listener: never): unknown;
  resume(): unknown;
}

/** Express middleware, and the one that sees what its handlers throw. */
export interface ExpressIdempotency<R> {
  (request: R, response: ExpressResponseLike, next: (error?: unknown) => void): void;
  /**
   * Error middleware, for after the routes: by it a handler's `NotPerformed` frees the key. Without it
   * that is an error like any other, and in doubt. It hands every error on.
   */
  readonly errors: (
    error: unknown,
    request: R,
    response: ExpressResponseLike,
    next: (error?: unknown) => void,
  ) => void;
}

/**
 * Express middleware that runs a request's handler once per `Idempotency-Key`. It stands behind a
 * body parser, or reads the body itself and leaves it in `request.body`: JSON parsed, anything else
 * as bytes.
 *
 * @throws GuardError `invalid_request` for wrong options
 * @example
 * const once = expressIdempotency(guard, { principal: (request: Request) => request.user.id });
 * app.use(express.json(), once);
 * app.post("/refunds", refund);
 * app.use(once.errors);
 */
export function expressIdempotency<R extends ExpressRequestLike = ExpressRequestLike>(
  guard: Guard,
  options: IdempotencyOptions<R>,
): ExpressIdempotency<R> {
  const settings = settingsOf(guard, options);
  const thrown = new WeakMap<object, unknown>();

  const guarded = async (
    request: R,
    response: ExpressResponseLike,
    next: (error?: unknown) => void,
  ): Promise<void> => {
    const asked = askedOf(request, settings);
    const admission = admit(settings, asked);
    if (admission === "unguarded") {
      unmark(response);
      return next();
    }
    if (admission instanceof Response) return send(response, admission);
    let sendOwn = () => {};
    let sendOther = (other: Response) => send(response, other);
    const reply = await exchange(settings, request, { ...asked, ...admission }, async () => {
      const recorded = record(response);
      sendOwn = recorded.sendOwn;
      sendOther = recorded.sendOther;
      next();
      const answer = await recorded.answer;
      return { answer, error: thrown.get(request) };
    });
    if (reply === "through") return next();
    return reply === "own" ? sendOwn() : sendOther(reply);
  };

  const middleware = (
    request: R,
    response: ExpressResponseLike,
    next: (error?: unknown) => void,
  ): void => {
    guarded(request, response, next).catch(next);
  };
  const errors: ExpressIdempotency<R>["errors"] = (error, request, _, next) => {
    thrown.set(request, error);
    next(error);
  };
  return Object.assign(middleware, { errors });
}

function askedOf(request: ExpressRequestLike, settings: Settings<never>): Asked {
  const contentType = oneOf(request.headers["content-type"]);
  return {
    framework: request,
    raw: request,
    method: request.method,
    url: absolute(request.originalUrl),
    contentType,
    keyFields: fieldsOf(request.rawHeaders, "idempotency-key"),
    body: () => bodyOfRequest(request, contentType, settings),
  };
}

async function bodyOfRequest(
  request: ExpressRequestLike,
  contentType: string | null,
  settings: Settings<never>,
): Promise<Body | BodyFault> {
  if (!saysBody(request.headers)) return null;
  if (request.body !== undefined) return bodyOfParsed(request.body, contentType, settings);
  // Somebody has taken it, and left nothing to compare.
  if (request.readableEnded) return "body_unreadable";
  const bytes = await readBody(piecesOf(request), settings);
  if (typeof bytes === "string") return bytes;
  const json = isJson(contentType) ? jsonOf(bytes) : undefined;
  request.body = json ?? Buffer.from(bytes);
  return bodyOfBytes(bytes, contentType, settings);
}

/** A Node stream, piece by piece. It isn't destroyed where the rest isn't wanted: the answer goes the same way back. */
function piecesOf(request: ExpressRequestLike) {
  // Its overloads fit no one signature.
  const on = request.on.bind(request) as (event: string, listener: (piece: never) => void) => void;
  const ready: (Uint8Array | undefined)[] = [];
  let stopped = false;
  let waiting: PromiseWithResolvers<void> | undefined;
  let failed = false;
  const wake = () => waiting?.resolve();
  on("data", (piece: Uint8Array) => {
    if (stopped) return;
    ready.push(piece);
    wake();
  });
  on("end", () => {
    ready.push(undefined);
    wake();
  });
  const broken = () => {
    failed = true;
    wake();
  };
  on("error", broken);
  on("close", broken);
  return {
    async next(): Promise<Uint8Array | undefined> {
      for (;;) {
        if (ready.length > 0) return ready.shift();
        if (failed) throw new Error("the body broke off");
        waiting = Promise.withResolvers();
        await waiting.promise;
      }
    },
    stop() {
      stopped = true;
      ready.length = 0;
      request.resume();
    },
  };
}
