import type { IncomingMessage } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { declaredInCall, envelopeOf } from "./declared.ts";
import {
  type CallFrame,
  type FrameId,
  likelyAnswered,
  type ResponseFrame,
  readFrame,
} from "./frame.ts";
import { jsonHead, type Listener, type ListenerHead } from "./listener.ts";
import { listMs, listParams, ownId, readPage, requestBytes } from "./own-request.ts";
import { eventsOf } from "./sse.ts";
import {
  bodyOf,
  headersFrom,
  headersWithout,
  type Outgoing,
  type Target,
  typeOf,
} from "./target.ts";
import { NotSent, type Upstream, UpstreamLost } from "./upstream.ts";

/** One guarded call over HTTP: what the server says of it, and what the client is sent. */
export interface Exchange {
  readonly upstream: Upstream;
  /** Answers the client, with the server's own bytes where the answer is the server's. */
  end(answer: ResponseFrame): void;
}

/** What the server answered, as it came. */
interface Said {
  readonly frame: ResponseFrame | undefined;
  readonly body: Uint8Array;
  readonly head: ListenerHead;
}

/** An exchange's surroundings. */
export interface ExchangeOptions {
  readonly target: Target;
  /** The client's request as it goes on. */
  readonly request: Outgoing;
  readonly listener: Listener;
  /** Called when the server is about to be asked, with what resolves when it owes nothing any more. */
  readonly onSent: (atServer: Promise<void>) => void;
  /** Called with each message that is not the answer. */
  readonly onMessage: (data: string) => void;
}

export function openExchange(call: CallFrame, options: ExchangeOptions): Exchange {
  const { target, request, listener, onSent, onMessage } = options;
  let said: Said | undefined;

  const passOn = (id: FrameId) => (event: { bytes: Uint8Array; data: string | undefined }) => {
    const frame = event.data === undefined ? undefined : readFrame(event.data);
    if (frame?.kind === "response" && frame.id === id) {
      said = { frame, body: frame.bytes, head: { ...jsonHead, event: event.bytes } };
      return frame;
    }
    if (frame?.kind === "unreadable" && likelyAnswered(frame) === id) {
      // Not passed on: its id is answered once, by what is then said of the call.
      throw new UpstreamLost("the server's answer can't be read");
    }
    if (event.data !== undefined) onMessage(event.data);
    listener.event(event.bytes);
    return undefined;
  };

  const sent = async (frame: CallFrame): Promise<ResponseFrame> => {
    const response = await target.send({ ...request, body: frame.bytes }, "own");
    const status = response.statusCode ?? 0;
    if (isRefusal(status)) {
      said = await refusalOf(response, target);
      throw new NotSent(`the server refused the request (HTTP ${status})`);
    }
    const headers = headersWithout(headersFrom(response), ["content-length"]);
    if (typeOf(response) === "text/event-stream") {
      listener.streamsWith(headers);
      return streamed(response, request, target, passOn(frame.id));
    }
    const answer = await readWhole(response, frame.id);
    said = { frame: answer, body: answer.bytes, head: { status, headers } };
    return answer;
  };

  return {
    upstream: {
      call(frame) {
        const answer = sent(frame);
        const over = () => undefined;
        onSent(answer.then(over, over));
        return answer;
      },
      list: (cursor) => listed(target, request, call, cursor),
    },
    end(answer) {
      // A refusal is no JSON-RPC: only a response of its own can carry it.
      const isRefused = said?.frame === undefined && !listener.hasBegun();
      if (said !== undefined && (said.frame === answer || isRefused)) {
        listener.end(said.body, said.head);
      } else listener.end(answer.bytes, jsonHead);
    },
  };
}

/**
 * Statuses with which a server says that it has not begun: it doesn't know the caller, the place or
 * the session, or can't take the request. A redirection is one of them; it isn't followed.
 */
function isRefusal(status: number): boolean {
  return (status >= 300 && status < 400) || refusals.has(status);
}

const refusals = new Set([400, 401, 403, 404, 405, 406, 411, 413, 414, 415, 421, 426, 429, 431]);

/** What the client is told of a refusal: the server's own words, except where they lead past the guard. */
async function refusalOf(response: IncomingMessage, target: Target): Promise<Said> {
  const status = response.statusCode ?? 0;
  const body = (await bodyOf(response).catch(() => undefined)) ?? Buffer.alloc(0);
  const headers = headersWithout(headersFrom(response), ["content-length"]);
  if (status >= 400) return { frame: undefined, body, head: { status, headers } };
  return { frame: undefined, ...redirection(response, target) };
}

