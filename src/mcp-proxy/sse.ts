/** One event of an event stream. */
export interface SseEvent {
  /** As it came, with its blank line: what is sent on. */
  readonly bytes: Uint8Array;
  /** Undefined where there is none: a comment, or a bare id. */
  readonly data: string | undefined;
  readonly id: string | undefined;
  /** Milliseconds to wait before the stream is asked for again. */
  readonly retryMs: number | undefined;
}

/** Bytes of one event. */
export const eventBytes = 67_108_864;

const lf = 10;
const cr = 13;

/** Cuts an event stream (WHATWG HTML, 9.2) into its events, whose bytes put together are the stream's. */
export async function* eventsOf(
  stream: AsyncIterable<Uint8Array>,
  limit: number = eventBytes,
): AsyncGenerator<SseEvent> {
  let parts: Uint8Array[] = [];
  let held = 0;
  let isLineEmpty = true;
  // The LF of a CR LF belongs to the line end before it, even where another chunk brings it.
  let afterCr = false;
  for await (const chunk of stream) {
    let from = 0;
    for (let at = 0; at < chunk.length; at += 1) {
      const byte = chunk[at];
      const isLineEnd = byte === cr || (byte === lf && !afterCr);
      const isSecondHalf = byte === lf && afterCr;
      afterCr = byte === cr;
      if (isSecondHalf) continue;
      if (!isLineEnd) {
        isLineEmpty = false;
        continue;
      }
      if (!isLineEmpty) {
        isLineEmpty = true;
        continue;
      }
      const end = byte === cr && chunk[at + 1] === lf ? at + 2 : at + 1;
      yield readEvent(Buffer.concat([...parts, chunk.subarray(from, end)]));
      parts = [];
      held = 0;
      from = end;
    }
    const rest = chunk.subarray(from);
    held += rest.length;
    if (held > limit) throw new Error("an event of the stream is too long");
    if (rest.length > 0) parts.push(rest);
  }
  if (parts.length === 0) return;
  // An event that its stream cut off is none.
  yield { bytes: Buffer.concat(parts), data: undefined, id: undefined, retryMs: undefined };
}

function readEvent(bytes: Uint8Array): SseEvent {
  const data: string[] = [];
  let type = "message";
  let id: string | undefined;
  let retryMs: number | undefined;
  for (const line of new TextDecoder().decode(bytes).split(/\r\n|\n|\r/)) {
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "data") data.push(value);
    else if (field === "event") type = value;
    else if (field === "id") id = value;
    else if (field === "retry" && /^\d{1,9}$/.test(value)) retryMs = Number(value);
  }
  const isMessage = data.length > 0 && (type === "message" || type === "");
  return { bytes, data: isMessage ? data.join("\n") : undefined, id, retryMs };
}

/** A frame as an event of our own. JSON has no bare line ends, so it is one line. */
export function eventOf(frame: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from("event: message\ndata: "), frame, Buffer.from("\n\n")]);
}
