/**
 * An execution guard for AI agents: an irreversible action runs only when its decision is final, at
 * most once, and every repeat gets the original receipt.
 *
 * @module
 */
import { GuardError } from "./core/errors.ts";
import type { Store } from "./core/store.ts";
import { guardOver } from "./guard/create.ts";
import type { Guard, GuardOptions } from "./guard/guard.ts";
import { memoryStore } from "./stores/memory.ts";
import { openPostgres } from "./stores/postgres-open.ts";
import { sqliteStore } from "./stores/sqlite.ts";

/**
 * Makes a guard.
 *
 * @param options.store a file's path (SQLite, the default `"safeagent.db"`), `"postgres://…"`, `"memory:"` for tests, or a `Store`
 * @throws GuardError `invalid_request` for wrong options; `store_…` where the store can't be opened
 * @example const guard = createGuard({ store: "safeagent.db" });
 */
export function createGuard(
  options: GuardOptions & { readonly store?: string | Store } = {},
): Guard {
  if (typeof options !== "object" || options === null) {
    throw new GuardError("invalid_request", "The options must be an object.", {
      next: "For a file, say createGuard({ store: path }).",
    });
  }
  const { store = "safeagent.db", ...rest } = options;
  if (typeof store === "string") {
    const opened = openStore(store);
    try {
      return guardOver(opened, rest);
    } catch (error) {
      void opened.close();
      throw error;
    }
  }
  if (typeof store !== "object" || typeof store?.commit !== "function") {
    throw new GuardError("invalid_request", "`store` must be a text or a Store.");
  }
  // A store that was handed in may serve others: who opened it closes it.
  return guardOver(store, rest, async () => {});
}

function openStore(address: string): Store {
  if (address === "memory:") return memoryStore();
  if (/^postgres(ql)?:/i.test(address)) return openPostgres(address);
  if (/^[a-z][a-z0-9+.-]+:/i.test(address)) {
    const scheme = address.slice(0, address.indexOf(":"));
    throw new GuardError("invalid_request", `There is no store for "${scheme}:" addresses.`, {
      next: 'Give a file\'s path, "postgres://…", "memory:", or a Store.',
    });
  }
  return sqliteStore({ path: address });
}

export type { Case, CaseState, CaseSummary } from "./core/case.ts";
export type { Entry } from "./core/entry.ts";
export {
  errorTable,
  GuardError,
  type GuardErrorCode,
  isGuardError,
  NotPerformed,
} from "./core/errors.ts";
export type { Event } from "./core/event.ts";
export type { Json } from "./core/json.ts";
export { limits } from "./core/limits.ts";
export type { HeldOutcome, Outcome, SettledOutcome } from "./core/outcome.ts";
export {
  all,
  any,
  approval,
  immediate,
  majority,
  manual,
  type Policy,
  threshold,
  unanimous,
} from "./core/policy.ts";
export type { NoneReceipt, OnceReceipt, Receipt } from "./core/receipt.ts";
export type { Page, Step, Store, StoreTransaction } from "./core/store.ts";
export type { Verdict } from "./core/verdict.ts";
export type {
  Call,
  CallOptions,
  EffectContext,
  Finding,
  GuardedCallOptions,
  GuardedFunction,
  Probe,
  ProbeContext,
  QueuedCall,
  Run,
  StandardSchema,
  TransactionalCall,
  TransactionalRun,
  TransactionalWrapRules,
  TransactionContext,
  WrapRules,
} from "./guard/call.ts";
export type { CaseHandle, CaseOptions, SignalAnswer, SignalInput } from "./guard/decide.ts";
export type { Fault } from "./guard/faults.ts";
export type { CaseQuery, FeedEntry, SubscribeQuery } from "./guard/feed.ts";
export type { Guard, GuardOptions, Resolution, WorkOptions } from "./guard/guard.ts";
export type { Hooks } from "./guard/hooks.ts";
export type { Platform } from "./guard/platform.ts";
export type { Sweep } from "./guard/reconcile.ts";
export type { Verification, VerifyOptions } from "./guard/verify.ts";
export { memoryStore } from "./stores/memory.ts";
