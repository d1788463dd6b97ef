import type { Case, Settled } from "../core/case.ts";
import { assert, factsOf, GuardError, isGuardError, isStoreTrouble } from "../core/errors.ts";
import { limits } from "../core/limits.ts";
import type { Outcome } from "../core/outcome.ts";
import type { Store, StoreTransaction } from "../core/store.ts";
import { type Ask, invalid } from "./ask.ts";
import { unstarted } from "./attempts.ts";
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
import { inTurn } from "./turn.ts";
import { happened } from "./words.ts";

/** How a transactional run ended, as far as it is this process's to say. */
export type Transacted =
  /** It committed with its receipt. */
  | { readonly kind: "settled"; readonly case: Settled }
  /**
   * To be written down apart: nothing of it was committed, or all of it, without its receipt.
   * `refusal`: it must not be asked like this.
   */
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
    let hasBegun = false;
    let returned: { readonly value: unknown } | undefined;
    let settled: Settled | undefined;
    let ending: Ending | undefined;
    let refusal: GuardError | undefined;
    /** What became of a transaction in which the work has failed. */
    let became: End;
    const over = watchOver(ask, ctx, lost);
    try {
      await inTurn({ ask, lost, platform }, async ({ signal, begun }) => {
        await store.transaction?.(
          (tx) => {
            begun();
            return work(tx);
          },
          { signal },
        );
      });
    } catch (error) {
      ended();
      if (settled !== undefined) return unknownEnd(error);
      return hasBegun ? failedEnd(error) : notStarted(error);
    } finally {
      over.stop();
    }
    ended();
    tellEntries();
    return { kind: "settled", case: settled as Settled | undefined as Settled };

    async function work(tx: StoreTransaction): Promise<void> {
      over.ensure();
      hasBegun = true;
      const keep = (entry: string) => void entries.push(entry);
      const inner = ledgerIn(tx, keep);
      const lent = lend({ store, transaction: tx, keep });
      try {
        const value = await effectIn(tx, lent);
        await lent.settled();
        over.ensure();
        // From here on a renewal could only find that the case has moved on: by this very step.
        leases.remove(held);
        returned = { value };
        settled = await settleIn(inner, value);
      } catch (error) {
        lent.end();
        became = await endOf(tx, error);
        throw error;
      } finally {
        lent.end();
      }
    }

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
      const applied = await inner.apply({
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
      assert(applied.ok && applied.stored.case.state === "SETTLED", "a holder may settle");
      return applied.stored.case;
    }

    /** A store that doesn't know may have seen all the same that it is not the transaction it began. */
    async function endOf(tx: StoreTransaction, error: unknown): Promise<End> {
      const told = await tx.ended?.().catch(() => undefined);
      const isGone = returned !== undefined && isGuardError(error, "invalid_request");
      return told ?? (isGone ? "ended" : undefined);
    }

    async function failedEnd(error: unknown): Promise<Transacted> {
      switch (became) {
        case "committed":
          tellEntries();
          if (returned === undefined) return endedByItself(error);
          // It happened, and its claim is kept until that is written.
          leases.add(held);
          return {
            kind: "taken_back",
            ending: { kind: "returned", value: returned.value },
            refusal: writtenApart(ask, error),
          };
        case "ended":
          return endedByItself(error);
        case "open":
        case "rolled_back":
        case undefined:
          ending ??= over.ending() ?? endingIn(error);
          return { kind: "taken_back", ending, ...(refusal === undefined ? {} : { refusal }) };
      }
    }

    /** There was no transaction to be had: that was no attempt, so it is never the last one. */
    async function notStarted(error: unknown): Promise<Transacted> {
      const gaveUp = ask.signal?.aborted === true ? "the caller gave up" : undefined;
      const reason = unstarted(gaveUp ?? over.why() ?? reasonOf(error));
      const outcome = await free(reason).catch((trouble: unknown) => {
        if (!isStoreTrouble(trouble)) throw trouble;
        debts.owe(async () => void (await free(reason)));
        throw isStoreTrouble(error) ? error : trouble;
      });
      // Nobody looks at a worker's outcomes: the hook is told.
      if (ask.worker !== null && isStoreTrouble(error)) throw error;
      return { kind: "found", outcome };
    }

    /** Nobody knows whether it committed. Either its receipt is found, or the case is freed: then it can't any more. */
    async function unknownEnd(error: unknown): Promise<Transacted> {
      const reason = reasonOf(error);
      try {
        return { kind: "found", outcome: await free(reason) };
      } catch (trouble) {
        if (!isStoreTrouble(trouble)) throw trouble;
        debts.owe(async () => void (await free(reason)));
        throw unknownCommit(ask, error);
      }
    }

    /** Nobody knows what is left of it: a person has to look. */
    async function endedByItself(error: unknown): Promise<never> {
      const { caseId, claim } = held.stored.case;
      const happening = {
        type: "doubt",
        fence: held.fence,
        reason: "ended_itself",
        error: describe(error),
      } as const;
      const set = async () => void (await ledger.apply({ caseId, by: claim.by, happening }));
      await set().catch((trouble: unknown) => {
        if (!isStoreTrouble(trouble)) throw trouble;
        held.owed = true;
        leases.add(held);
        debts.owe(async () => {
          await set();
          leases.remove(held);
        });
      });
      throw leftUnclear(ask, error);
    }

    /** Gives the claim back; where the receipt has landed after all, finds that. */
    async function free(reason: string): Promise<Outcome> {
      const { caseId, claim } = held.stored.case;
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
      tellEntries();
      return happened(found.receipt, false);
    }

    function tellEntries(): void {
      for (const entry of entries.splice(0)) committed?.(entry);
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
      why: () => why,
      ending: () => (why === undefined ? undefined : notPerformed(why)),
    };
  }
}

