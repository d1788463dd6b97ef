import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import {
  asksForReady,
  asksForTls,
  clientMessages,
  type Message,
  type Statement,
  saysFailed,
  saysReady,
  serverMessages,
  statementReader,
  waits,
} from "./wire.ts";

/** What becomes of a request, that is of all messages up to a Sync, and of its answer. */
export type Fate =
  | { readonly do: "forward" }
  /** It never comes to the server; both connections are cut. */
  | { readonly do: "drop request" }
  /** It comes to the server; the client's connection is cut when the server has answered, or while it works. */
  | { readonly do: "drop reply"; readonly cut: "answered" | "at once" }
  /** A client that gives up meanwhile doesn't stop it: it still arrives. */
  | { readonly do: "delay request"; readonly until: Promise<unknown> }
  | { readonly do: "delay reply"; readonly until: Promise<unknown> }
  /** Not forwarded, and the client sees a reset in place of an end. */
  | { readonly do: "reset" }
  /** Not forwarded, and nothing is said: a network that loses packets. */
  | { readonly do: "swallow" };

/** How many requests met which fate. "drop reply" counts once the reply is lost for good. */
export type Counts = Readonly<Record<Fate["do"], number>> & {
  /** Of those: how many the server had answered with an error. */
  readonly failed: number;
};

export interface WireProxy {
  readonly url: string;
  readonly port: number;
  /** The fate of the next requests that `matches`; `nth` counts them from 1. */
  plan(fate: (nth: number, statement: Statement) => Fate): void;
  counts(): Counts;
  /** Cuts all connections. */
  cut(): void;
  stop(): Promise<void>;
}

export interface ProxyOptions {
  readonly to: { readonly port: number };
  /** Which statements the plan is for; all others are forwarded and not counted. */
  matches(statement: Statement): boolean;
}

const forward: Fate = { do: "forward" };

export async function startProxy({ to, matches }: ProxyOptions): Promise<WireProxy> {
  const counts = {
    forward: 0,
    "drop request": 0,
    "drop reply": 0,
    "delay request": 0,
    "delay reply": 0,
    reset: 0,
    swallow: 0,
    failed: 0,
  };
  const sockets = new Set<Socket>();
  let seen = 0;
  let planned: (nth: number, statement: Statement) => Fate = () => forward;

  const fateOf = (statement: Statement): Fate => {
    seen += 1;
    const fate = planned(seen, statement);
    if (fate.do !== "drop reply") counts[fate.do] += 1;
    return fate;
  };

  const accept = (client: Socket): void => {
    const server = connect(to.port, "127.0.0.1");
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      socket.on("error", () => undefined); // its end is what counts
      sockets.add(socket);
      socket.once("close", () => sockets.delete(socket));
    }
    const replyLost = (failed: boolean): void => {
      counts["drop reply"] += 1;
      if (failed) counts.failed += 1;
    };
    join(client, server, { matches, fateOf, replyLost });
  };

  const listener = createServer(accept).listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address() as AddressInfo;
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: `postgres://postgres@127.0.0.1:${port}/postgres`,
    port,
    plan(fate) {
      planned = fate;
      seen = 0;
    },
    counts: () => ({ ...counts }),
    cut,
    async stop() {
      listener.close();
      cut();
      await once(listener, "close");
    },
  };
}

interface Hooks {
  matches(statement: Statement): boolean;
  fateOf(statement: Statement): Fate;
  replyLost(failed: boolean): void;
}

/** Carries messages between the two until one of them ends or is cut. */
function join(client: Socket, server: Socket, hooks: Hooks): void {
  /** What becomes of each answer under way, in order. */
  const answers: Fate[] = [];
  let tlsAsked = 0;
  let silent = false;

  const requests = async (): Promise<void> => {
    const cut = clientMessages();
    const statementOf = statementReader();
    let batch: Message[] = [];
    let matched: Statement | undefined;
    for await (const chunk of client) {
      for (const message of cut(chunk)) {
        batch.push(message);
        const statement = statementOf(message);
        if (statement !== undefined && hooks.matches(statement)) matched ??= statement;
        if (asksForTls(message)) tlsAsked += 1;
        if (waits(message)) continue;
        if (!silent) await send(batch, matched === undefined ? forward : hooks.fateOf(matched));
        batch = [];
        matched = undefined;
      }
    }
  };

  const send = async (batch: readonly Message[], fate: Fate): Promise<void> => {
    switch (fate.do) {
      case "swallow":
        silent = true;
        return;
      case "drop request":
        client.destroy();
        server.destroy();
        return;
      case "reset":
        client.resetAndDestroy();
        server.resetAndDestroy();
        return;
      case "delay request":
        await fate.until;
        break;
      case "forward":
      case "drop reply":
      case "delay reply":
        break;
    }
    if (batch.some(asksForReady)) answers.push(fate);
    await write(server, batch);
    if (fate.do === "drop reply" && fate.cut === "at once") {
      client.destroy();
      hooks.replyLost(false);
    }
  };

  const replies = async (): Promise<void> => {
    const cut = serverMessages(() => tlsAsked);
    let failed = false;
    for await (const chunk of server) {
      const carried: Message[] = [];
      for (const message of cut(chunk)) {
        const fate = answers[0] ?? forward;
        if (fate.do === "delay reply") {
          await write(client, carried.splice(0));
          await fate.until;
          answers[0] = forward;
        }
        if (saysFailed(message)) failed = true;
        if (saysReady(message)) answers.shift();
        if (fate.do !== "drop reply") carried.push(message);
        else if (saysReady(message)) {
          await write(client, carried);
          if (fate.cut === "answered") hooks.replyLost(failed);
          return;
        }
        if (saysReady(message)) failed = false;
      }
      if (!silent) await write(client, carried);
    }
  };

  // Ended, not cut: what the client sent must arrive. The server ends its side when it is done with that.
  const endServer = (): void => void server.end();
  const endBoth = (): void => {
    client.destroySoon();
    server.destroy();
  };
  requests().then(endServer, endServer);
  replies().then(endBoth, endBoth);
}

async function write(to: Socket, messages: readonly Message[]): Promise<void> {
  if (messages.length === 0) return;
  const bytes = Buffer.concat(messages.map((message) => message.bytes));
  await new Promise<void>((resolve) => to.write(bytes, () => resolve()));
}
