import { once } from "node:events";
import { createServer } from "node:net";
import type { Owned } from "./owned.ts";

/** Somebody may take a port between the look and the start. */
export async function onFreePort(
  launch: (port: number) => Promise<Owned>,
): Promise<[Owned, number]> {
  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort();
    try {
      return [await launch(port), port];
    } catch (error) {
      if (attempt === 5 || !/could not bind|Address already in use/.test(String(error)))
        throw error;
    }
  }
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const address = probe.address();
  probe.close();
  await once(probe, "close");
  if (address === null || typeof address === "string") throw new Error("There is no free port.");
  return address.port;
}
