import { Socket } from "node:net";

/** The sockets of a pool: the driver waits for the server to close them, however long that takes. */
export interface OwnSockets {
  /** One that is not connected yet. */
  make(): Socket;
  /** Resolves when all are closed; what is not closed by then is thrown away. */
  closed(withinMs: number): Promise<void>;
}

export function ownSockets(): OwnSockets {
  const open = new Set<Socket>();
  let told = (): void => undefined;
  return {
    make() {
      const socket = new Socket();
      open.add(socket);
      socket.once("close", () => {
        open.delete(socket);
        if (open.size === 0) told();
      });
      return socket;
    },
    async closed(withinMs) {
      if (open.size === 0) return;
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        told = resolve;
        timer = setTimeout(resolve, withinMs);
      });
      clearTimeout(timer);
      for (const socket of open) socket.destroy();
    },
  };
}
