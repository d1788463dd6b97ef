import type { Case, Intent } from "../core/case.ts";
import { summaryOf } from "../core/case.ts";
import { GuardError } from "../core/errors.ts";
import type { Outcome } from "../core/outcome.ts";
import { immediate } from "../core/policy.ts";
import type { Store, StoreTransaction } from "../core/store.ts";
import {
  type Admitted,
  admitContent,
  type Entrance,
  fingerprintOf,
  invalid,
  object,
} from "./ask.ts";
import type { QueuedCall } from "./call.ts";
import type { Report } from "./hooks.ts";
import type { Ledger } from "./ledger.ts";
import { inLent } from "./lend.ts";
import type { Platform } from "./platform.ts";
import { refused } from "./refused.ts";
import { standing } from "./standing.ts";
import { enqueued } from "./words.ts";

export interface EnqueueOptions {
  readonly store: Store;
  readonly ledger: Ledger;
  /** A ledger within a transaction; tells the entries it wrote to `keep`. */
  readonly ledgerIn: (tx: StoreTransaction, keep: (entry: string) => void) => Ledger;
  /** Throws where the guard is closed. */
  readonly ensureOpen: () => void;
  readonly entrance: Entrance;
  readonly platform: Platform;
  readonly report: Report;
}

export interface Enqueueing {
  /** Committed by itself. */
  enqueue(call: QueuedCall<unknown>): Promise<Outcome>;
  /** Committed with the caller's transaction, or not at all. */
  enqueueIn(tx: unknown, call: QueuedCall<unknown>): Promise<Outcome>;
}

/** Leaves the asking to a worker: a case is opened, and nothing runs here. */
export function createEnqueue(options: EnqueueOptions): Enqueueing {
  const { store, ledger, ledgerIn, ensureOpen, entrance, platform, report } = options;

  /** Checked and frozen at the call, as every ask is. */
  const admitted = (call: QueuedCall<unknown>) => {
    ensureOpen();
    object("The call", call);
    const { content } = admitContent(call, entrance);
    const { requestId: queued, action, payload, actor: proposer } = content;
    const fingerprint = fingerprintOf(content, platform);
    const intent: Intent = { action, payload, fingerprint, proposer, queued };
    return { content, intent, hasPolicy: call.policy !== undefined };
  };

  const put = async (book: Ledger, asked: ReturnType<typeof admitted>, tied: boolean) => {
    const { content, intent, hasPolicy } = asked;
    const { caseId, requestId, actor } = content;
    const { stored, bound } = await book.look(caseId, requestId);
    const opened = await book.apply({
      caseId,
      by: actor,
      known: stored,
      bind: requestId,
      happening(_, before) {
        const isOpen = before.state !== "ABSENT" && before.state !== "RETIRED";
        const stands = isOpen ? (before.deliberation?.policy ?? immediate()) : content.policy;
        const policy = hasPolicy ? content.policy : stands;
        return { type: "open", policy, outcomes: null, allow: null, intent };
      },
    });
    if (opened.ok) return enqueued(opened.stored.case, tied);
    const { refusal, before } = opened;
    if (refusal !== "unchanged" || before.state === "ABSENT") {
      if (refusal === "payload_conflict") report("conflict", () => summaryOf(before), requestId);
      throw refused(refusal, before, content);
    }
    if (bound === null) await bind(book, content, intent);
    return answer(before, content, tied);
  };

  /** Another request for a case that is there: it finds the receipt by its own name, too. */
  const bind = async (book: Ledger, content: Admitted, { fingerprint }: Intent): Promise<void> => {
    const { caseId, requestId, actor: by } = content;
    const happening = { type: "ask", requestId, fingerprint } as const;
    const asked = await book.apply({ caseId, by, bind: requestId, happening });
    if (!asked.ok) throw refused(asked.refusal, asked.before, content);
  };

  const answer = (kase: Case, { requestId, caseId }: Admitted, tied: boolean): Outcome => {
    switch (kase.state) {
      case "OPEN":
      case "RESOLVED_PROVISIONAL":
      case "IN_RECONCILIATION":
      case "FINAL":
        if ((kase.intent?.queued ?? null) !== null) return enqueued(kase, tied);
        throw new GuardError(
          "held",
          `Case ${caseId} was first asked for by a caller who runs it himself: no worker will.`,
          { requestId, caseId, next: "Ask for it with `execute`, or enqueue another case." },
        );
      case "EXECUTING":
      case "IN_DOUBT":
      case "SETTLED":
      case "VOID":
      case "RETIRED":
        return standing(kase, true);
    }
  };

  return {
    async enqueue(call) {
      return put(ledger, admitted(call), false);
    },
    enqueueIn(tx, call) {
      if (typeof tx !== "object" || tx === null) {
        return Promise.reject(
          invalid("`tx` must be the transaction: leave it out to enqueue without one."),
        );
      }
      // All at once up to here: on some stores the transaction can't wait.
      const lent = inLent(tx, store, async ({ transaction, keep }) =>
        put(ledgerIn(transaction, keep), admitted(call), true),
      );
      return lent ?? within(tx, call);
    },
  };

  async function within(tx: object, call: QueuedCall<unknown>): Promise<Outcome> {
    const asked = admitted(call);
    if (store.within === undefined) {
      throw invalid("This store has no transactions to share: enqueue without one.", asked.content);
    }
    return put(
      ledgerIn(store.within(tx), () => undefined),
      asked,
      true,
    );
  }
}
