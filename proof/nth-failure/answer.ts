/** What a subject tells of one try of one step, a line each. */
export type Answer = Tried &
  (
    | { readonly came: "opened" | "closed" }
    /** A signal, a decision or an approval was taken. */
    | {
        readonly came: "accepted";
        readonly type: "signal" | "decide" | "approve";
        readonly by: string;
      }
    | { readonly came: "settled"; readonly recorded: boolean; readonly receipt: string }
    | { readonly came: "held"; readonly status: string; readonly effect: string }
    | {
        readonly came: "error";
        readonly typed: boolean;
        readonly effect: string;
        readonly message: string;
      }
  );

interface Tried {
  /** Names the step. */
  readonly step: string;
  /** Empty where the step is of no case. */
  readonly caseId: string;
  /** 1 for the first try. */
  readonly attempt: number;
}

/** Said when all steps are over, and before the guard is closed. */
export const closingLine = "closing";
/** Said by a process that came to its end. */
export const lastLine = "done";
