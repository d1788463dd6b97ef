import type { ServerResponse } from "node:http";
import { eventOf } from "./sse.ts";

/** The client's side of a guarded call: it may leave, and nothing waits for it. */
export interface Listener {
  isThere(): boolean;
  /** A stream has begun: its answer has to be an event. */
  hasBegun(): boolean;
  /** Headers for a stream that has not begun. */
  streamsWith(headers: readonly string[]): void;
  /** Sends an event, and the head of a stream before the first. */
  event(bytes: Uint8Array): void;
  /** Sends the answer: as an event where a stream has begun, else as the body. */
  end(body: Uint8Array, head: ListenerHead): void;
  /** Called once it has left before its answer. */
  onLeft(call: () => void): void;
}

/** How an answer is sent that is no event. */
export interface ListenerHead {
  readonly status: number;
  readonly headers: readonly string[];
  /** The answer as the server's own event, where it came as one. */
  readonly event?: Uint8Array | undefined;
}

/** Bytes that wait for a client that doesn't read; then it is hung up on. */
export const unreadBytes = 16_777_216;

export const jsonHead: ListenerHead = {
  status: 200,
  headers: ["Content-Type", "application/json"],
};

export function listenerAt(response: ServerResponse, headers: readonly string[]): Listener {
  let streamHeaders = headers;
  const isThere = () => !response.destroyed && !response.writableEnded;
  const write = (bytes: Uint8Array) => {
    response.write(bytes);
    if (response.writableLength > unreadBytes) response.destroy();
  };
  return {
    isThere,
    hasBegun: () => response.headersSent,
    streamsWith(given) {
      streamHeaders = given;
    },
    event(bytes) {
      if (!isThere()) return;
      if (!response.headersSent) response.writeHead(200, [...streamHeaders]);
      write(bytes);
    },
    end(body, { status, headers: plain, event }) {
      if (!isThere()) return;
      if (response.headersSent) write(event ?? eventOf(body));
      else if (event === undefined) response.writeHead(status, [...plain]).write(body);
      else {
        response.writeHead(200, [...streamHeaders]);
        write(event);
      }
      response.end();
    },
    onLeft(call) {
      if (isThere()) response.once("close", call);
      else call();
    },
  };
}
