import type { HistoryAnswer } from "../../testing/history.ts";
import type { Effects } from "./effect.ts";
import type { Ask, Step, WorkerConfig } from "./message.ts";
import type { Traps } from "./point.ts";

/** Who keeps order in a worker: runs what is asked for, or answers with what came of it. */
export interface Keeper {
  ask(ask: Ask): Promise<HistoryAnswer>;
  sweep(): Promise<void>;
  receipt(requestId: string): Promise<HistoryAnswer>;
  /** The cases that are listed as in doubt. */
  doubts(): Promise<readonly string[]>;
  /** A person's word on a doubt. */
  resolve(caseId: string, happened: boolean): Promise<HistoryAnswer>;
}

export interface KeeperOptions {
  readonly config: WorkerConfig;
  readonly effects: Effects;
  readonly traps: Traps;
  /** A step of a case was acknowledged. */
  readonly stepped: (caseId: string, step: Step) => void;
}

/** What a registry without sweeps, doubts and receipts by request has to offer. */
export function only(ask: Keeper["ask"]): Keeper {
  return {
    ask,
    sweep: async () => undefined,
    receipt: async () => ({ status: "no_receipt" }),
    doubts: async () => [],
    resolve: async () => ({ status: "failed", effect: "none" }),
  };
}
