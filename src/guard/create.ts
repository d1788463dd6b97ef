import { readEntry } from "../core/entry.ts";
import { GuardError } from "../core/errors.ts";
import type { CaseId, RequestId } from "../core/identity.ts";
import { defaults, limits } from "../core/limits.ts";
import type { Store, StoreTransaction } from "../core/store.ts";
import { admit, type Entrance, invalid, name, object, span, text } from "./ask.ts";
import { createDebts } from "./debts.ts";
import { createDeciding } from "./decide.ts";
import { createEnqueue } from "./enqueue.ts";
import { createExecute, type Execute } from "./execute.ts";
import { createFeed } from "./feed.ts";
import { createFinishedCases } from "./finished.ts";
import type { Guard, GuardOptions } from "./guard.ts";
import { reporter } from "./hooks.ts";
import { createLeader } from "./lead.ts";
import { createLeases } from "./leases.ts";
import { createLedger, type Ledger } from "./ledger.ts";
import { type Platform, system, systemActor } from "./platform.ts";
import { createProber } from "./probe.ts";
import { createQueue } from "./queue.ts";
import { createSweep } from "./reconcile.ts";
import { refused } from "./refused.ts";
import { returnedOf } from "./returned.ts";
import { createRunner } from "./run.ts";
import { standing } from "./standing.ts";
import type { KnownAction } from "./stored-ask.ts";
import { createTransact } from "./transact.ts";
import { createVerify } from "./verify.ts";
import { createWaiting } from "./waiting.ts";
import { createWork } from "./work.ts";
import { wrapped } from "./wrap.ts";

/**
 * Wires a guard over a store. Wiring and nothing else: each part has its own file.
 *
 * @param closeStore what to do with the store at the guard's end: close it, where nobody else holds it
 */
