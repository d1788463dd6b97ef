import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { Side, Ticket } from "./task.ts";

/**
 * The help desk: a process of its own, behind HTTP, that knows nothing of the guard and keeps its
 * own books. Like most of its kind it makes a new ticket of every request, notes the caller's
 * reference on it, and can be asked for a reference later.
 */

/** What the network does to the next reply of a new ticket. The ticket itself is made in any case. */
export type Fate = "arrives" | "cut" | "held";

/** What the help desk has done for one side. */
export interface Books {
  readonly tickets: readonly string[];
  readonly closures: readonly string[];
}

interface World {
  readonly tickets: {
    readonly number: string;
    readonly reference: string;
    readonly ticket: Ticket;
  }[];
  readonly closures: string[];
  fate: Fate;
}

const worlds: { readonly [S in Side]: World } = {
  without: { tickets: [], closures: [], fate: "arrives" },
  with: { tickets: [], closures: [], fate: "arrives" },
};

const server = createServer((request, response) => {
  serve(request, response).catch(() => response.destroy());
});
// Longer than the demo lasts: a connection closed for idleness would be a failure that nobody ordered.
server.keepAliveTimeout = 120_000;
server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  if (typeof address === "object") process.send?.({ port: address?.port });
});

// Ctrl-C reaches every process of the terminal; the demo ends its children itself, in order.
process.on("SIGINT", () => undefined);
process.once("disconnect", () => process.exit());

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? "/", "http://help-desk");
  const [, side = "", thing] = url.pathname.split("/");
  const world = side === "without" || side === "with" ? worlds[side] : undefined;
  if (world === undefined) return reply(response, 404, {});
  switch (`${request.method} ${thing}`) {
    case "POST tickets":
      return openTicket(world, await bodyOf(request), response);
    case "GET tickets": {
      const reference = url.searchParams.get("reference");
      const found = world.tickets.find((one) => one.reference === reference);
      return found === undefined ? reply(response, 404, {}) : reply(response, 200, found);
    }
    case "POST closures": {
      const { account } = await bodyOf<{ account: string }>(request);
      world.closures.push(account);
      return reply(response, 201, { account });
    }
    case "GET books": {
      const tickets = world.tickets.map((one) => one.number);
      return reply(response, 200, { tickets, closures: world.closures });
    }
    case "PUT fate":
      world.fate = (await bodyOf<{ fate: Fate }>(request)).fate;
      return reply(response, 200, {});
  }
  return reply(response, 404, {});
}

function openTicket(
  world: World,
  asked: { reference: string; ticket: Ticket },
  response: ServerResponse,
): void {
  const number = `TCK-${world.tickets.length + 1}`;
  const made = { number, ...asked };
  world.tickets.push(made);
  const { fate } = world;
  world.fate = "arrives";
  switch (fate) {
    case "arrives":
      reply(response, 201, made);
      return;
    case "cut":
      response.destroy();
      return;
    case "held":
      return;
  }
}

function reply(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
}

async function bodyOf<T>(request: IncomingMessage): Promise<T> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return JSON.parse(Buffer.concat(parts).toString()) as T;
}
