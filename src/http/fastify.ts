import type { Guard } from "../index.ts";
import { type Body, type BodyFault, bodyOfParsed } from "./body.ts";
import { notPerformedHeader, unmarked } from "./effect.ts";
import { type Asked, admit, exchange, type Handled, type Reply } from "./exchange.ts";
import { type Answer, isStream, readAll } from "./kept.ts";
import {
  absolute,
  fieldsOf,
  headersOf,
  type NodeHeaders,
  oneOf,
  saysBody,
} from "./node-message.ts";
import { isHeld } from "./problem.ts";
import { type IdempotencyOptions, type Settings, settingsOf } from "./settings.ts";

/** What is used of Fastify's request. */
export interface FastifyRequestLike {
  readonly method: string;
  readonly originalUrl: string;
  readonly headers: NodeHeaders;
  readonly raw: { readonly rawHeaders: readonly string[] };
  readonly body: unknown;
}

/** What is used of Fastify's reply. */
export interface FastifyReplyLike {
  readonly statusCode: number;
  code(status: number): unknown;
  header(name: string, value: string): unknown;
  removeHeader(name: string): unknown;
  getHeaders(): { readonly [name: string]: unknown };
  send(payload: unknown): unknown;
}

/** What is used of a Fastify instance; its overloads fit no one signature. */
export interface FastifyLike {
  addHook(name: never, hook: never): unknown;
}

type AddHook = (name: string, hook: unknown) => void;

interface Passage {
  readonly handled: PromiseWithResolvers<Handled>;
  readonly reply: Promise<Reply>;
  readonly signal: AbortSignal;
  /** What others have set before the handler: it stays, whatever is sent. */
  readonly before: { readonly [name: string]: unknown };
  error: unknown;
}

/**
 * Fastify plugin that runs a request's handler once per `Idempotency-Key`. It takes the parsed body,
 * and applies to the routes of the instance that it is registered on. What authenticates has to stand
 * before it: in `onRequest`, or in a `preHandler` of that instance added earlier, never in a route's.
 *
 * @throws GuardError `invalid_request` for wrong options
 * @example await app.register(fastifyIdempotency(guard, { principal: (request) => request.user.id }));
 */
export function fastifyIdempotency<R extends FastifyRequestLike = FastifyRequestLike>(
  guard: Guard,
  options: IdempotencyOptions<R>,
): (app: FastifyLike) => Promise<void> {
  const settings = settingsOf(guard, options);
  const passages = new WeakMap<object, Passage>();

  const preHandler = async (request: R, reply: FastifyReplyLike): Promise<unknown> => {
    const asked = askedOf(request, settings);
    const admission = admit(settings, asked);
    if (admission === "unguarded") return undefined;
    if (admission instanceof Response) return send(reply, admission);
    const started = Promise.withResolvers<"started">();
    const handled = Promise.withResolvers<Handled>();
    const done = exchange(settings, request, { ...asked, ...admission }, (effect) => {
      const { signal } = effect;
      const before = reply.getHeaders();
      passages.set(request, { handled, reply: done, signal, before, error: undefined });
      started.resolve("started");
      return handled.promise;
    });
    const first = await Promise.race([started.promise, done]);
    // Fastify goes on to the handler, and comes back by `onSend`.
    return first instanceof Response ? send(reply, first) : undefined;
  };

  const onError = async (request: R, _: FastifyReplyLike, error: unknown): Promise<void> => {
    const passage = passages.get(request);
    if (passage !== undefined) passage.error = error;
  };

  const onSend = async (
    request: R,
    reply: FastifyReplyLike,
    payload: unknown,
  ): Promise<unknown> => {
    const passage = passages.get(request);
    if (passage === undefined) {
      reply.removeHeader(notPerformedHeader);
      return payload instanceof Response ? unmarked(payload) : payload;
    }
    passages.delete(request);
    const answer = await answerOfReply(reply, payload, passage.signal).catch((error: unknown) => {
      // It broke off half-way: nobody knows how far its handler came.
      passage.handled.reject(error);
      return undefined;
    });
    reply.removeHeader(notPerformedHeader);
    if (answer !== undefined) passage.handled.resolve({ answer, error: passage.error });
    const response = await passage.reply;
    if (!(response instanceof Response)) {
      return answer?.body instanceof Uint8Array ? Buffer.from(answer.body) : null;
    }
    for (const name of Object.keys(reply.getHeaders())) reply.removeHeader(name);
    for (const [name, value] of Object.entries(passage.before)) reply.header(name, value as string);
    return fill(reply, response);
  };

  const plugin = async (app: FastifyLike): Promise<void> => {
    const addHook = app.addHook.bind(app) as AddHook;
    addHook("preHandler", preHandler);
    addHook("onError", onError);
    addHook("onSend", onSend);
  };
  // As fastify-plugin does: its hooks are for the instance that it is registered on.
  return Object.assign(plugin, {
    [Symbol.for("skip-override")]: true,
    [Symbol.for("fastify.display-name")]: "safeagent-idempotency",
  });
}

