import { fork } from "node:child_process";
import { once } from "node:events";
import type { Kind } from "./programs/protocol.ts";

/** What the ledger saw of one case. */
export interface Line {
  readonly calls: number;
  readonly effects: number;
  /** The different idempotency keys it was called with. */
  readonly keys: readonly string[];
}

export interface Ledger {
  readonly url: string;
  line(caseId: string): Promise<Line | null>;
  /** Effects of one case; 0 where the ledger was never called for it. */
  effects(caseId: string): Promise<number>;
  book(): Promise<{ readonly [caseId: string]: Line }>;
  stop(): Promise<void>;
}

/** Starts the process that does and counts effects. */
export async function startLedger(): Promise<Ledger> {
  const child = fork(new URL("./programs/ledger.ts", import.meta.url), { execArgv: [] });
  const [{ url }] = (await once(child, "message")) as [{ url: string }];
  return {
    url,
    line: (caseId) => lineAt(url, caseId),
    effects: async (caseId) => (await lineAt(url, caseId))?.effects ?? 0,
    book: async () => (await (await fetch(`${url}/book`)).json()) as { [caseId: string]: Line },
    async stop() {
      const gone = once(child, "exit");
      child.disconnect();
      await gone;
    },
  };
}

/** What an effect does to the world. `silent`: it is done, and no answer ever comes. */
export async function deed(
  url: string,
  kind: Kind,
  ctx: { readonly caseId: string; readonly idempotencyKey: string },
  silent = false,
): Promise<Line> {
  const { caseId, idempotencyKey: key } = ctx;
  const body = JSON.stringify({ kind, caseId, key, silent });
  return (await (await fetch(`${url}/do`, { method: "POST", body })).json()) as Line;
}

/** What a probe asks the world. */
export async function lineAt(url: string, caseId: string): Promise<Line | null> {
  return (await (await fetch(`${url}/line?case=${encodeURIComponent(caseId)}`)).json()) as Line;
}
