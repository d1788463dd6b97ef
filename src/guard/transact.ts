import type { Case, Settled } from "../core/case.ts";
import { assert, GuardError, isGuardError, isStoreTrouble } from "../core/errors.ts";
import type { Outcome } from "../core/outcome.ts";
import type { Store, StoreTransaction } from "../core/store.ts";
import { type Ask, invalid } from "./ask.ts";
import { retryAt } from "./backoff.ts";
import { abort, type Handed, withTransaction } from "./context.ts";
import type { Debts } from "./debts.ts";
import { describe, type Ending, endingOf } from "./ending.ts";
import type { Held, Leases } from "./leases.ts";
import type { Ledger } from "./ledger.ts";
import { type Lent, lend } from "./lend.ts";
import type { Platform } from "./platform.ts";
import { returnedOf } from "./returned.ts";
import { standing } from "./standing.ts";
import { happened } from "./words.ts";

/** How a transactional run ended, as far as it is this process's to say. */
export type Transacted =
  /** It committed with its receipt. */
  | { readonly kind: "settled"; readonly case: Settled }
  /** Nothing of it was committed; to be written down. `refusal`: it must not be asked like this. */
  | { readonly kind: "taken_back"; readonly ending: Ending; readonly refusal?: GuardError }
  /** Its end was not known, and was found out by another look. */
  | { readonly kind: "found"; readonly outcome: Outcome };

/** Runs a claimed effect in a transaction of the store, its receipt the last thing that is written in it. */
export type Transact = (run: {
  readonly ask: Ask;
  readonly held: Held;
  readonly ctx: Handed;
  /** Resolves when the claim is lost. */
  readonly lost: Promise<void>;
  readonly ended: () => void;
}) => Promise<Transacted>;

export interface TransactOptions {
  readonly store: Store;
  readonly ledger: Ledger;
  /** A ledger within a transaction; tells the entries it wrote to `keep`. */
  readonly ledgerIn: (tx: StoreTransaction, keep: (entry: string) => void) => Ledger;
  readonly leases: Leases;
  readonly debts: Debts;
  readonly platform: Platform;
  readonly committed: ((entry: string) => void) | undefined;
}

