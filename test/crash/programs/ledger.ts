/**
 * The world outside the guard: a process of its own that does what effects ask for, as a provider
 * would, and counts what was really done.
 */
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import type { Line } from "../ledger.ts";
import type { Kind } from "./protocol.ts";

interface Deed {
  readonly kind: Kind;
  readonly caseId: string;
  readonly key: string;
  /** Done, and never answered. */
  readonly silent: boolean;
}

const book = new Map<string, { calls: number; effects: number; keys: string[] }>();

function lineOf(caseId: string) {
  const line = book.get(caseId) ?? { calls: 0, effects: 0, keys: [] };
  book.set(caseId, line);
  return line;
}

function perform({ kind, caseId, key }: Deed): Line {
  const line = lineOf(caseId);
  const isNewKey = !line.keys.includes(key);
  line.calls += 1;
  if (isNewKey) line.keys.push(key);
  switch (kind) {
    case "opaque":
    case "probeable":
      line.effects += 1;
      break;
    case "keyed":
      // As a callee does that honours idempotency keys.
      if (isNewKey) line.effects += 1;
      break;
    case "idempotent":
      // A state that is set: setting it again changes nothing.
      line.effects = 1;
  }
  return line;
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request) text += String(chunk);
  return text;
}

const server = createServer(async (request, response) => {
  const { pathname, searchParams } = new URL(request.url ?? "/", "http://ledger");
  let answer: unknown = Object.fromEntries(book);
  if (pathname === "/line") answer = book.get(searchParams.get("case") ?? "") ?? null;
  if (pathname === "/do") {
    const deed = JSON.parse(await textOf(request)) as Deed;
    answer = perform(deed);
    if (deed.silent) return;
  }
  response.end(JSON.stringify(answer));
});

process.on("disconnect", () => process.exit());
server.listen(0, "127.0.0.1", () => {
  const { port } = server.address() as AddressInfo;
  process.send?.({ url: `http://127.0.0.1:${port}` });
});
