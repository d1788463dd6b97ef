import type { DoubtReason, Intent } from "./case.ts";
import type { Fingerprint, RequestId } from "./identity.ts";
import type { Json } from "./json.ts";
import type { Policy } from "./policy.ts";
import type { EffectTerms } from "./receipt.ts";
import type { Signal } from "./signal.ts";

/** Everything that may happen to a case. */
export type Event = Occasion & Happening;

/** When, by whom, and which try: carried in, since the machine has no clock and no dice. */
export interface Occasion {
  /** Milliseconds since 1970, by the store's clock. */
  readonly at: number;
  readonly by: string;
  /** Fresh with every try, so that a lost acknowledgement can be told from a lost race. */
  readonly nonce: string;
}

export type Happening =
  | {
      readonly type: "open";
      readonly policy: Policy;
      readonly outcomes: readonly string[] | null;
      readonly allow: readonly string[] | null;
      readonly intent: Intent | null;
    }
  | { readonly type: "signal"; readonly signal: Signal }
  | { readonly type: "approve"; readonly fingerprint: string; readonly note: string | null }
  | { readonly type: "deny"; readonly fingerprint: string; readonly note: string | null }
  | { readonly type: "decide"; readonly outcome: string; readonly reason: string }
  /** The time for approval is over. */
  | { readonly type: "expire" }
  | { readonly type: "withdraw"; readonly note: string }
  /** Another request asks for this case. */
  | { readonly type: "ask"; readonly requestId: RequestId; readonly fingerprint: Fingerprint }
  | {
      readonly type: "claim";
      readonly requestId: RequestId;
      readonly intent: Intent;
      readonly terms: EffectTerms;
      readonly leaseUntil: number;
      /** The policy the asker insists on. Left out: whatever the case was opened with. */
      readonly policy?: Policy;
      /** Whether a case that doesn't exist is born here, FINAL: nobody has to be asked. */
      readonly opens: boolean;
    }
  | { readonly type: "renew"; readonly fence: number; readonly leaseUntil: number }
  /** The effect returned. */
  | ({ readonly type: "settle"; readonly fence: number } & Returned)
  /** The effect certainly did not happen. */
  | {
      readonly type: "release";
      readonly fence: number;
      readonly reason: string;
      readonly final: boolean;
      /** When a worker may try again, where one is to run it; null: at once. */
      readonly retryAt: number | null;
    }
  /** The effect ended, and nobody knows whether it happened. */
  | {
      readonly type: "doubt";
      readonly fence: number;
      readonly reason: DoubtReason;
      readonly error: string | null;
    }
  | { readonly type: "lease_ended" }
  | {
      readonly type: "probed";
      readonly fence: number;
      readonly found:
        | ({ readonly answer: "happened" } & Returned)
        | { readonly answer: "absent" }
        | Unknown;
    }
  /** A person's word on the doubt about this claim. */
  | ({ readonly type: "resolve"; readonly fence: number; readonly evidence: string } & (
      | ({ readonly happened: true } & Returned)
      | { readonly happened: false }
    ))
  /** The result of a claim that had lost its right: evidence, and where another claim ran, an incident. */
  | ({ readonly type: "late_result"; readonly fence: number } & Returned);

/** What an effect returned, as far as JSON can say it. */
export interface Returned {
  readonly value?: Json;
  readonly valueForm: "exact" | "converted" | "omitted";
}

export interface Unknown {
  readonly answer: "unknown";
  /** When to ask again. */
  readonly probeAt: number;
}

export type EventType = Happening["type"];
