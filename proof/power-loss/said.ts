/** What a writer says to its standard output, each in a line: all that it was told is durable, when it was told. */
export type Said =
  /** The store answered that this step landed. `head` is the hash of the case's latest entry. */
  | {
      readonly said: "committed";
      readonly caseId: string;
      readonly version: number;
      readonly head: string;
    }
  /** The effect starts, and ends: its claim was acknowledged. */
  | { readonly said: "started" | "ended"; readonly caseId: string }
  | {
      readonly said: "receipt";
      readonly requestId: string;
      readonly caseId: string;
      readonly text: string;
    }
  | { readonly said: "signalled"; readonly caseId: string; readonly signalId: string }
  | {
      readonly said: "decided";
      readonly caseId: string;
      readonly type: Decision;
      readonly by: string;
    }
  /** From here on, cases that ended may be found as tombstones; after it, they must be. */
  | { readonly said: "pruning" | "pruned" };

export type Decision = "decide" | "approve" | "deny" | "withdraw";

/** All that was acknowledged up to a moment. */
export interface Told {
  hear(said: Said): void;
  /** The latest version and all heads, by case. */
  readonly committed: ReadonlyMap<
    string,
    { readonly version: number; readonly heads: readonly string[] }
  >;
  readonly started: ReadonlySet<string>;
  readonly ended: ReadonlySet<string>;
  readonly receipts: ReadonlyMap<string, { readonly caseId: string; readonly text: string }>;
  readonly signals: ReadonlyMap<string, string>;
  readonly decisions: readonly {
    readonly caseId: string;
    readonly type: Decision;
    readonly by: string;
  }[];
  readonly pruning: "not yet" | "pruning" | "pruned";
}

export function nothingTold(): Told {
  const committed = new Map<string, { version: number; heads: string[] }>();
  const started = new Set<string>();
  const ended = new Set<string>();
  const receipts = new Map<string, { caseId: string; text: string }>();
  const signals = new Map<string, string>();
  const decisions: { caseId: string; type: Decision; by: string }[] = [];
  let pruning: Told["pruning"] = "not yet";
  return {
    hear(said) {
      switch (said.said) {
        case "committed": {
          const known = committed.get(said.caseId) ?? { version: 0, heads: [] };
          known.version = Math.max(known.version, said.version);
          known.heads.push(said.head);
          committed.set(said.caseId, known);
          return;
        }
        case "started":
          started.add(said.caseId);
          return;
        case "ended":
          ended.add(said.caseId);
          return;
        case "receipt":
          receipts.set(said.requestId, said);
          return;
        case "signalled":
          signals.set(said.signalId, said.caseId);
          return;
        case "decided":
          decisions.push(said);
          return;
        case "pruning":
        case "pruned":
          pruning = said.said;
      }
    },
    committed,
    started,
    ended,
    receipts,
    signals,
    decisions,
    get pruning() {
      return pruning;
    },
  };
}
