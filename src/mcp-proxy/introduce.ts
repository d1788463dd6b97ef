import { type Child, startChild } from "./child.ts";
import { ownEnvelope } from "./declared.ts";
import { answerIn } from "./exchange.ts";
import { type Members, type ResponseFrame, readFrame } from "./frame.ts";
import { linesOf, tooLong } from "./lines.ts";
import {
  listParams,
  notificationBytes,
  ownId,
  readPage,
  requestBytes,
  resultOf,
} from "./own-request.ts";
import { targetAt } from "./target.ts";
import { NotSent, type Upstream } from "./upstream.ts";

/** A server that is asked by nobody but the proxy: to see its tools, not to call them. */
export interface Introduced extends AsyncDisposable {
  readonly upstream: Upstream;
}

interface Wire {
  ask(method: string, params: unknown): Promise<ResponseFrame>;
  tell(method: string): Promise<void>;
  /** What was agreed on with the server. */
  agreed(protocolVersion: string): void;
}

const clientInfo = { name: "safeagent", version: "1" } as const;
/** Milliseconds that a server has for an answer; its start may be the first of its package. */
export const answerMs = 60_000;
const legacy = "2025-11-25";
const modern = "2026-07-28";

/** Starts a server and introduces itself. Ends it when disposed of. */
export async function introduceStdio(
  command: string,
  args: readonly string[],
): Promise<Introduced> {
  const child = await startChild(command, args);
  try {
    const upstream = await introduced(stdioWire(child));
    return { upstream, [Symbol.asyncDispose]: () => ended(child) };
  } catch (error) {
    await ended(child);
    throw error;
  }
}

/** Introduces itself to a server at an address. */
export async function introduceHttp(url: URL): Promise<Introduced> {
  const target = targetAt(url);
  const path = `${url.pathname}${url.search}`;
  let agreed: string | undefined;
  let session: string | undefined;
  const headersFor = (method: string) => [
    ...["Host", url.host, "Content-Type", "application/json"],
    ...["Accept", "application/json, text/event-stream"],
    ...(agreed === undefined ? [] : ["MCP-Protocol-Version", agreed]),
    ...(agreed === modern ? ["Mcp-Method", method] : []),
    ...(session === undefined ? [] : ["Mcp-Session-Id", session]),
  ];
  const send = (method: string, body: Uint8Array) =>
    target.send({ method: "POST", path, headers: headersFor(method), body }, "shared");
  const wire: Wire = {
    async ask(method, params) {
      const id = ownId();
      const response = await send(method, requestBytes(id, method, params));
      const sessionId = response.headers["mcp-session-id"];
      if (typeof sessionId === "string") session = sessionId;
      return answerIn(response, id);
    },
    async tell(method) {
      (await send(method, notificationBytes(method))).resume();
    },
    agreed(version) {
      agreed = version;
    },
  };
  const close = async () => {
    if (session !== undefined) {
      const gone = target.send({ method: "DELETE", path, headers: headersFor("") }, "shared");
      await gone.then((response) => response.resume()).catch(() => undefined);
    }
    target.close();
  };
  try {
    return { upstream: await introduced(wire), [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** As the revisions until 2025-11-25 have it, else as the later ones. */
async function introduced(wire: Wire): Promise<Upstream> {
  const ask = (method: string, params: unknown) => inTime(wire.ask(method, params));
  let envelope: Members | undefined;
  try {
    const params = { protocolVersion: legacy, capabilities: {}, clientInfo };
    const { protocolVersion } = resultOf(await ask("initialize", params), "initialize");
    wire.agreed(typeof protocolVersion === "string" ? protocolVersion : legacy);
    await wire.tell("notifications/initialized");
  } catch (error) {
    if (error instanceof NotSent) throw error;
    wire.agreed(modern);
    envelope = ownEnvelope(modern, clientInfo);
  }
  return {
    call: () => Promise.reject(new NotSent("tools are only looked at here")),
    list: async (cursor) => readPage(await ask("tools/list", listParams(cursor, envelope))),
  };
}

function inTime<T>(answer: Promise<T>): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const late = () => reject(new NotSent(`the server did not answer in ${answerMs / 1_000} s`));
  const timer = setTimeout(late, answerMs);
  answer.then(resolve, reject).finally(() => clearTimeout(timer));
  return promise;
}

function stdioWire(child: Child): Wire {
  const sent = new Map<unknown, PromiseWithResolvers<ResponseFrame>>();
  const write = (bytes: Uint8Array) => void child.stdin.write(Buffer.concat([bytes, newline]));
  const failed = (error: Error) => {
    for (const { reject } of sent.values()) reject(error);
  };
  const read = async () => {
    for await (const line of linesOf(child.stdout)) {
      if (line === tooLong) continue;
      const frame = readFrame(line);
      if (frame.kind === "response") sent.get(frame.id)?.resolve(frame);
    }
    await child.ended;
    failed(new NotSent("the server has ended"));
  };
  void read().catch(failed);
  return {
    ask(method, params) {
      if (!child.isThere()) return Promise.reject(new NotSent("the server has ended"));
      const id = ownId();
      const reply = Promise.withResolvers<ResponseFrame>();
      sent.set(id, reply);
      write(requestBytes(id, method, params));
      return reply.promise;
    },
    async tell(method) {
      write(notificationBytes(method));
    },
    agreed: () => undefined,
  };
}

const newline = Buffer.from("\n");

async function ended(child: Child): Promise<void> {
  child.end();
  await child.ended;
}
