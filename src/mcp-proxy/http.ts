import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { createClients, principalOf, scopeOf } from "./clients.ts";
import { declaredAtStart } from "./declared.ts";
import { drained } from "./drained.ts";
import { openExchange, redirection } from "./exchange.ts";
import {
  type CallFrame,
  type FrameId,
  isMembers,
  type ResponseFrame,
  readFrame,
  refusalOf,
  responseFrame,
} from "./frame.ts";
import type { Gate } from "./gate.ts";
import { bracketed, strangerIn } from "./hosts.ts";
import { jsonHead, type Listener, listenerAt } from "./listener.ts";
import { ownId, readElicitAnswer, requestBytes } from "./own-request.ts";
import { eventOf, eventsOf } from "./sse.ts";
import { contradictionIn } from "./standard-headers.ts";
import {
  bodyBytes,
  bodyOf,
  headersFrom,
  headersTo,
  type Outgoing,
  targetAt,
  typeOf,
} from "./target.ts";
import { type Client, type ElicitAnswer, NotSent } from "./upstream.ts";

/** Guards a server over Streamable HTTP: a reverse proxy that holds tools/call back. */
export interface HttpProxy {
  /** What a client is given instead of the server's address. */
  readonly url: string;
  /** Takes nothing more; resolves when all that came of its guarded calls is recorded. */
  close(): Promise<void>;
}

export interface HttpOptions {
  /** The server's endpoint. */
  readonly url: URL;
  readonly host: string;
  /** 0 for any. */
  readonly port: number;
  /** Names beside this machine's own under which a client may come. */
  readonly hosts: readonly string[];
}

/** Bytes of a request's headers. */
export const headerBytes = 32_768;

const methods = ["GET", "HEAD", "POST", "DELETE", "OPTIONS"];

