import type { Signal } from "../../core/signal.ts";
import type { Approval, Decision } from "../../core/verdict.ts";
import type { Case } from "../../index.ts";
import type { CallSeen } from "./call-seen.ts";
import type { NaiveVerdict } from "./naive-verdict.ts";
import type { CaseSetting } from "./setting.ts";

/** The facts about one case, as an all-knowing observer has them. */
export interface Book {
  readonly setting: CaseSetting;
  /** Each start of the effect, in order. */
  readonly attempts: Attempt[];
  /** How often the world was changed. */
  happened: number;
  /** The record that the latest commit left. */
  record: Case | null;
  /** The receipt of the case's end, as text. */
  receipt: string | null;
  /** What the case is bound to, but for what doesn't count. */
  payload: string | null;
  /** Fences of the claims whose result was committed: as the settlement, or as evidence. */
  readonly results: Set<number>;
  /** Answers with a recorded receipt: who got them, and under which request. */
  readonly receivers: { readonly life: string; readonly requestId: string }[];
  /** Fences of the claims that were committed. */
  readonly claims: Set<number>;
  /** Request ids that were bound to it. */
  readonly requests: Set<string>;
  /** The committed voices, until the decision. */
  readonly voices: Voices;
  /** The first verdict that ended the deliberation, by the naive reference. */
  decided: NaiveVerdict | null;
  /** Up to which claim the callee refuses to do it: from then on "it did not happen" is true for good. */
  refusedUpTo: number;
  /** Up to which claim it is committed, and true, that it did not happen: also of a start that comes late. */
  clearedUpTo: number;
  /** True words that were given about the standing doubt. */
  readonly words: { probeSaidAbsent: number; personSaidAbsent: number };
}

export interface Voices {
  readonly signals: Signal[];
  readonly approvals: Approval[];
  decision: Decision | null;
  fingerprint: string | null;
  proposer: string | null;
  openedAt: number;
}

/** One start of an effect. */
export interface Attempt {
  readonly name: string;
  readonly caseId: string;
  readonly requestId: string;
  /** Which life of which process. */
  readonly life: string;
  readonly fence: number;
  readonly key: string;
  readonly payload: string;
  readonly startedAt: number;
  /** The call that it was started for; null where others of its process may have started it: under the same request, or in a sweep. */
  caller: CallSeen | null;
  /** The world was changed by it. */
  happened: boolean;
  /** What it told its guard. */
  told: "nothing" | "returned" | "not performed" | "unknown";
  /** It is committed, and true, that it did not happen. */
  cleared: boolean;
}

export function newBook(setting: CaseSetting): Book {
  return {
    setting,
    attempts: [],
    happened: 0,
    record: null,
    receipt: null,
    payload: null,
    results: new Set(),
    receivers: [],
    claims: new Set(),
    requests: new Set(),
    voices: {
      signals: [],
      approvals: [],
      decision: null,
      fingerprint: null,
      proposer: null,
      openedAt: 0,
    },
    decided: null,
    refusedUpTo: 0,
    clearedUpTo: 0,
    words: { probeSaidAbsent: 0, personSaidAbsent: 0 },
  };
}

/** A payload as text, without the note, which doesn't count. */
export function contentOf(payload: unknown): string {
  const { note: _, ...content } = payload as Record<string, unknown>;
  return JSON.stringify(Object.entries(content).sort(([one], [other]) => (one < other ? -1 : 1)));
}
