import { type CallFrame, responseFrame } from "../../src/mcp-proxy/frame.ts";
import type { Gate } from "../../src/mcp-proxy/gate.ts";
import type { Client, Upstream } from "../../src/mcp-proxy/upstream.ts";

/** Gates that decide as a test says, without a guard: what is tried here is what carries the frames. */

type Answers = Gate["call"];

export interface TestGate extends Gate {
  readonly clients: Client[];
  /** How often it was told that the tools had changed, and whose. */
  readonly changes: (string | undefined)[];
  /** What came of each call, in the order in which they ended. */
  readonly recorded: string[];
}

export function gateWho(answers: Answers): TestGate {
  const clients: Client[] = [];
  const changes: (string | undefined)[] = [];
  const recorded: string[] = [];
  return {
    clients,
    changes,
    recorded,
    async call(frame, upstream, client) {
      clients.push(client);
      const answer = await answers(frame, upstream, client);
      recorded.push(answer === undefined ? "passed" : Object.keys(answer.answer).join());
      return answer;
    },
    toolsChanged: (principal) => void changes.push(principal),
    explain: () => Promise.reject(new Error("not asked here")),
  };
}

export const passes: Answers = async () => undefined;

/** As a guarded call that was never made before. */
export async function sends(frame: CallFrame, upstream: Upstream) {
  try {
    return await upstream.call(frame);
  } catch (error) {
    const { name, message } = error as Error;
    return responseFrame(frame.id, { error: { code: -32000, message: `${name}: ${message}` } });
  }
}
