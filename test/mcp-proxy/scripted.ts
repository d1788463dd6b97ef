import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createGuard, type Guard } from "../../src/index.ts";
import { readConfig } from "../../src/mcp-proxy/config.ts";
import {
  type Answer,
  type CallFrame,
  type Members,
  type ResponseFrame,
  readFrame,
  responseFrame,
} from "../../src/mcp-proxy/frame.ts";
import {
  type Client,
  createGate,
  type Gate,
  type GateOptions,
  type ToolInfo,
  type Upstream,
} from "../../src/mcp-proxy/gate.ts";

/** What a scripted server does with a call: an answer, or what is thrown. */
export type Script = (frame: CallFrame, nth: number) => Answer | Promise<Answer>;

export interface Scripted {
  readonly upstream: Upstream;
  /** The calls that reached it: the ledger of its effects. */
  readonly calls: CallFrame[];
  lists: number;
}

export const ok = (text: string, more: Members = {}): Answer => ({
  result: { content: [{ type: "text", text }], ...more },
});

/** A server in this process that counts what reaches it, and answers as it is told. */
export function scripted(
  script: Script = (_, nth) => ok(`done ${nth}`),
  tools: readonly ToolInfo[] = [{ name: "refund" }],
): Scripted {
  const calls: CallFrame[] = [];
  const server: Scripted = {
    calls,
    lists: 0,
    upstream: {
      async call(frame) {
        calls.push(frame);
        return responseFrame(frame.id, await script(frame, calls.length));
      },
      async list() {
        server.lists += 1;
        return { tools };
      },
    },
  };
  return server;
}

let ids = 0;

/** A tools/call as a client sends it, under a JSON-RPC id that was not used before. */
export function toolCall(args: unknown, params: Members = {}): CallFrame {
  ids += 1;
  const asked = { name: "refund", arguments: args, ...params };
  const frame = readFrame(
    JSON.stringify({ jsonrpc: "2.0", id: ids, method: "tools/call", params: asked }),
  );
  if (frame.kind !== "call") throw new Error(`not a call: ${frame.kind}`);
  return frame;
}

export const client = (more: Partial<Client> = {}): Client => ({
  principal: undefined,
  protocolVersion: "2025-06-18",
  elicits: false,
  ...more,
});

/** What the client would get: the gate's answer, or the server's where the gate lets the call pass. */
export async function through(
  gate: Gate,
  frame: CallFrame,
  { upstream }: Scripted,
  who: Client = client(),
): Promise<ResponseFrame> {
  return (await gate.call(frame, upstream, who)) ?? upstream.call(frame);
}

export function resultOf({ answer }: ResponseFrame): Members {
  if ("error" in answer) throw new Error(`an error: ${JSON.stringify(answer.error)}`);
  return answer.result as Members;
}

/** The text of a result, all blocks together. */
export function textOf(frame: ResponseFrame): string {
  const { content } = resultOf(frame) as { content: readonly { text: string }[] };
  return content.map(({ text }) => text).join(" ");
}

export function metaOf(frame: ResponseFrame): Members {
  return (resultOf(frame)._meta ?? {}) as Members;
}

export interface House extends AsyncDisposable {
  readonly guard: Guard;
  readonly gate: Gate & Disposable;
  /** Another gate on the same store, as another process has it. */
  again(config?: unknown, options?: GateOptions): Gate;
}

/** A guard on a store of the kind, and a gate before it. */
export function house(
  store: "memory" | "sqlite",
  config: unknown = {},
  options: GateOptions = {},
): House {
  const folder = mkdtempSync(join(tmpdir(), "safeagent-gate-"));
  const address = store === "memory" ? "memory:" : join(folder, "safeagent.db");
  const guard = createGuard({ store: address, waitMs: 2_000, actor: "proxy" });
  const guards = [guard];
  const gates: Disposable[] = [];
  const gateOn = (on: Guard, given: unknown, more: GateOptions) => {
    const gate = createGate(on, readConfig(given, { server: "shop" }), more);
    gates.push(gate);
    return gate;
  };
  return {
    guard,
    gate: gateOn(guard, config, options),
    again(given = config, more = options) {
      if (store === "memory") return gateOn(guard, given, more);
      const other = createGuard({ store: address, waitMs: 2_000, actor: "proxy" });
      guards.push(other);
      return gateOn(other, given, more);
    },
    async [Symbol.asyncDispose]() {
      for (const one of gates) one[Symbol.dispose]();
      for (const one of guards) await one.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
