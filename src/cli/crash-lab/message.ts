import type { HistoryAnswer } from "../../testing/history.ts";
import type { Trap } from "./point.ts";

/** What the lab and its workers say to each other. */

/** What an effect is to the ledger, and to the guard. */
export const classes = ["opaque", "keyed", "probeable", "idempotent"] as const;
export type Class = (typeof classes)[number];

/** Who keeps order in a worker: the guard, or one of the naive registries that must fail. */
export type KeeperName = "guard" | "retry on lease end" | "forget on throw" | "in memory";

export interface WorkerConfig {
  readonly keeper: KeeperName;
  /** The address of the guard's store, as `createGuard` takes it. */
  readonly store: string;
  readonly namespace: string;
  /** A file for the registries that keep one. */
  readonly file: string;
  readonly ledgerPort: number;
  readonly leaseMs: number;
  readonly settlingMs: number;
}

/** How the effect goes this time. */
export interface EffectPlan {
  readonly ends: "returns" | "throws" | "not performed";
  /** Milliseconds it takes, and whether it happens at their beginning or at their end. */
  readonly takesMs: number;
  readonly happens: "first" | "last";
  /** Milliseconds the ledger lets pass before it does it, with nobody waiting for that. */
  readonly onTheWayMs: number;
}

export const plainEffect: EffectPlan = {
  ends: "returns",
  takesMs: 0,
  happens: "last",
  onTheWayMs: 0,
};

/** A step towards the decision of a case, for cases that need one. */
export type Step =
  | { readonly step: "signal"; readonly source: string; readonly outcome: string }
  | { readonly step: "decide"; readonly outcome: string };

/** One ask for one case. */
export interface Ask {
  readonly caseId: string;
  readonly requestId: string;
  readonly class: Class;
  readonly payload: { readonly caseId: string; readonly cents: number };
  readonly waitMs: number;
  readonly effect: EffectPlan;
  /** The steps that were not acknowledged yet; null: the case needs no decision. */
  readonly steps: readonly Step[] | null;
}

export type Command =
  | { readonly do: "ask"; readonly ask: Ask; readonly trap: Trap | null }
  | { readonly do: "sweep" }
  | { readonly do: "receipts"; readonly requestIds: readonly string[] }
  | { readonly do: "doubts" }
  | {
      readonly do: "resolve";
      readonly caseId: string;
      readonly happened: boolean;
      readonly trap: Trap | null;
    };

export interface CommandAnswers {
  readonly ask: HistoryAnswer;
  readonly sweep: null;
  /** In the order of the request ids. */
  readonly receipts: readonly HistoryAnswer[];
  readonly doubts: readonly string[];
  readonly resolve: HistoryAnswer;
}

export type FromWorker =
  | { readonly kind: "ready" }
  | { readonly kind: "answer"; readonly id: number; readonly answer: unknown }
  /** What went wrong is no answer of the guard's: the lab itself is at fault. */
  | { readonly kind: "fault"; readonly id: number; readonly message: string }
  /** A step of a case was acknowledged. */
  | { readonly kind: "stepped"; readonly caseId: string; readonly step: Step }
  /** It stops itself now. */
  | { readonly kind: "stopping"; readonly caseId: string };
