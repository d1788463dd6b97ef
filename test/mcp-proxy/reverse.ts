import { once } from "node:events";
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";
import type { Gate } from "../../src/mcp-proxy/gate.ts";
import { openHttp } from "../../src/mcp-proxy/http.ts";

/** What a server got. */
export interface Got {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** Resolves when its connection was closed before the answer. */
  readonly left: Promise<unknown>;
}

export type Behaviour = (got: Got, response: ServerResponse) => void | Promise<void>;

/** A server that a test plays by hand, and a proxy before it. */
export interface Reverse {
  /** The proxy's address. */
  readonly url: string;
  readonly port: number;
  /** The server's own port. */
  readonly serverPort: number;
  readonly got: Got[];
  close(): Promise<void>;
  /** The server takes no connection any more. */
  stopServer(): Promise<void>;
}

export interface ReverseOptions {
  readonly hosts?: readonly string[];
  readonly principalHeaders?: readonly string[];
  /** Of the server's own address. */
  readonly query?: string;
}

export async function reverse(
  gate: Gate,
  behaviour: Behaviour,
  options: ReverseOptions = {},
): Promise<Reverse> {
  const got: Got[] = [];
  const server = createServer(async (message, response) => {
    const left = once(response, "close");
    const body = await textOf(message);
    const { method = "", url = "", headers } = message;
    const one = { method, url, headers, body, left };
    got.push(one);
    await behaviour(one, response);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port: serverPort } = server.address() as AddressInfo;
  const url = new URL(`http://127.0.0.1:${serverPort}/mcp${options.query ?? ""}`);
  const { hosts = [], principalHeaders = [] } = options;
  const place = { url, host: "127.0.0.1", port: 0, hosts };
  const proxy = await openHttp(gate, { ...place, principalHeaders });
  const stopServer = async () => {
    server.closeAllConnections();
    if (server.listening) await new Promise((resolve) => server.close(resolve));
  };
  onTestFinished(async () => {
    await stopServer();
    await proxy.close();
  });
  const port = Number(new URL(proxy.url).port);
  return { url: proxy.url, port, serverPort, got, close: proxy.close, stopServer };
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface Ask {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
  /** Called with what has come of the body so far; true hangs up. */
  readonly onPart?: (body: string) => boolean | undefined;
}

/** Asks as a client would; not by fetch, which sets Host and Origin itself. */
export async function ask(port: number, how: Ask): Promise<Answer> {
  const { method = "POST", path = "/mcp", headers = {}, body, onPart } = how;
  const plain = {
    "content-type": "application/json",
    accept: "application/json, text/event-stream",
  };
  const sent = request({
    host: "127.0.0.1",
    port,
    method,
    path,
    headers: method === "POST" ? { ...plain, ...headers } : headers,
    agent: false,
  });
  sent.end(body);
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  let text = "";
  for await (const chunk of response.setEncoding("utf8")) {
    text += chunk;
    if (onPart?.(text) !== true) continue;
    sent.destroy();
    break;
  }
  return { status: response.statusCode ?? 0, headers: response.headers, body: text };
}

async function textOf(message: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of message.setEncoding("utf8")) text += chunk;
  return text;
}

export const json = (response: ServerResponse, status: number, body: string, headers = {}) =>
  void response.writeHead(status, { "content-type": "application/json", ...headers }).end(body);

export const stream = (response: ServerResponse, ...events: string[]) => {
  if (!response.headersSent) response.writeHead(200, { "content-type": "text/event-stream" });
  response.write(events.join(""));
};
