import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
import type { Gate } from "../../src/mcp-proxy/gate.ts";
import { linesOf, tooLong } from "../../src/mcp-proxy/lines.ts";
import { openStdio, type StdioProxy } from "../../src/mcp-proxy/stdio.ts";

const program = fileURLToPath(new URL("./servers/odd.ts", import.meta.url));

/** A proxy between a test, which is the client, and the odd server. */
export interface Pipe {
  readonly proxy: StdioProxy;
  send(...lines: string[]): void;
  /** The next line that the client gets. */
  next(): Promise<string>;
  /** The client closes its end. */
  leave(): void;
  /** What the server got. */
  got(): string[];
}

export async function pipeThrough(gate: Gate): Promise<Pipe> {
  const folder = mkdtempSync(join(tmpdir(), "safeagent-stdio-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const record = join(folder, "record");
  const input = new PassThrough();
  const output = new PassThrough();
  const args = [program, record];
  const proxy = await openStdio(gate, { command: process.execPath, args, input, output });
  onTestFinished(async () => {
    input.end();
    await proxy.ended.catch(() => undefined);
  });
  const lines = linesOf(output);
  return {
    proxy,
    send: (...sent) => void input.write(sent.map((line) => `${line}\n`).join("")),
    async next() {
      const { value } = await lines.next();
      return value === undefined || value === tooLong ? "" : value.toString();
    },
    leave: () => void input.end(),
    got: () => readFileSync(record, "utf8").split("\n").slice(0, -1),
  };
}

export const heldAnswerTo = (id: unknown) =>
  `{"result":{"held":true},"id":${JSON.stringify(id)},"jsonrpc":"2.0"}`;
export const cancelled = (id: unknown) =>
  `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":${JSON.stringify(id)}}}`;
