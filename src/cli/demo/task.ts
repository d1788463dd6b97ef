/** What an agent is told to do, and what it answers. Crosses from process to process. */

/** The two worlds that are shown side by side. */
export type Side = "without" | "with";

/** The same for both sides, at the same time. */
export async function each<T>(make: (side: Side) => T | Promise<T>): Promise<Pair<T>> {
  const [without, guarded] = await Promise.all([make("without"), make("with")]);
  return { without, with: guarded };
}

export type Pair<T> = { readonly [S in Side]: T };

export interface Ticket {
  readonly customer: string;
  readonly subject: string;
}

export type Task =
  | {
      readonly do: "open_ticket";
      /** Given by the model: a new one each time it calls, even for the same ticket. */
      readonly toolCallId: string;
      readonly ticket: Ticket;
    }
  | {
      readonly do: "vote";
      readonly account: string;
      readonly outcome: "close" | "keep";
      readonly confidence: number;
    }
  | { readonly do: "close_account"; readonly toolCallId: string; readonly account: string };

export type Answer =
  /** The tool failed, for all that the agent can tell. */
  | { readonly kind: "error"; readonly message: string }
  /** Done, without the guard: the ticket's number, or the account. */
  | { readonly kind: "done"; readonly what: string }
  /** Done once, by the guard's receipt. */
  | {
      readonly kind: "settled";
      readonly what: string;
      readonly settlementId: string;
      /** The guard asked the help desk during this call, and it said that it had happened. */
      readonly found: boolean;
      readonly replayed: boolean;
    }
  | { readonly kind: "voted"; readonly status: "accepted" | "repeated" | "late" }
  /** The guard did not run it, or doesn't know. */
  | {
      readonly kind: "held";
      readonly status: string;
      readonly effect: "none" | "unknown";
      readonly why: string;
    };

/** What comes back from an agent's process. */
export type Message =
  | { readonly kind: "ready" }
  /** The guard has written that a case is in doubt. */
  | { readonly kind: "doubt" }
  | { readonly kind: "answer"; readonly answer: Answer };
