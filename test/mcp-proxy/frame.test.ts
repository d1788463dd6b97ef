import { describe, expect, test } from "vitest";
import {
  type CallFrame,
  readFrame,
  refusalOf,
  renamed,
  responseFrame,
  withArguments,
  withoutContinuation,
} from "../../src/mcp-proxy/frame.ts";
import { lineBytes } from "../../src/mcp-proxy/lines.ts";
import { levelsMost } from "../../src/mcp-proxy/repeated-name.ts";

const call = (text: string): CallFrame => {
  const frame = readFrame(text);
  if (frame.kind !== "call") throw new Error(frame.kind);
  return frame;
};

describe("a frame", () => {
  test("keeps its bytes as they came", () => {
    const text =
      '{ "id":"a" ,"method":"tools/call","jsonrpc":"2.0","params":{"name":"n","arguments":{"x":1.0,"y":1e2,"z":"\\u00e9"}}}';
    const bytes = new TextEncoder().encode(text);
    expect(call(text).bytes).toEqual(bytes);
    const frame = readFrame(bytes);
    expect("bytes" in frame && frame.bytes).toBe(bytes);
  });

  test.each([
    ['{"jsonrpc":"2.0","id":1,"method":"ping"}', "request"],
    ['{"jsonrpc":"2.0","method":"notifications/initialized"}', "notification"],
    ['{"jsonrpc":"2.0","id":1,"result":{}}', "response"],
    ['{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":""}}', "response"],
    ['{"jsonrpc":"2.0","id":"x","method":"tools\\/call","params":{"name":"n"}}', "call"],
    ['{"jsonrpc":"2.0","id":1,"method":"\\u0074ools/call","params":{"name":"n"}}', "call"],
  ])("%s is a %s", (text, kind) => {
    expect(readFrame(text).kind).toBe(kind);
  });

  test.each([
    ["[", -32700],
    ["", -32700],
    ["\uFEFF{}", -32700],
    ['{"jsonrpc":"2.0"}', -32600],
    ["7", -32600],
    // A batch, with a call in it.
    ['[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"n"}}]', -32600],
    // A call that nobody could be answered for.
    ['{"jsonrpc":"2.0","method":"tools/call","params":{"name":"n"}}', -32600],
    ['{"jsonrpc":"2.0","id":null,"method":"tools/call","params":{"name":"n"}}', -32600],
    ['{"jsonrpc":"2.0","id":1.5,"method":"tools/call","params":{"name":"n"}}', -32600],
    ['{"jsonrpc":"2.0","id":{},"method":"ping"}', -32600],
    ['{"jsonrpc":"2.0","id":1,"method":7}', -32600],
    // Read by the first of two names, this would be a call.
    [
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","method":"ping","params":{"name":"n"}}',
      -32600,
    ],
    ['{"jsonrpc":"2.0","id":1,"meth\\u006fd":"tools/call","method":"ping"}', -32600],
    [
      '{"id":1,"method":"tools/call","params":{"name":"n","arguments":{"a":[{"b":1,"b":2}]}}}',
      -32600,
    ],
    ['{"id":1,"method":"ping","a":{"\\\\":1,"\\u005c":2}}', -32600],
    ['{"id":1,"method":"ping","a":"\\\\","a":"\\\\\\""}', -32600],
    // Read without regard to case, this would be a call.
    [
      '{"jsonrpc":"2.0","id":1,"method":"ping","METHOD":"tools/call","params":{"name":"n"}}',
      -32600,
    ],
    ['{"jsonrpc":"2.0","id":1,"method":"ping","param\u017f":{"name":"n"}}', -32600],
    ['{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"n","Name":"m"}}', -32602],
    ['{"id":1,"method":"tools/call","params":{"name":"n","toolArguments":1,"_Meta":{}}}', -32602],
    ['{"jsonrpc":"2.0","id":1,"method":"tools/call"}', -32602],
    ['{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"arguments":{}}}', -32602],
    ['{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"n","arguments":[]}}', -32602],
    ['{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"n","_meta":1}}', -32602],
    ['{"id":1,"method":"tools/call","params":{"name":"n","requestState":1}}', -32602],
    ['{"id":1,"method":"tools/call","params":{"name":"n","inputResponses":[]}}', -32602],
  ])("%s is not taken for anything", (text, code) => {
    const frame = readFrame(text);
    expect(frame).toMatchObject({ kind: "unreadable", code });
    if (frame.kind !== "unreadable") return;
    expect(refusalOf(frame).message).toMatchObject({ id: frame.id, error: { code } });
  });

  test("in bytes that are not UTF-8 is not taken for anything", () => {
    const bytes = new Uint8Array([
      ...new TextEncoder().encode('{"id":1,"method":"'),
      0xff,
      0x22,
      0x7d,
    ]);
    expect(readFrame(bytes)).toMatchObject({ kind: "unreadable", code: -32700 });
  });

  test("may have members that nobody knows, whatever their case, and arguments of any", () => {
    const text =
      '{"id":1,"method":"tools/call","X":1,"params":{"name":"n","Other":1,"arguments":{"id":1,"ID":2,"Name":3}}}';
    expect(readFrame(text).kind).toBe("call");
  });

  test("with null for its arguments is a call without any", () => {
    const text =
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"n","arguments":null}}';
    expect(call(text).params).toEqual({ name: "n", arguments: {}, _meta: {} });
  });

  test.each([
    ["a text", "x".repeat(lineBytes - 100)],
    ["a text of escapes", '\\\\\\"'.repeat(3_000_000)],
  ])("of many megabytes is read: %s", (_, long) => {
    const frame = (more: string) =>
      readFrame(
        `{"id":1,"method":"tools/call","params":{"name":"n","arguments":{"a":"${long}"${more}}}}`,
      );
    expect(frame("").kind).toBe("call");
    expect(frame(',"b":1,"b":2')).toMatchObject({ kind: "unreadable", code: -32600 });
  });

  test("that is nested deeper than anybody needs is not taken for anything", () => {
    const frame = (levels: number) =>
      readFrame(`{"id":1,"method":"ping","params":${"[".repeat(levels)}${"]".repeat(levels)}}`);
    expect(frame(levelsMost - 1).kind).toBe("request");
    for (const levels of [levelsMost, 1_000_000]) {
      expect(frame(levels)).toMatchObject({ kind: "unreadable", code: -32600 });
    }
  });

  test("may have the same name in different objects, and in texts", () => {
    const text =
      '{"id":1,"method":"tools/call","params":{"name":"name","arguments":{"a":{"name":1},"b":[{"name":"\\"name\\":"},{"name":2}]}}}';
    expect(readFrame(text).kind).toBe("call");
  });
});

test("an answer is renamed only for another request", () => {
  const answer = responseFrame(1, { result: { x: 1 } });
  expect(renamed(answer, 1)).toBe(answer);
  expect(renamed(answer, "b").message).toEqual({ jsonrpc: "2.0", id: "b", result: { x: 1 } });
});

test("a call without its continuation is the call as it was first made", () => {
  const frame = call(
    '{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"n","arguments":{"a":1},"_meta":{"k":1},"inputResponses":{},"requestState":"s"}}',
  );
  const first = withoutContinuation(frame);
  expect(first.params).toEqual({ name: "n", arguments: { a: 1 }, _meta: { k: 1 } });
  expect(JSON.parse(new TextDecoder().decode(first.bytes))).toEqual({
    jsonrpc: "2.0",
    id: 2,
    method: "tools/call",
    params: { name: "n", arguments: { a: 1 }, _meta: { k: 1 } },
  });
  const other = withArguments(first, { b: 2 });
  expect(readFrame(other.bytes)).toMatchObject({ kind: "call", params: { arguments: { b: 2 } } });
});
