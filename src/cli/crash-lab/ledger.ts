/**
 * The world outside: a process of its own that does what effects ask for, as a provider would, and
 * counts what was really done.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { BookLine } from "../../testing/history.ts";
import { now } from "./clock.ts";
import type { Class } from "./message.ts";

/** What an effect asks the ledger for. */
export interface Deed {
  readonly caseId: string;
  readonly class: Class;
  readonly key: string;
  /** Not to be done after this instant, in milliseconds since 1970; null: whenever it comes. */
  readonly until: number | null;
  /** Milliseconds until it is done; nobody is answered then. */
  readonly onTheWayMs: number;
}

const book = new Map<string, { -readonly [Name in keyof BookLine]: BookLine[Name] }>();

/** Answers whether it was taken up. */
function perform(deed: Deed): boolean {
  // What makes "absent" a proof: a request that was lost for so long is not done any more.
  if (deed.until !== null && Date.now() >= deed.until) return false;
  const line = book.get(deed.caseId) ?? {
    class: deed.class,
    calls: 0,
    effects: 0,
    keys: [],
    happenedAt: null,
  };
  book.set(deed.caseId, line);
  const isNewKey = !line.keys.includes(deed.key);
  line.calls += 1;
  if (isNewKey) line.keys = [...line.keys, deed.key];
  switch (deed.class) {
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
  line.happenedAt ??= now();
  return true;
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname, searchParams } = new URL(request.url ?? "/", "http://ledger");
  if (pathname === "/do") {
    const deed = JSON.parse(await textOf(request)) as Deed;
    if (deed.onTheWayMs > 0) setTimeout(perform, deed.onTheWayMs, deed);
    else response.statusCode = perform(deed) ? 200 : 410;
    response.end("{}");
    return;
  }
  if (pathname === "/line") {
    response.end(JSON.stringify(book.get(searchParams.get("case") ?? "") ?? null));
    return;
  }
  const prefix = searchParams.get("prefix") ?? "";
  const lines = [...book].filter(([caseId]) => caseId.startsWith(prefix));
  response.end(JSON.stringify(Object.fromEntries(lines)));
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request) text += String(chunk);
  return text;
}

const server = createServer((request, response) => {
  // Whoever asked may be dead by now.
  answer(request, response).catch(() => response.destroy());
});
// Ctrl-C reaches every process of the terminal; the lab ends its children itself, in order.
process.on("SIGINT", () => undefined);
process.once("disconnect", () => process.exit());
server.listen(0, "127.0.0.1", () => {
  process.send?.({ port: (server.address() as AddressInfo).port });
});
