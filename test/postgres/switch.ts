import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** One address for a pair of servers: what a name, a proxy or a floating address is elsewhere. */
export interface Switch {
  readonly url: string;
  /** Cuts what is connected, and leads to another port from here on. */
  to(port: number): void;
  stop(): Promise<void>;
}

/** @param host the address that it listens on */
export async function startSwitch(first: number, host = "127.0.0.1"): Promise<Switch> {
  let target = first;
  const sockets = new Set<Socket>();
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  const listener = createServer((client) => {
    const server = connect(target, "127.0.0.1");
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on("error", () => undefined); // its end is what counts
      socket.once("close", () => {
        sockets.delete(socket);
        other.destroy();
      });
      socket.pipe(other);
    }
  }).listen(0, host);
  await once(listener, "listening");
  const { port } = listener.address() as AddressInfo;
  return {
    url: `postgres://postgres@${host}:${port}/postgres`,
    to(next) {
      target = next;
      cut();
    },
    async stop() {
      listener.close();
      cut();
      await once(listener, "close");
    },
  };
}