/** @throws Error where the address can't be listened at */
export async function openHttp(gate: Gate, options: HttpOptions): Promise<HttpProxy> {
  const { url } = options;
  const target = targetAt(url);
  const clients = createClients();
  /** Calls that the gate has not answered yet: whether they are guarded, once that is known. */
  const open = new Map<string, Promise<boolean>>();
  const asked = new Map<FrameId, PromiseWithResolvers<ResponseFrame>>();
  const work = new Set<Promise<void>>();
  let isEnding = false;

  const outgoing = (request: IncomingMessage): Outgoing => {
    const { search } = new URL(request.url ?? "/", "http://proxy");
    const query =
      search === "" || url.search === ""
        ? `${url.search}${search}`
        : `${url.search}&${search.slice(1)}`;
    const { method = "GET" } = request;
    return { method, path: `${url.pathname}${query}`, headers: headersTo(url, request) };
  };

  const observe = (request: IncomingMessage) => (data: string) => {
    if (!data.includes("notifications/tools/list_changed")) return;
    const frame = readFrame(data);
    if (frame.kind !== "notification") return;
    if (frame.method === "notifications/tools/list_changed")
      gate.toolsChanged(principalOf(request));
  };

  /** Sends a request on as it is, and its response back. */
  const pass = async (
    request: IncomingMessage,
    response: ServerResponse,
    body?: Uint8Array,
    passing: PassOptions = {},
  ): Promise<void> => {
    const left = new AbortController();
    response.once("close", () => left.abort());
    const { isCall = false, onHead } = passing;
    let from: IncomingMessage;
    try {
      const going = { ...outgoing(request), body, signal: left.signal };
      from = await target.send(going, isCall ? "own" : "shared");
    } catch (error) {
      const lost =
        error instanceof NotSent ? "Nothing was sent" : "Nobody knows whether it was done";
      return refuse(response, 502, -32000, `${lost}: ${(error as Error).message}.`, passing.id);
    }
    const status = from.statusCode ?? 502;
    if (status > 300 && status < 400 && status !== 304) {
      from.resume();
      const { body: text, head } = redirection(from, target);
      return void response.writeHead(head.status, [...head.headers]).end(text);
    }
    onHead?.(from);
    response.writeHead(status, from.statusMessage, headersFrom(from));
    response.flushHeaders();
    try {
      await copied(from, response, observe(request));
    } catch {
      // Half a response: its reader must not take it for a whole one.
      response.destroy();
    }
  };

  const ask = async (listener: Listener, params: unknown): Promise<ElicitAnswer> => {
    const id = ownId();
    const reply = Promise.withResolvers<ResponseFrame>();
    asked.set(id, reply);
    listener.onLeft(() => reply.reject(new Error("the client has gone")));
    listener.event(eventOf(requestBytes(id, "elicitation/create", params)));
    try {
      return readElicitAnswer(await reply.promise);
    } finally {
      asked.delete(id);
    }
  };

  const take = async (
    frame: CallFrame,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> => {
    if (isEnding) return refuse(response, 503, -32000, "The proxy is ending.", frame.id);
    const name = `${scopeOf(request)}/${typeof frame.id}:${frame.id}`;
    const guarded = Promise.withResolvers<boolean>();
    open.set(name, guarded.promise);
    const sessionId = request.headers["mcp-session-id"];
    const session = typeof sessionId === "string" ? ["Mcp-Session-Id", sessionId] : [];
    const stream = ["Content-Type", "text/event-stream", "Cache-Control", "no-cache", ...session];
    const listener = listenerAt(response, () => stream);
    const { isModern, ...declared } = clients.declared(request, frame);
    const principal = principalOf(request);
    const streams = (request.headers.accept ?? "").includes("text/event-stream");
    const client: Client =
      isModern || !streams
        ? { principal, ...declared }
        : { principal, ...declared, elicit: (params) => ask(listener, params) };
    const exchange = openExchange(frame, {
      target,
      request: outgoing(request),
      listener,
      onSent: () => guarded.resolve(true),
      onMessage: observe(request),
    });
    const answer = await gate.call(frame, exchange.upstream, client);
    guarded.resolve(answer !== undefined);
    if (open.get(name) === guarded.promise) open.delete(name);
    if (answer !== undefined) exchange.end(answer);
    // One who left before it was sent has not asked for it.
    else if (listener.isThere())
      await pass(request, response, frame.bytes, { isCall: true, id: frame.id });
  };

  const post = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const encoding = request.headers["content-encoding"] ?? "identity";
    if (encoding !== "identity") return refuse(response, 415, -32600, "Its body is encoded.");
    const body = await bodyOf(request);
    if (body === undefined)
      return refuse(response, 413, -32600, `Its body is over ${bodyBytes} bytes.`);
    const frame = readFrame(body);
    const contradiction = contradictionIn(request.headers, frame);
    if (contradiction !== undefined) {
      return refuse(response, 400, -32020, contradiction, "id" in frame ? frame.id : null);
    }
    switch (frame.kind) {
      case "unreadable":
        return void response.writeHead(400, [...jsonHead.headers]).end(refusalOf(frame).bytes);
      case "call":
        return take(frame, request, response);
      case "response": {
        const reply = frame.id === null ? undefined : asked.get(frame.id);
        if (reply === undefined) return pass(request, response, body);
        reply.resolve(frame);
        return void response.writeHead(202).end();
      }
      case "notification": {
        if (frame.method === "notifications/cancelled") {
          const { params } = frame.message;
          const { requestId } = isMembers(params) ? params : {};
          // A guarded call goes on, and what comes of it is recorded: nothing is told to the server.
          if (await open.get(`${scopeOf(request)}/${typeof requestId}:${requestId}`)) {
            return void response.writeHead(202).end();
          }
        }
        return pass(request, response, body);
      }
      case "request": {
        if (frame.method !== "initialize") return pass(request, response, body, { id: frame.id });
        const onHead = (from: IncomingMessage) => {
          const sessionId = from.headers["mcp-session-id"];
          clients.started(
            request,
            typeof sessionId === "string" ? sessionId : undefined,
            declaredAtStart(frame),
          );
        };
        return pass(request, response, body, { id: frame.id, onHead });
      }
    }
  };

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { headers, method = "" } = request;
    const stranger = strangerIn(headers, [options.host, ...options.hosts]);
    if (stranger !== undefined) return refuse(response, 403, -32000, stranger);
    if (new URL(request.url ?? "/", "http://proxy").pathname !== url.pathname) {
      return refuse(response, 404, -32000, `The server is at ${url.pathname}.`);
    }
    if (!methods.includes(method))
      return refuse(response, 405, -32000, "Its method is unknown here.");
    if (method === "POST") return post(request, response);
    if (method === "DELETE") clients.ended(request);
    return pass(request, response);
  };

  const server = createServer({ maxHeaderSize: headerBytes }, (request, response) => {
    response.on("error", () => undefined);
    const done = handle(request, response).catch(() => void response.destroy());
    work.add(done);
    void done.finally(() => work.delete(done));
  });
  server.listen(options.port, options.host);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;

  return {
    url: `http://${bracketed(options.host)}:${port}${url.pathname}`,
    async close() {
      isEnding = true;
      const closed = once(server, "close");
      server.close();
      for (const reply of asked.values()) reply.reject(new Error("the proxy is ending"));
      // Streams that tell of changes never end by themselves; a call does.
      while (open.size > 0) await Promise.race(work);
      server.closeAllConnections();
      await Promise.all([closed, ...work]);
      target.close();
    },
  };
}

interface PassOptions {
  /** A tools/call, which is never sent a second time. */
  readonly isCall?: boolean;
  readonly id?: FrameId;
  readonly onHead?: (from: IncomingMessage) => void;
}

/** Copies a response byte for byte, no faster than it is read; looks at the messages of a stream. */
async function copied(
  from: IncomingMessage,
  to: ServerResponse,
  observe: (data: string) => void,
): Promise<void> {
  const write = async (bytes: Uint8Array) => {
    if (to.destroyed || to.write(bytes)) return;
    await drained(to);
  };
  if (typeOf(from) === "text/event-stream") {
    for await (const { bytes, data } of eventsOf(from)) {
      if (data !== undefined) observe(data);
      await write(bytes);
    }
  } else {
    for await (const chunk of from as AsyncIterable<Buffer>) await write(chunk);
  }
  to.end();
}

function refuse(
  response: ServerResponse,
  status: number,
  code: number,
  why: string,
  id: FrameId | null = null,
): void {
  const says = /^No/.test(why) ? why : `Nothing was sent on. ${why}`;
  const { bytes } = responseFrame(id, { error: { code, message: `safeagent: ${says}` } });
  if (response.headersSent) response.destroy();
  else response.writeHead(status, [...jsonHead.headers]).end(bytes);
}