export function createTransact(options: TransactOptions): Transact {
  const { store, ledger, ledgerIn, leases, debts, platform, committed } = options;

  return async ({ ask, held, ctx, lost, ended }) => {
    const nonce = platform.newId();
    const entries: string[] = [];
    let settled: Settled | undefined;
    let ending: Ending | undefined;
    let refusal: GuardError | undefined;
    const over = watchOver(ask, ctx, lost);
    try {
      await store.transaction?.(async (tx) => {
        over.ensure();
        const keep = (entry: string) => void entries.push(entry);
        const inner = ledgerIn(tx, keep);
        const lent = lend({ store, transaction: tx, keep });
        try {
          const value = await effectIn(tx, lent);
          await lent.settled();
          over.ensure();
          // From here on a renewal could only find that the case has moved on: by this very step.
          leases.remove(held);
          settled = await settleIn(inner, value);
        } finally {
          lent.end();
        }
      });
    } catch (error) {
      ended();
      if (settled !== undefined) return unknownEnd(error);
      ending ??= over.ending() ?? endingIn(error);
      return { kind: "taken_back", ending, ...(refusal === undefined ? {} : { refusal }) };
    } finally {
      over.stop();
    }
    ended();
    for (const entry of entries) committed?.(entry);
    return { kind: "settled", case: settled as Settled | undefined as Settled };

    async function effectIn(tx: StoreTransaction, lent: Lent): Promise<unknown> {
      over.start();
      const handed = withTransaction(ctx, lent.tx);
      const value = ask.rules.run?.(held.stored.case.intent.payload, handed);
      if (!isPromise(value)) return value;
      if (!tx.isSync) return Promise.race([value, over.promise]);
      value.then(undefined, () => undefined);
      refusal = invalid(
        "In this store a transactional effect must be done at once: it must not return a promise. It was taken back.",
        ask,
      );
      throw refusal;
    }

    /** Only while the claim stands: who freed the case has said that nothing of it was committed. */
    async function settleIn(inner: Ledger, value: unknown): Promise<Settled> {
      const { caseId, claim } = held.stored.case;
      const done = inner.apply({
        caseId,
        by: claim.by,
        known: held.stored,
        occasion: { nonce },
        happening(_, before) {
          if (before.state !== "EXECUTING" || before.claim.holder !== claim.holder) {
            ending = notPerformed(claimLost);
            throw new Error(claimLost);
          }
          return { type: "settle", fence: held.fence, ...returnedOf(value) };
        },
      });
      const applied = await done.catch((error: unknown) => {
        // The store says so where the transaction is gone.
        if (isGuardError(error, "invalid_request")) refusal = endedByItself(ask, error);
        throw error;
      });
      assert(applied.ok && applied.stored.case.state === "SETTLED", "a holder may settle");
      return applied.stored.case;
    }

    /** Nobody knows whether it committed. Either its receipt is found, or the case is freed: then it can't any more. */
    async function unknownEnd(error: unknown): Promise<Transacted> {
      try {
        return { kind: "found", outcome: await findOut(error) };
      } catch (trouble) {
        if (!isStoreTrouble(trouble)) throw trouble;
        debts.owe(async () => void (await findOut(error)));
        const { requestId, caseId } = ask;
        throw new GuardError("store_unavailable", "The store failed while it was committed.", {
          effect: "unknown",
          requestId,
          caseId,
          cause: error,
          next: "Mend the store, then ask again with the same ids: the answer says whether it was executed, and it never is twice.",
        });
      }
    }

    async function findOut(error: unknown): Promise<Outcome> {
      const { caseId, claim } = held.stored.case;
      const reason = describe(error);
      const { fence } = held;
      const applied = await ledger.apply({
        caseId,
        by: claim.by,
        happening: (at) => ({
          type: "release",
          fence,
          reason,
          final: false,
          retryAt: retryAt(held.stored.case, at, platform),
        }),
      });
      const found = (applied.ok ? applied.stored.case : applied.before) as Case;
      const isOwn = found.state === "SETTLED" && found.receipt.settlementId === `st_${nonce}`;
      if (!isOwn) return standing(found, !applied.ok);
      for (const entry of entries.splice(0)) committed?.(entry);
      return happened(found.receipt, false);
    }
  };

  /** The ends that come from outside of the effect: its time, and its claim. */
  function watchOver(ask: Ask, ctx: Handed, lost: Promise<void>) {
    const end = Promise.withResolvers<never>();
    let why: string | undefined;
    let stop = () => {};
    end.promise.catch(() => undefined);
    const finish = (reason: string) => {
      why ??= reason;
      abort(ctx);
      end.reject(new Error(reason));
    };
    void lost.then(() => finish(claimLost));
    return {
      promise: end.promise,
      start() {
        stop = platform.after(ask.timeoutMs, false, () => finish(timedOut));
      },
      stop: () => stop(),
      ensure() {
        if (why !== undefined) throw new Error(why);
      },
      ending: () => (why === undefined ? undefined : notPerformed(why)),
    };
  }
}

function endedByItself({ requestId, caseId }: Ask, cause: unknown): GuardError {
  return new GuardError(
    "invalid_request",
    "The effect has ended its transaction itself, so its receipt could not be written in it.",
    {
      effect: "unknown",
      requestId,
      caseId,
      cause,
      next: "Leave COMMIT and ROLLBACK to the guard; look for what this run has written.",
    },
  );
}

const claimLost = "its claim was lost; what it wrote was not committed";
const timedOut = "it did not end in its time; what it wrote was not committed";

function notPerformed(reason: string): Ending {
  return { kind: "not_performed", reason, final: false };
}

/** Whatever it threw, what it wrote was taken back: only how it is said differs. */
function endingIn(error: unknown): Ending {
  const ending = endingOf(error, undefined);
  return ending.kind === "unknown" ? notPerformed(ending.error ?? "it threw") : ending;
}

function isPromise(value: unknown): value is Promise<unknown> {
  const then = typeof value === "object" && value !== null && "then" in value ? value.then : null;
  return typeof then === "function";
}
