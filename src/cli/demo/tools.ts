import { createGuard, threshold } from "../../index.ts";
import type { Desk } from "./desk.ts";
import type { Answer, Task, Ticket } from "./task.ts";

/** An agent's tools: does a task, and answers as the tool would answer the model. */
export type Tools = (task: Task) => Promise<Answer>;

/** The tools as most agents have them: each call goes straight to the help desk. */
export function bareTools(desk: Desk): Tools {
  return async (task) => {
    switch (task.do) {
      case "open_ticket":
        return { kind: "done", what: await desk.openTicket(task.ticket, task.toolCallId) };
      case "close_account":
        return { kind: "done", what: await desk.closeAccount(task.account) };
      case "vote":
        return { kind: "error", message: "nobody takes votes" };
    }
  };
}

/** Short, so that the demo is: the default lease is 30 s, the default settling time 5 s. */
const leaseMs = 400;
const settlingMs = 250;

export interface GuardedOptions {
  readonly store: string;
  /** Who the agent is. */
  readonly name: string;
  /** Called when the guard has written that a case is in doubt. */
  readonly onDoubt: () => void;
}

/** The same tools behind the guard. */
export function guardedTools(desk: Desk, { store, name, onDoubt }: GuardedOptions): Tools {
  let found = false;
  const guard = createGuard({
    store,
    leaseMs,
    actor: name,
    hooks: {
      committed: ({ event, state }) => {
        if (state === "IN_DOUBT") onDoubt();
        if (event.type === "probed" && state === "SETTLED") found = true;
      },
    },
  });

  const openTicket = guard.wrap("ticket.open", {
    // The business fact. The tool-call id would be a new one each time the model asks.
    key: (ticket: Ticket) => `ticket:${ticket.customer}:${ticket.subject}`,
    run: (ticket, ctx) => desk.openTicket(ticket, ctx.idempotencyKey, ctx.signal),
    probe: async (_, ctx) => {
      const number = await desk.findTicket(ctx.idempotencyKey, ctx.signal);
      return number === undefined ? "absent" : { happened: true, value: number };
    },
    settlingMs,
  });

  const closing = (account: string) =>
    guard.case(`close-account:${account}`, {
      outcomes: ["close", "keep"],
      allow: ["close"],
      policy: threshold({ share: 0.8, quorum: 2, byConfidence: true }),
    });

  const outcomeOf = (task: Exclude<Task, { do: "vote" }>) => {
    const requestId = task.toolCallId;
    switch (task.do) {
      case "open_ticket":
        return openTicket.outcome(task.ticket, { requestId });
      case "close_account":
        return closing(task.account).settle({
          requestId,
          action: "account.close",
          payload: { account: task.account },
          run: ({ account }, ctx) => desk.closeAccount(account, ctx.signal),
        });
    }
  };

  return async (task) => {
    if (task.do === "vote") {
      const { outcome, confidence } = task;
      const vote = await closing(task.account).signal({ source: name, outcome, confidence });
      return { kind: "voted", status: vote.status };
    }
    found = false;
    const outcome = await outcomeOf(task);
    if (outcome.status === "settled") {
      const { receipt, replayed } = outcome;
      const what = receipt.value ?? "";
      return { kind: "settled", what, settlementId: receipt.settlementId, found, replayed };
    }
    const { status, effect, next } = outcome;
    return { kind: "held", status, effect, why: outcome.case.verdict?.why ?? next };
  };
}