export function guardOver(
  store: Store,
  options: GuardOptions = {},
  closeStore: () => Promise<void> = store.close,
): Guard {
  const { leaseMsMin, leaseMsMax } = limits;
  const leaseMs = span("leaseMs", options.leaseMs ?? defaults.leaseMs, leaseMsMin, {}, leaseMsMax);
  const entrance: Entrance = {
    namespace: name("namespace", options.namespace ?? "default"),
    actor: name("actor", options.actor ?? systemActor),
    waitMs: span("waitMs", options.waitMs ?? defaults.waitMs, 0),
    transactions: store.transaction !== undefined,
  };
  const { namespace } = entrance;
  const platform: Platform = {
    ...system,
    ...options.platform,
    ...(options.ids === undefined ? {} : { newId: options.ids }),
  };
  const report = reporter(options.hooks, platform);
  const committed =
    options.hooks?.committed === undefined
      ? undefined
      : (entry: string) => report("committed", readEntry(entry));

  const told = { namespace, clock: options.clock, platform };
  const ledger = createLedger({ ...told, store, committed });
  const ledgerIn = (tx: StoreTransaction, keep: (entry: string) => void): Ledger =>
    createLedger({
      ...told,
      store: {
        now: () => tx.now(),
        read: (ids) => tx.read(ids),
        commit: (steps) => tx.commit(steps),
        history: (space, caseId) => store.history(space, caseId),
      },
      committed: keep,
    });
  const debts = createDebts(platform);
  const finished = createFinishedCases();
  const waiting = createWaiting(store, platform);
  const leases = createLeases({ ledger, platform, report, leaseMs });
  const writing = { ledger, leases, debts, platform };
  const transact = createTransact({ ...writing, store, ledgerIn, committed });
  const runner = createRunner({ ...writing, transact, report, leaseMs });
  const prober = createProber(ledger, platform, report);
  const shared = { ledger, runner, prober, waiting, finished, debts, platform, report };
  const leader = createLeader({ ...shared, leaseMs });
  const perform = createExecute({ ...shared, leader });
  const feed = createFeed(store, namespace, ledger.now, waiting);
  const known = new Map<string, KnownAction>();
  const execute: Execute = (ask) =>
    closing === undefined ? perform.execute(ask) : Promise.reject(closedError());
  const guarded: Ledger = {
    ...ledger,
    apply: (change) =>
      closing === undefined ? ledger.apply(change) : Promise.reject(closedError()),
  };
  const deciding = createDeciding({ ledger: guarded, platform, execute, entrance });
  const looking = { store, ledger, execute, report, entrance, known };
  const sweep = createSweep({ ...looking, prober });
  const workQueue = createQueue({ ...looking, waiting, platform });
  const ensureOpen = () => {
    if (closing !== undefined) throw closedError();
  };
  const queueing = createEnqueue({ ...looking, ledger: guarded, ledgerIn, ensureOpen, platform });
  let closing: Promise<void> | undefined;

  const guard: Guard = {
    execute: (call) => {
      try {
        return execute(admit(call, entrance)) as Promise<never>;
      } catch (error) {
        return Promise.reject(error);
      }
    },
    // The very promise that an effect's transaction watches: nobody else need listen to it.
    enqueue: ((...args: readonly unknown[]) => {
      const [first, second] = args;
      return args.length < 2
        ? queueing.enqueue(first as never)
        : queueing.enqueueIn(first, second as never);
    }) as Guard["enqueue"],

    wrap: ((action: string, rules: never) => {
      const made = wrapped(action, rules, execute, entrance);
      if (known.has(action)) throw invalid(`The action "${action}" is wrapped already.`);
      known.set(action, made.known);
      return made.call;
    }) as Guard["wrap"],
    case: deciding.caseHandle,
    approve: (caseId, approver) => deciding.review("approve", caseId, approver),
    deny: (caseId, approver) => deciding.review("deny", caseId, approver),

    async resolve(caseId, resolution, word) {
      const id = name("caseId", caseId) as CaseId;
      object("The resolution", resolution);
      object("The word", word);
      const by = name("by", word.by);
      const evidence = text("evidence", word.evidence);
      // A slip here would free an effect that may have happened: nothing is taken for a no.
      if (resolution.happened !== true && resolution.happened !== false) {
        throw invalid("`happened` must be true or false.");
      }
      const found = resolution.happened
        ? ({ happened: true, ...returnedOf(resolution.value) } as const)
        : ({ happened: false } as const);
      const applied = await guarded.apply({
        caseId: id,
        by,
        happening: (_, before) => ({
          type: "resolve",
          fence: word.fence ?? (before.state === "IN_DOUBT" ? before.claim.fence : 0),
          evidence,
          ...found,
        }),
      });
      if (!applied.ok) throw refused(applied.refusal, applied.before);
      return standing(applied.stored.case, true);
    },

    reconcile: () => sweep(undefined, false),

    work: createWork({ ...looking, sweep, workQueue, waiting, platform, leaseMs }),

    async receipt(requestId) {
      const id = name("requestId", requestId) as RequestId;
      const { stored } = await ledger.read({ caseId: null, requestId: id });
      const kase = stored?.case;
      if (kase?.state === "RETIRED") throw refused("retired", kase, { requestId });
      return kase?.state === "SETTLED" || kase?.state === "VOID" ? kase.receipt : undefined;
    },
    list: feed.list,
    history: feed.history,
    subscribe: feed.subscribe,
    verify: createVerify({ store, namespace, platform }),

    async prune(query) {
      object("The query", query);
      const before = query.before instanceof Date ? query.before.getTime() : Number.NaN;
      // A wrong date must never be taken for "everything".
      if (!Number.isFinite(before)) throw invalid("`before` must be a valid Date.");
      let pruned = 0;
      for (;;) {
        const count = await store.prune({ namespace, before, limit: limits.pageRows });
        pruned += count;
        if (count > 0) continue;
        finished.forget();
        return pruned;
      }
    },

    close() {
      closing ??= (async () => {
        waiting.close();
        await perform.idle();
        for (const error of await debts.close()) report("failed", "close", error);
        await closeStore();
      })();
      return closing;
    },
    [Symbol.asyncDispose]: () => guard.close(),
  };
  return guard;
}

function closedError(): GuardError {
  return new GuardError("store_unavailable", "This guard is closed.", {
    next: "Make a new guard.",
  });
}
