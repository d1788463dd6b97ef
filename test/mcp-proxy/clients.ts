import * as v2 from "@modelcontextprotocol/client";
import { StdioClientTransport as StdioV2 } from "@modelcontextprotocol/client/stdio";
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport as StdioV1 } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport as HttpV1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import type { Transport as TransportV1 } from "@modelcontextprotocol/sdk/shared/transport.js";
import { ElicitRequestSchema } from "@modelcontextprotocol/sdk/types.js";

/** The revisions of the protocol that the proxy is tested with, by the SDK's own clients and servers. */
export const revisions = [
  { revision: "2025-06-18", sdk: "v1" },
  { revision: "2025-11-25", sdk: "v1" },
  { revision: "2026-07-28", sdk: "v2" },
] as const;

export type Revision = (typeof revisions)[number];

/** Where a client connects. */
export type Place =
  | { readonly url: string }
  | { readonly url?: undefined; readonly command: string; readonly args: readonly string[] };

export interface ToolResult {
  readonly text: string;
  readonly isError: boolean;
}

export interface CallOptions {
  readonly signal?: AbortSignal;
  readonly onprogress?: (progress: { progress: number; total?: number | undefined }) => void;
}

/** A client, whichever SDK it is of. */
export interface TestClient {
  /** The revision that client and server agreed on. */
  readonly revision: string | undefined;
  /** The process that it started, over stdio. */
  readonly pid: number | null;
  call(tool: string, order: string, options?: CallOptions): Promise<ToolResult>;
  close(): Promise<void>;
}

/** What its user says to every question; what was asked is kept. */
export interface User {
  agrees: boolean;
  readonly asked: string[];
}

export function connect(
  { revision, sdk }: Revision,
  place: Place,
  user: User,
): Promise<TestClient> {
  return sdk === "v1" ? connectV1(place, revision, user) : connectV2(place, revision, user);
}

const info = { name: "test-client", version: "1.0.0" };
const capabilities = { elicitation: { form: {} } };

const answerOf = (user: User, message: string) => {
  user.asked.push(message);
  if (!user.agrees) return { action: "decline" as const };
  return { action: "accept" as const, content: { agree: true, approve: true } };
};

async function connectV1(place: Place, revision: string, user: User): Promise<TestClient> {
  const transport =
    place.url === undefined
      ? new StdioV1({ command: place.command, args: [...place.args], stderr: "ignore" })
      : new HttpV1(new URL(place.url));
  const agreed = asRevision(transport as TransportV1, revision);
  const client = new ClientV1(info, { capabilities });
  client.setRequestHandler(ElicitRequestSchema, ({ params }) => answerOf(user, params.message));
  await client.connect(transport as TransportV1);
  return {
    revision: agreed(),
    pid: transport instanceof StdioV1 ? transport.pid : null,
    async call(name, order, options) {
      const request = { name, arguments: { order } };
      return resultOf(await client.callTool(request, undefined, options));
    },
    close: () => client.close(),
  };
}

/** The SDK's client asks for its newest revision; an older client differs in this one word. */
function asRevision(transport: TransportV1, revision: string): () => string | undefined {
  let agreed: string | undefined;
  const send = transport.send.bind(transport);
  transport.send = (message, options) => {
    if (!("method" in message) || message.method !== "initialize") return send(message, options);
    const params = { ...message.params, protocolVersion: revision };
    return send({ ...message, params }, options);
  };
  const told = transport.setProtocolVersion?.bind(transport);
  transport.setProtocolVersion = (version) => {
    agreed = version;
    told?.(version);
  };
  return () => agreed;
}

async function connectV2(place: Place, revision: string, user: User): Promise<TestClient> {
  const transport =
    place.url === undefined
      ? new StdioV2({ command: place.command, args: [...place.args], stderr: "ignore" })
      : new v2.StreamableHTTPClientTransport(new URL(place.url));
  const client = new v2.Client(info, {
    capabilities,
    versionNegotiation: { mode: { pin: revision } },
  });
  client.setRequestHandler("elicitation/create", ({ params }) => answerOf(user, params.message));
  await client.connect(transport);
  return {
    revision: client.getNegotiatedProtocolVersion(),
    pid: transport instanceof StdioV2 ? transport.pid : null,
    async call(name, order, options) {
      return resultOf(await client.callTool({ name, arguments: { order } }, options));
    },
    close: () => client.close(),
  };
}

function resultOf(result: { [name: string]: unknown }): ToolResult {
  const [first] = result.content as { readonly text: string }[];
  return { text: first?.text ?? "", isError: result.isError === true };
}
