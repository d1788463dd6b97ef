import { setMaxListeners } from "node:events";
import http from "node:http";
import https from "node:https";
import { isLoopback } from "./hosts.ts";
import { NotSent, UpstreamLost } from "./upstream.ts";

/** Requests to a server over HTTP, and what is known where they fail. */

/** Where a client's requests go on to. */
export interface Target {
  readonly url: URL;
  /** A request with a connection of its own can't meet one that the server has just given up. */
  send(request: Outgoing, connection: "shared" | "own"): Promise<http.IncomingMessage>;
  /** Aborted by `close`. */
  readonly closed: AbortSignal;
  /** Hangs up on the server, whatever it still owes. */
  close(): void;
}

export interface Outgoing {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  /** Names and values in turn, as Node has them. */
  readonly headers: readonly string[];
  readonly body?: Uint8Array | undefined;
  /** Ends the request; without it only the target's end does. */
  readonly signal?: AbortSignal | undefined;
}

export function targetAt(url: URL): Target {
  const { Agent, request } = url.protocol === "https:" ? https : http;
  const shared = new Agent({ keepAlive: true });
  const over = new AbortController();
  const closed = over.signal;
  // Each request listens to it.
  setMaxListeners(0, closed);

  const once = (outgoing: Outgoing, connection: "shared" | "own") => {
    const { method, path, headers, body } = outgoing;
    const signal =
      outgoing.signal === undefined ? closed : AbortSignal.any([outgoing.signal, closed]);
    const done = Promise.withResolvers<http.IncomingMessage>();
    const length = body === undefined ? [] : ["content-length", String(body.length)];
    const sent = request(new URL(url.origin), {
      method,
      path,
      // Node takes a list as it is; its types know an object only.
      headers: [...headers, ...length] as never,
      agent: connection === "shared" ? shared : false,
      signal,
    });
    let isConnected = false;
    sent.on("socket", (socket) => {
      if (!socket.connecting) isConnected = true;
      socket.once(url.protocol === "https:" ? "secureConnect" : "connect", () => {
        isConnected = true;
      });
    });
    sent.on("response", done.resolve);
    sent.on("error", (cause: NodeJS.ErrnoException) => {
      const says = cause.code ?? cause.message;
      done.reject(
        isConnected
          ? new UpstreamLost(`the connection to the server broke (${says})`, { cause })
          : new NotSent(`the server can't be reached (${says})`, { cause }),
      );
    });
    sent.end(body);
    return { response: done.promise, isReused: () => sent.reusedSocket };
  };

  return {
    url,
    closed,
    async send(outgoing, connection) {
      if (closed.aborted) throw new NotSent("the proxy has ended");
      const first = once(outgoing, connection);
      try {
        return await first.response;
      } catch (error) {
        // The server had given the connection up while it was idle.
        const isStale = first.isReused() && codeOf(error) === "ECONNRESET";
        if (!isStale || outgoing.signal?.aborted === true) throw error;
        return once(outgoing, "own").response;
      }
    },
    close() {
      over.abort();
      shared.destroy();
    },
  };
}

function codeOf(error: unknown): unknown {
  const { cause } = error as Error;
  return (cause as NodeJS.ErrnoException | undefined)?.code;
}

/** Headers that speak of one connection only (RFC 9110, 7.6.1). */
const hopByHop = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "http2-settings",
  "expect",
]);

/** A client's headers as they go on. */
export function headersTo(url: URL, request: http.IncomingMessage): string[] {
  // A server on this machine sees the name that the client used, and can check it by itself.
  const host = isLoopback(url.hostname) ? (request.headers.host ?? url.host) : url.host;
  const kept = headersWithout(withoutHop(request), ["host", "content-length", "accept-encoding"]);
  // What comes back is read here.
  return ["Host", host, ...kept, "Accept-Encoding", "identity"];
}

/** A server's headers as they come back. */
export function headersFrom(response: http.IncomingMessage): string[] {
  return withoutHop(response);
}

/** Those whose names begin otherwise. */
export function headersWithout(headers: readonly string[], starts: readonly string[]): string[] {
  return pairsOf(headers)
    .filter(([name]) => !starts.some((start) => name.toLowerCase().startsWith(start)))
    .flat();
}

function withoutHop(message: http.IncomingMessage): string[] {
  const named = (message.headers.connection ?? "")
    .split(",")
    .map((name) => name.trim().toLowerCase());
  return pairsOf(message.rawHeaders)
    .filter(([name]) => !hopByHop.has(name.toLowerCase()) && !named.includes(name.toLowerCase()))
    .flat();
}

function pairsOf(headers: readonly string[]): (readonly [name: string, value: string])[] {
  return headers.flatMap((name, at) =>
    at % 2 === 0 ? [[name, headers[at + 1] ?? ""] as const] : [],
  );
}

/** Bytes of one body that is read whole. */
export const bodyBytes = 16_777_216;

/** Reads a body; undefined where it is too long. Rejects where it breaks off. */
export async function bodyOf(
  message: http.IncomingMessage,
  limit: number = bodyBytes,
): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  // Not destroyed: who sent too much is still to be told.
  for await (const chunk of message.iterator({ destroyOnReturn: false })) {
    bytes += chunk.length;
    if (bytes > limit) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/**
 * Whether a body is read as UTF-8 by who looks at its type: in another charset the same bytes could
 * be another message.
 */
export function isUtf8(message: http.IncomingMessage): boolean {
  const types = pairsOf(message.rawHeaders).filter(([name]) => /^content-type$/i.test(name));
  return types
    .flatMap(([, value]) => value.split(/[;,]/))
    .filter((parameter) => /charset/i.test(parameter))
    .every((parameter) => /^\s*charset\s*=\s*("?)utf-?8\1\s*$/i.test(parameter));
}

/** The media type alone. */
export function typeOf(message: http.IncomingMessage): string {
  return (message.headers["content-type"] ?? "").split(";")[0]?.trim().toLowerCase() ?? "";
}
