import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import { linesOf, tooLong } from "../../src/mcp-proxy/lines.ts";
import { eventsOf } from "../../src/mcp-proxy/sse.ts";

test("lines are cut at newlines alone, whatever the chunks", async () => {
  const bytes = Buffer.from("a\r\n\n\u2028é\nlonger than four\nend\ncut off");
  for (let size = 1; size <= bytes.length; size += 1) {
    const stream = new PassThrough();
    for (let at = 0; at < bytes.length; at += size) stream.write(bytes.subarray(at, at + size));
    stream.end();
    const lines: string[] = [];
    for await (const line of linesOf(stream, 5)) {
      lines.push(line === tooLong ? "too long" : Buffer.from(line).toString());
    }
    expect(lines).toEqual(["a\r", "", "\u2028é", "too long", "end"]);
  }
});

test("an event stream's events are the same bytes, whatever the chunks and line ends", async () => {
  const parts = [
    "\ufeff: a comment\n\n",
    "event: message\r\ndata: é1\r\n\r\n",
    "id: 7\rretry: 250\rdata:a\rdata:  b\r\r",
    "event: other\ndata: x\n\n",
    "data\n\n",
    "data: cut off",
  ];
  const bytes = Buffer.from(parts.join(""));
  for (let size = 1; size <= bytes.length; size += 1) {
    const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) =>
      bytes.subarray(at * size, (at + 1) * size),
    );
    const events = await allOf(eventsOf(toStream(chunks)));
    expect(Buffer.concat(events.map((one) => one.bytes)).equals(bytes)).toBe(true);
    const said = events.filter(({ data, id }) => data !== undefined || id !== undefined);
    expect(said.map(({ data, id, retryMs }) => [data, id, retryMs])).toEqual([
      ["é1", undefined, undefined],
      ["a\n b", "7", 250],
      ["", undefined, undefined],
    ]);
  }
  await expect(allOf(eventsOf(toStream([bytes]), 10))).rejects.toThrow("too long");
});

async function* toStream(chunks: readonly Uint8Array[]) {
  yield* chunks;
}

async function allOf<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
