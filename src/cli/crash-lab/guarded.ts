import { createGuard, type Guard, isGuardError, type Store, threshold } from "../../index.ts";
import type { HistoryAnswer } from "../../testing/history.ts";
// Not by the index: a worker is killed soon after it has started, and loading is most of its life.
import { historyAnswer } from "../../testing/history-answer.ts";
import type { Keeper, KeeperOptions } from "./keeper.ts";
import { type Ask, type Class, classes } from "./message.ts";
import { type Traps, type Written, writePoint, written } from "./point.ts";
import { openStore } from "./store.ts";

/** The real guard, over a store that can be killed around each commit. */
export function guarded({ config, effects, traps, stepped }: KeeperOptions): Keeper {
  const { namespace, leaseMs, settlingMs } = config;
  let opened: Guard | undefined;

  // Opened by the first command: a worker that only waits holds no connection to the store.
  const guard = () => {
    if (opened !== undefined) return opened;
    const claimed = (caseId: string, leaseUntil: number) =>
      effects.notAfter(caseId, leaseUntil + settlingMs);
    const store = watched(openStore(config.store), traps, claimed);
    opened = createGuard({ store, namespace, leaseMs });
    // So that its sweeps know what to do about cases in doubt.
    for (const kind of classes) {
      opened.wrap(actionOf(kind), { ...rulesOf(kind), key: (payload) => payload.caseId });
    }
    return opened;
  };

  const rulesOf = (kind: Class) => ({
    effect: kind,
    run: (_: Ask["payload"], ctx: { readonly caseId: string; readonly idempotencyKey: string }) =>
      effects.run(ctx.caseId, kind, ctx.idempotencyKey),
    ...(kind === "probeable"
      ? { settlingMs, probe: (payload: Ask["payload"]) => effects.probe(payload.caseId) }
      : {}),
  });

  const execute = async (ask: Ask): Promise<HistoryAnswer> => {
    const { caseId, requestId, payload, waitMs, steps } = ask;
    const action = actionOf(ask.class);
    const call = { requestId, action, payload, waitMs, ...rulesOf(ask.class) };
    if (steps === null) return historyAnswer(await guard().execute({ ...call, caseId }));
    const policy = threshold({ share: 0.8, quorum: 2 });
    const outcomes = ["go", "stop"] as const;
    const options = { outcomes, allow: ["go"], policy, action, payload } as const;
    const handle = guard().case(caseId, options);
    for (const step of steps) {
      const outcome = step.outcome === "go" ? "go" : "stop";
      if (step.step === "decide") {
        await handle.decide(outcome, { by: "ann", reason: "the votes disagree" });
      } else {
        await handle.signal({ source: step.source, outcome, signalId: step.source });
      }
      stepped(caseId, step);
    }
    return historyAnswer(await handle.settle(call));
  };

  return {
    async ask(ask) {
      effects.plan(ask.caseId, ask.effect);
      const answer = await answered(execute(ask));
      traps.reach(ask.caseId, "answered by the guard, before the caller is");
      return answer;
    },
    async sweep() {
      await guard().reconcile();
    },
    async receipt(requestId) {
      const receipt = await guard().receipt(requestId);
      if (receipt === undefined) return { status: "no_receipt" };
      const text = JSON.stringify(receipt);
      return receipt.effect === "once"
        ? { status: "settled", receipt: text, recorded: true }
        : { status: "void", receipt: text };
    },
    async doubts() {
      const ids: string[] = [];
      let after: string | undefined;
      do {
        const query = { states: ["IN_DOUBT"], limit: 1_000 } as const;
        const page = await guard().list(after === undefined ? query : { ...query, after });
        ids.push(...page.items.map(({ caseId }) => caseId));
        after = page.next ?? undefined;
      } while (after !== undefined);
      return ids;
    },
    resolve(caseId, happened) {
      const word = { by: "lab", evidence: "the ledger's own book" };
      return answered(guard().resolve(caseId, { happened }, word).then(historyAnswer));
    },
  };
}

/** Names the action after its class, so that a sweep knows what it may do. */
function actionOf(kind: Class): string {
  return `crash-lab.${kind}`;
}

/** An error of the guard's is an answer; any other one is a defect, and ends the run. */
async function answered(answer: Promise<HistoryAnswer>): Promise<HistoryAnswer> {
  try {
    return await answer;
  } catch (error) {
    if (!isGuardError(error)) throw error;
    return { status: "failed", effect: error.effect };
  }
}

/** A store with points before and after each write of a case that has a trap. */
function watched(
  inner: Store,
  traps: Traps,
  claimed: (caseId: string, leaseUntil: number) => void,
): Store {
  return {
    ...inner,
    async commit(steps) {
      const seen = steps.flatMap(({ next, entry }) => {
        if (next.state === "EXECUTING" && entry !== null) claimed(next.caseId, next.leaseUntil);
        const event = traps.has(next.caseId) ? eventOf(entry) : undefined;
        return event === undefined ? [] : [{ caseId: next.caseId, event }];
      });
      for (const { caseId, event } of seen) traps.reach(caseId, writePoint("before", event));
      const landed = await inner.commit(steps);
      // Not landed: somebody was faster, and it is tried again.
      if (!landed) return false;
      for (const { caseId, event } of seen) traps.reach(caseId, writePoint("after", event));
      return true;
    },
  };
}

/** What a step writes: renewals alone have no entry. */
function eventOf(entry: string | null): Written | undefined {
  if (entry === null) return "renew";
  const { type } = (JSON.parse(entry) as { readonly event: { readonly type: string } }).event;
  return type in written ? (type as Written) : undefined;
}