function askedOf(request: FastifyRequestLike, settings: Settings<never>): Asked {
  const { method, originalUrl, raw } = request;
  const contentType = oneOf(request.headers["content-type"]);
  return {
    framework: request,
    raw: request,
    method,
    url: absolute(originalUrl),
    contentType,
    keyFields: fieldsOf(raw.rawHeaders, "idempotency-key"),
    body: () => bodyOfRequest(request, contentType, settings),
  };
}

async function bodyOfRequest(
  { body, headers }: FastifyRequestLike,
  contentType: string | null,
  settings: Settings<never>,
): Promise<Body | BodyFault> {
  if (body !== undefined && body !== null) return bodyOfParsed(body, contentType, settings);
  if (!saysBody(headers)) return null;
  return body === null ? { json: null } : "body_unreadable";
}

/** A fetch response that a handler has sent, as Fastify would send it. */
function unpacked(reply: FastifyReplyLike, payload: unknown): unknown {
  if (!(payload instanceof Response)) return payload;
  if (isHeld(payload)) throw new Error("the handler handed on what another guard has held");
  head(reply, payload);
  return payload.body;
}

async function answerOfReply(
  reply: FastifyReplyLike,
  payload: unknown,
  signal: AbortSignal,
): Promise<Answer> {
  const content = unpacked(reply, payload);
  const headers = headersOf(reply.getHeaders());
  const body = await bodyOfPayload(content, headers, signal);
  return { status: reply.statusCode, headers, body };
}

type Payload = AsyncIterable<Uint8Array | string> & {
  readonly destroy?: () => void;
  readonly cancel?: () => Promise<void>;
};

async function bodyOfPayload(
  payload: unknown,
  headers: Headers,
  signal: AbortSignal,
): Promise<Answer["body"]> {
  if (payload === undefined || payload === null) return null;
  const isWhole = typeof payload === "string" || payload instanceof Uint8Array;
  if (!isStream(headers.get("content-type"))) {
    return readAll(bytesOf(isWhole ? [payload] : (payload as Payload)), signal);
  }
  if (!isWhole) {
    const { destroy, cancel } = payload as Payload;
    if (destroy !== undefined) destroy.call(payload);
    else cancel?.call(payload).catch(() => undefined);
  }
  return "streaming";
}

async function* bytesOf(
  chunks: AsyncIterable<Uint8Array | string> | Iterable<Uint8Array | string>,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) yield typeof chunk === "string" ? Buffer.from(chunk) : chunk;
}

async function send(reply: FastifyReplyLike, response: Response): Promise<unknown> {
  if (response.headers.has("content-type")) return reply.send(await fill(reply, response));
  head(reply, response);
  // Null would be sent as JSON, and bytes would get a type; a stream gets none.
  return reply.send(response.body ?? undefined);
}

function head(reply: FastifyReplyLike, response: Response): void {
  reply.code(response.status);
  for (const [name, value] of response.headers) reply.header(name, value);
}

async function fill(reply: FastifyReplyLike, response: Response): Promise<Uint8Array | null> {
  head(reply, response);
  return response.body === null ? null : Buffer.from(await response.arrayBuffer());
}
