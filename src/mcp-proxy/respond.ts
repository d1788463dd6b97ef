import type { IncomingMessage, ServerResponse } from "node:http";
import { drained } from "./drained.ts";
import { type FrameId, responseFrame } from "./frame.ts";
import { jsonHead } from "./listener.ts";
import { eventsOf } from "./sse.ts";
import { typeOf } from "./target.ts";

/** What a client is sent over HTTP where no gate answers it. */

/** Copies a response byte for byte, no faster than it is read; looks at the messages of a stream. */
export async function copied(
  from: IncomingMessage,
  to: ServerResponse,
  observe: (data: string) => void,
): Promise<void> {
  const write = async (bytes: Uint8Array) => {
    if (to.destroyed || to.write(bytes)) return;
    await drained(to);
  };
  if (typeOf(from) === "text/event-stream") {
    for await (const { bytes, data } of eventsOf(from)) {
      if (data !== undefined) observe(data);
      await write(bytes);
    }
  } else {
    for await (const chunk of from as AsyncIterable<Buffer>) await write(chunk);
  }
  to.end();
}

/** An answer of the proxy's own to what it did not send on, or lost. */
export function refuse(
  response: ServerResponse,
  status: number,
  code: number,
  why: string,
  id: FrameId | null = null,
): void {
  const says = /^No/.test(why) ? why : `Nothing was sent on. ${why}`;
  const { bytes } = responseFrame(id, { error: { code, message: `safeagent: ${says}` } });
  if (response.headersSent) response.destroy();
  else response.writeHead(status, [...jsonHead.headers]).end(bytes);
}
