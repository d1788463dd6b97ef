import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { createClientQuestions } from "./client-questions.ts";
import { createClients, principals, sessionOf } from "./clients.ts";
import { declaredAtStart } from "./declared.ts";
import { openExchange, redirection } from "./exchange.ts";
import {
  type CallFrame,
  type FrameId,
  isMembers,
  type NotificationFrame,
  readFrame,
  refusalOf,
} from "./frame.ts";
import type { Gate } from "./gate.ts";
import { bracketed, strangerIn } from "./hosts.ts";
import { jsonHead, listenerAt } from "./listener.ts";
import { copied, refuse } from "./respond.ts";
import { createRoom } from "./room.ts";
import { eventOf } from "./sse.ts";
import { contradictionIn } from "./standard-headers.ts";
import {
  bodyBytes,
  bodyOf,
  headersFrom,
  headersTo,
  isUtf8,
  type Outgoing,
  targetAt,
} from "./target.ts";
import { type Client, NotSent } from "./upstream.ts";

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
  /** Further headers that tell callers apart, beside those that usually hold credentials. */
  readonly principalHeaders?: readonly string[];
}

/** A call that the gate has not answered yet. */
interface OpenCall {
  readonly id: FrameId;
  readonly scope: string;
  readonly session: string | undefined;
  /** Resolves when it is known whether it is guarded. */
  readonly guarded: PromiseWithResolvers<boolean>;
  /** Aborted once its client has cancelled it, has ended the session, or has gone. */
  readonly left: AbortController;
  readonly done: PromiseWithResolvers<void>;
}

/** Bytes of a request's headers. */
export const headerBytes = 32_768;

/** Milliseconds that a server has to hear of a session's end. */
const endMs = 5_000;

const methods = ["GET", "HEAD", "POST", "DELETE", "OPTIONS"];

/** @throws Error where the address can't be listened at */
export async function openHttp(gate: Gate, options: HttpOptions): Promise<HttpProxy> {
  const { url } = options;
  const target = targetAt(url);
  const principalOf = principals(options.principalHeaders ?? []);
  const clients = createClients(principalOf);
  const open = new Set<OpenCall>();
  const questions = createClientQuestions();
  const room = createRoom();
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

  const take = async (
    frame: CallFrame,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> => {
    if (isEnding) return refuse(response, 503, -32000, "The proxy is ending.", frame.id);
    const leave = room.take(frame.bytes.length);
    if (leave === undefined) {
      return refuse(response, 503, -32000, "Too many calls are open.", frame.id);
    }
    const session = sessionOf(request);
    const call: OpenCall = {
      id: frame.id,
      scope: clients.scopeOf(request),
      session,
      guarded: Promise.withResolvers<boolean>(),
      left: new AbortController(),
      done: Promise.withResolvers<void>(),
    };
    open.add(call);
    const listener = listenerAt(response, [
      ...["Content-Type", "text/event-stream", "Cache-Control", "no-cache"],
      ...(session === undefined ? [] : ["Mcp-Session-Id", session]),
    ]);
    listener.onLeft(() => call.left.abort());
    let atServer: Promise<void> = Promise.resolve();
    const exchange = openExchange(frame, {
      target,
      request: outgoing(request),
      listener,
      onSent(owes) {
        atServer = owes;
        call.guarded.resolve(true);
      },
      onMessage: observe(request),
    });
    const { isModern, ...declared } = clients.declared(request, frame);
    const { signal: left } = call.left;
    const client: Client = { principal: principalOf(request), ...declared, left };
    const elicit: Client["elicit"] = (params, signal) => {
      const write = (message: Uint8Array) => listener.event(eventOf(message));
      return questions.ask(params, write, signal === undefined ? [left] : [left, signal]);
    };
    const streams = (request.headers.accept ?? "").includes("text/event-stream");
    try {
      const asked = isModern || !streams ? client : { ...client, elicit };
      const answer = await gate.call(frame, exchange.upstream, asked);
      call.guarded.resolve(answer !== undefined);
      open.delete(call);
      if (answer !== undefined) exchange.end(answer);
      // One who left before it was sent has not asked for it.
      else if (listener.isThere())
        await pass(request, response, frame.bytes, { isCall: true, id: frame.id });
    } finally {
      open.delete(call);
      call.guarded.resolve(true);
      call.done.resolve();
      // What the guard has given up is still with the server, and its frame with us.
      void atServer.then(leave);
    }
  };

  /** Whether a cancelled request is a guarded call: it goes on, and nothing is told to the server. */
  const isCancelled = async (
    { message: { params } }: NotificationFrame,
    request: IncomingMessage,
  ): Promise<boolean> => {
    const { requestId } = isMembers(params) ? params : {};
    const scope = clients.scopeOf(request);
    const meant = [...open].filter((call) => call.scope === scope && call.id === requestId);
    const [call] = meant;
    // Without sessions, two clients of one caller may have called alike: whose it is, nobody can tell.
    if (meant.length === 1) call?.left.abort();
    return (await Promise.all(meant.map(({ guarded }) => guarded.promise))).includes(true);
  };

  /**
   * Ends a session. Its server would break off the calls in it: it hears of the end once those that
   * are guarded have been recorded.
   */
  const endSession = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const scope = clients.scopeOf(request);
    const session = sessionOf(request);
    clients.ended(request);
    const calls = [...open].filter((call) => session !== undefined && call.session === session);
    for (const call of calls) if (call.scope === scope) call.left.abort();
    const guarded = await Promise.all(calls.map((call) => call.guarded.promise));
    if (!guarded.includes(true)) return pass(request, response);
    response.writeHead(202).end();
    await Promise.all(calls.map(({ done }) => done.promise));
    const going = { ...outgoing(request), signal: AbortSignal.timeout(endMs) };
    const ended = await target.send(going, "shared").catch(() => undefined);
    ended?.resume();
  };

  const post = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const encoding = request.headers["content-encoding"] ?? "identity";
    if (encoding !== "identity") return refuse(response, 415, -32600, "Its body is encoded.");
    if (!isUtf8(request)) return refuse(response, 415, -32600, "Its body is not said to be UTF-8.");
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
      case "response":
        if (!questions.take(frame)) return pass(request, response, body);
        return void response.writeHead(202).end();
      case "notification":
        if (frame.method === "notifications/cancelled" && (await isCancelled(frame, request))) {
          return void response.writeHead(202).end();
        }
        return pass(request, response, body);
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
    if (method === "DELETE") return endSession(request, response);
    return pass(request, response);
  };

  const server = createServer({ maxHeaderSize: headerBytes }, (request, response) => {
    response.on("error", () => undefined);
    const done = handle(request, response).catch((error: Error) => {
      const why = `Nobody knows whether it was done: ${error.message}.`;
      refuse(response, 500, -32603, why);
    });
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
      questions.end();
      // Streams that tell of changes never end by themselves; a call does.
      while (open.size > 0) await Promise.race(work);
      server.closeAllConnections();
      await Promise.all([closed, ...work]);
      // What is still with the server was given up by the guard.
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