/** A client that followed a redirection would call the server without the guard. */
export function redirection(
  response: IncomingMessage,
  target: Target,
): { readonly body: Uint8Array; readonly head: ListenerHead } {
  const to = response.headers.location;
  const { href } = target.url;
  const place = to !== undefined && URL.canParse(to, href) ? new URL(to, href).href : "elsewhere";
  const message = `safeagent did not follow the server's redirection. Start it with --url ${place}.`;
  const error = { jsonrpc: "2.0", id: null, error: { code: -32000, message } };
  return { body: Buffer.from(JSON.stringify(error)), head: { ...jsonHead, status: 502 } };
}

/** Bytes of an answer that is no stream; a longer one can't be read, and leaves its call in doubt. */
export const answerBytes = 67_108_864;

async function readWhole(response: IncomingMessage, id: FrameId): Promise<ResponseFrame> {
  const lost = (why: string, cause?: unknown) =>
    new UpstreamLost(`${why} (HTTP ${response.statusCode})`, { cause });
  const body = await bodyOf(response, answerBytes).catch((cause) => {
    throw lost("the server's answer broke off", cause);
  });
  const frame = body === undefined ? undefined : readFrame(body);
  if (frame?.kind === "response" && frame.id === id) return frame;
  throw lost("the server's answer can't be read");
}

/** Tries to take up a stream again that ended without its answer; each that brings something starts anew. */
export const resumes = 5;
const retryMs = 1_000;

type PassOn = (event: { bytes: Uint8Array; data: string | undefined }) => ResponseFrame | undefined;

/** Reads a stream up to the answer, over as many connections as the server lets it have. */
async function streamed(
  first: IncomingMessage,
  request: Outgoing,
  target: Target,
  passOn: PassOn,
): Promise<ResponseFrame> {
  let response = first;
  let lastId: string | undefined;
  let pauseMs = retryMs;
  let tries = 0;
  for (;;) {
    try {
      for await (const event of eventsOf(response)) {
        tries = 0;
        if (event.id !== undefined) lastId = event.id;
        if (event.retryMs !== undefined) pauseMs = Math.min(event.retryMs, 30_000);
        const answer = passOn(event);
        if (answer === undefined) continue;
        return answer;
      }
    } catch (cause) {
      if (cause instanceof UpstreamLost) throw cause;
      if (lastId === undefined) {
        throw new UpstreamLost("the server's stream broke off", { cause });
      }
    }
    if (lastId === undefined) throw new UpstreamLost("the server's stream ended without an answer");
    const next = await resumed(request, target, lastId, pauseMs, () => tries++ < resumes);
    if (next === undefined) throw new UpstreamLost("the server's stream can't be taken up again");
    response = next;
  }
}

/** 2025-11-25: a stream whose events have ids can be taken up after the last one. */
async function resumed(
  request: Outgoing,
  target: Target,
  lastId: string,
  pauseMs: number,
  mayTry: () => boolean,
): Promise<IncomingMessage | undefined> {
  const kept = headersWithout(request.headers, [
    "content-",
    "mcp-method",
    "mcp-name",
    "accept",
    "last-event-id",
  ]);
  const plain = ["Accept", "text/event-stream", "Accept-Encoding", "identity"];
  const headers = [...kept, ...plain, "Last-Event-ID", lastId];
  while (mayTry()) {
    try {
      await sleep(pauseMs, undefined, { signal: target.closed });
      const response = await target.send({ method: "GET", path: request.path, headers }, "own");
      if (response.statusCode === 200 && typeOf(response) === "text/event-stream") return response;
      response.resume();
      if (isRefusal(response.statusCode ?? 0)) return undefined;
    } catch {
      if (target.closed.aborted) return undefined;
      // Tried again while it may be.
    }
  }
  return undefined;
}

/** The proxy's own tools/list, as the client that makes a call. */
async function listed(
  target: Target,
  request: Outgoing,
  call: CallFrame,
  cursor: string | undefined,
) {
  const id = ownId();
  const kept = headersWithout(request.headers, [
    "content-length",
    "mcp-method",
    "mcp-name",
    "mcp-param-",
  ]);
  const isModern = declaredInCall(call) !== undefined;
  const headers = isModern ? [...kept, "Mcp-Method", "tools/list"] : kept;
  const body = requestBytes(id, "tools/list", listParams(cursor, envelopeOf(call.params._meta)));
  const signal = AbortSignal.timeout(listMs);
  const response = await target.send({ ...request, headers, body, signal }, "shared");
  return readPage(await answerIn(response, id));
}

/** The answer in a response, whatever else is said in it. */
export async function answerIn(response: IncomingMessage, id: FrameId): Promise<ResponseFrame> {
  if (typeOf(response) !== "text/event-stream") return readWhole(response, id);
  for await (const { data } of eventsOf(response)) {
    const frame = data === undefined ? undefined : readFrame(data);
    if (frame?.kind === "response" && frame.id === id) return frame;
  }
  throw new UpstreamLost("the server's stream ended without an answer");
}
