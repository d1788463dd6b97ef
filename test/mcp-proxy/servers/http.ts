import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { createMcpHandler } from "@modelcontextprotocol/server";
import { groundAt } from "./ground.ts";
import { serverV1 } from "./v1.ts";
import { serverV2 } from "./v2.ts";

// A fixture server over HTTP: node http.ts v1|v2 LEDGER [PORT]; it writes its port to stdout.
const [version, ledger = "", port = "0"] = process.argv.slice(2);
const ground = groundAt(ledger);

const sessions = new Map<string, StreamableHTTPServerTransport>();

async function withSessions(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const known = sessions.get(String(request.headers["mcp-session-id"]));
  if (known !== undefined) return known.handleRequest(request, response);
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    onsessioninitialized: (id) => void sessions.set(id, transport),
  });
  // The SDK's own types differ under exactOptionalPropertyTypes.
  await serverV1(ground).connect(
    transport as Parameters<ReturnType<typeof serverV1>["connect"]>[0],
  );
  return transport.handleRequest(request, response);
}

const modern = createMcpHandler(() => serverV2(ground), { legacy: "reject" });
const handler =
  version === "v1"
    ? (request: IncomingMessage, response: ServerResponse) => void withSessions(request, response)
    : getRequestListener((request) => modern.fetch(request));

const server = createServer(handler).listen(Number(port), "127.0.0.1", () => {
  process.stdout.write(`${(server.address() as AddressInfo).port}\n`);
});
// Ends with the test that started it.
process.stdin.on("end", () => process.exit()).resume();
