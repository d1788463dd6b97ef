import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Place, Revision } from "./clients.ts";

/** What a server answers to the start and to the listings, as it came over the wire. */
export async function listings(revision: Revision, place: Place): Promise<readonly string[]> {
  const asked = requestsOf(revision);
  return place.url === undefined
    ? overStdio(asked, place.command, place.args)
    : overHttp(revision, asked, place.url);
}

type Message = Readonly<Record<string, unknown>>;

const methods = ["tools/list", "resources/list", "prompts/list", "no/such"];

function requestsOf({ revision, sdk }: Revision): readonly Message[] {
  const clientInfo = { name: "raw", version: "1" };
  if (sdk === "v1") {
    const params = { protocolVersion: revision, capabilities: {}, clientInfo };
    return [
      { jsonrpc: "2.0", id: 0, method: "initialize", params },
      { jsonrpc: "2.0", method: "notifications/initialized" },
      ...methods.map((method, at) => ({ jsonrpc: "2.0", id: at + 1, method, params: {} })),
    ];
  }
  const _meta = {
    "io.modelcontextprotocol/protocolVersion": revision,
    "io.modelcontextprotocol/clientInfo": clientInfo,
    "io.modelcontextprotocol/clientCapabilities": {},
  };
  return ["server/discover", ...methods].map((method, id) => ({
    jsonrpc: "2.0",
    id,
    method,
    params: { _meta },
  }));
}

async function overStdio(
  asked: readonly Message[],
  command: string,
  args: readonly string[],
): Promise<readonly string[]> {
  const child = spawn(command, args, { stdio: ["pipe", "pipe", "ignore"] });
  const ended = once(child, "exit");
  const lines: string[] = [];
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  // One after the other: a server may answer in any order.
  for (const message of asked) {
    child.stdin.write(`${JSON.stringify(message)}\n`);
    if ("id" in message) lines.push(String((await answers.next()).value));
  }
  child.stdin.end();
  await ended;
  return lines;
}

async function overHttp(
  { revision, sdk }: Revision,
  asked: readonly Message[],
  url: string,
): Promise<readonly string[]> {
  const answers: string[] = [];
  let session: string | null = null;
  for (const message of asked) {
    const method = String(message.method);
    const response: Response = await fetch(url, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        accept: "application/json, text/event-stream",
        "mcp-protocol-version": revision,
        ...(sdk === "v2" ? { "mcp-method": method } : {}),
        ...(session === null ? {} : { "mcp-session-id": session }),
      },
      body: JSON.stringify(message),
    });
    session ??= response.headers.get("mcp-session-id");
    answers.push(
      `${response.status} ${response.headers.get("content-type")}`,
      await response.text(),
    );
  }
  return answers;
}
