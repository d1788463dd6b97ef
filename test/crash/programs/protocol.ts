import type { CaseState } from "../../../src/index.ts";

/** What a callee is: how the ledger counts, and what the guard may be told of it. */
export type Kind = "opaque" | "keyed" | "probeable" | "idempotent";

/** The named steps of an execution at which a caller kills itself. */
export const killPoints = [
  "before the claim",
  "after the claim",
  "in the effect",
  "in the effect, its request sent",
  "after the effect",
  "in the settle, written and not answered",
  "after the settle",
] as const;

export type KillPoint = (typeof killPoints)[number];

/** How a caller process is made; it gets it as its one argument, in JSON. */
export interface CallerConfig {
  /** The SQLite file. */
  readonly path: string;
  /** The ledger's address. */
  readonly ledger: string;
  /** What the callee really is. */
  readonly kind: Kind;
  /** What the guard is told. Default: the truth. A lie switches the defence off. */
  readonly declared?: Kind;
  readonly leaseMs?: number;
  readonly settlingMs?: number;
  readonly dieAt?: KillPoint;
  /** Effects wait to be told to go on, before or after they are done. */
  readonly pause?: "before" | "after";
}

/** What a caller process is asked to do. */
export type Command =
  | {
      readonly do: "execute";
      readonly caseId: string;
      readonly requestId?: string;
      readonly waitMs?: number;
    }
  | {
      readonly do: "storm";
      readonly keys: readonly string[];
      readonly me: number;
      readonly atOnce: number;
    }
  | { readonly do: "reconcile" }
  | { readonly do: "list"; readonly states: readonly CaseState[] }
  | { readonly do: "history"; readonly caseId: string }
  | { readonly do: "receipt"; readonly requestId: string }
  | { readonly do: "resolve"; readonly caseId: string; readonly happened: boolean }
  | { readonly do: "go on" }
  | { readonly do: "close" };

/** What came of a call, in a form that crosses to another process. */
export interface Answer {
  readonly status: string;
  readonly effect: "once" | "none" | "unknown";
  readonly replayed?: boolean;
  readonly recorded?: boolean;
  /** The receipt's exact text: `JSON.stringify` of it. */
  readonly receipt?: string;
}

/** An error, and whether it is the guard's own. */
export interface Fault {
  readonly typed: boolean;
  readonly code: string;
  readonly effect: string;
  readonly message: string;
}

export type FromCaller =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly fault: Fault }
  /** An effect waits. */
  | { readonly waits: string };