/** What became of a transaction. `ended`: it is not the one that was begun, and nobody knows more. */
type End = "open" | "committed" | "rolled_back" | "ended" | undefined;

const byItself = "The effect has ended its transaction itself, so its receipt";

function writtenApart({ requestId, caseId }: Ask, cause: unknown): GuardError {
  return new GuardError("invalid_request", `${byItself} is written apart from it.`, {
    effect: "unknown",
    requestId,
    caseId,
    cause,
    first: "It was executed.",
    next: "Ask again with the same ids for the receipt. Leave COMMIT to the guard: a crash between the two loses the receipt.",
    forModel: "This was done, once. Do not call it again, and not under another name.",
  });
}

function leftUnclear({ requestId, caseId }: Ask, cause: unknown): GuardError {
  return new GuardError("invalid_request", `${byItself} could not be written in it.`, {
    effect: "unknown",
    requestId,
    caseId,
    cause,
    next: "Look for what this run has written, then: guard.resolve(caseId, { happened }, { by, evidence }). Leave COMMIT and ROLLBACK to the guard.",
  });
}

function unknownCommit({ requestId, caseId }: Ask, cause: unknown): GuardError {
  return new GuardError("store_unavailable", "The store failed while it was committed.", {
    effect: "unknown",
    requestId,
    caseId,
    cause,
    next: "Mend the store, then ask again with the same ids: the answer says whether it was executed, and it never is twice.",
  });
}

const claimLost = "its claim was lost; what it wrote was not committed";
const timedOut = "it did not end in its time; what it wrote was not committed";

function notPerformed(reason: string): Ending {
  return { kind: "not_performed", reason, final: false };
}

/** Whatever it threw, what it wrote was taken back: only how it is said differs. */
function endingIn(error: unknown): Ending {
  const ending = endingOf(error, undefined);
  if (ending.kind !== "unknown") return ending;
  return notPerformed(ending.error === null ? "it threw" : reasonOf(error));
}

/** In a line. A store that only passes on what a statement has failed by is not what failed. */
function reasonOf(error: unknown): string {
  if (!isGuardError(error)) return describe(error);
  if (isStoreTrouble(error) && error.cause instanceof Error) return reasonOf(error.cause);
  const facts = factsOf(error) || error.message;
  return facts.toWellFormed().slice(0, limits.textChars).replace(/\.$/, "");
}

function isPromise(value: unknown): value is Promise<unknown> {
  const then = typeof value === "object" && value !== null && "then" in value ? value.then : null;
  return typeof then === "function";
}
