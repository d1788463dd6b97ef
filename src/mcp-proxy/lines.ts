import type { Writable } from "node:stream";
import { drained } from "./drained.ts";

/** Frames of stdio: one line each. */

/** A line that was longer than it may be; what it said is gone. */
export const tooLong: unique symbol = Symbol("too long");

/** Bytes of one line: a frame of stdio. */
export const lineBytes = 67_108_864;

/**
 * Cuts a stream at its newlines, which are left out. What comes after the last one is no line: a
 * frame that was cut off is not a frame.
 */
export async function* linesOf(
  stream: AsyncIterable<Uint8Array>,
  limit: number = lineBytes,
): AsyncGenerator<Uint8Array | typeof tooLong> {
  let parts: Uint8Array[] = [];
  let held = 0;
  let skipping = false;
  for await (const chunk of stream) {
    let from = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      const part = chunk.subarray(from, end);
      from = end + 1;
      yield skipping || held + part.length > limit ? tooLong : Buffer.concat([...parts, part]);
      parts = [];
      held = 0;
      skipping = false;
    }
    const rest = chunk.subarray(from);
    if (skipping || held + rest.length > limit) {
      skipping = true;
      parts = [];
      held = 0;
    } else if (rest.length > 0) {
      parts.push(rest);
      held += rest.length;
    }
  }
}

/** Resolves when the next line may be written. */
export type LineWriter = (line: Uint8Array) => Promise<void>;

export function lineWriter(stream: Writable): LineWriter {
  let room: Promise<void> | undefined;
  // Heard of by who reads from the other end.
  stream.on("error", () => undefined);
  return async (line) => {
    if (!stream.writable || stream.write(Buffer.concat([line, newline]))) return;
    room ??= drained(stream).finally(() => {
      room = undefined;
    });
    await room;
  };
}

const newline = Buffer.from("\n");
