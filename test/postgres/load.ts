import { setTimeout as delay } from "node:timers/promises";
import { type Guard, isGuardError } from "../../src/index.ts";
import {
  type HistoryAnswer,
  type HistoryCall,
  historyAnswer,
  judgeHistory,
  type Violation,
} from "../../src/testing/index.ts";

/** Callers of real guards, and a book of what really happened that is kept outside of the database. */
export interface Load {
  /** Lets so many callers ask for case after case, some of them twice at once through two guards. */
  run(guards: readonly Guard[], callers: number): { stop(): Promise<void> };
  /** One call for a case. */
  ask(guard: Guard, caseId: string, requestId: string): Promise<HistoryAnswer>;
  /** Cases that were answered with a receipt. */
  receipts(): number;
  /** Asks a guard that has nothing in memory for every receipt and every doubt, and judges. */
  audit(fresh: Guard): Promise<Audit>;
}

export interface Audit {
  readonly violations: readonly Violation[];
  readonly lost: number;
  readonly doubled: number;
  readonly effects: number;
  readonly receipts: number;
  readonly doubts: readonly string[];
  /** Calls that ended in an error. */
  readonly errors: number;
}

export interface LoadOptions {
  readonly name?: string;
  /** A call that is answered with an error is made again until this is over. */
  readonly patienceMs?: number;
  /** What an effect takes. */
  readonly takesMs?: number;
}

export function createLoad(options: LoadOptions = {}): Load {
  const { name = "case", patienceMs = 60_000, takesMs = 0 } = options;
  const calls: HistoryCall[] = [];
  const happened = new Map<string, { times: number; readonly first: number }>();
  const settled = new Set<string>();
  let cases = 0;

  const run = async ({ caseId }: { readonly caseId: string }) => {
    if (takesMs > 0) await delay(takesMs);
    const line = happened.get(caseId);
    if (line === undefined) happened.set(caseId, { times: 1, first: performance.now() });
    else line.times += 1;
    return { paid: caseId, time: happened.get(caseId)?.times };
  };

  const asked = async (
    caseId: string,
    requestId: string,
    answer: () => Promise<HistoryAnswer>,
  ): Promise<HistoryAnswer> => {
    const callId = `${calls.length + 1}`;
    const began = performance.now();
    const index = calls.push({ callId, caseId, requestId, payload: caseId, began, end: null }) - 1;
    const told = await answer().catch((error: unknown): HistoryAnswer => {
      if (!isGuardError(error)) throw error;
      return { status: "failed", effect: error.effect };
    });
    calls[index] = {
      ...(calls[index] as HistoryCall),
      end: { at: performance.now(), answer: told },
    };
    return told;
  };

  const ask: Load["ask"] = (guard, caseId, requestId) =>
    asked(caseId, requestId, async () => {
      const call = { action: "pay", caseId, requestId, payload: { caseId }, run };
      const answer = historyAnswer(await guard.execute(call));
      if (answer.status === "settled") settled.add(caseId);
      return answer;
    });

  /** As a caller who wants to know. */
  const insist = async (guard: Guard, caseId: string, requestId: string): Promise<void> => {
    const until = performance.now() + patienceMs;
    while (performance.now() < until) {
      const { status } = await ask(guard, caseId, requestId);
      if (status !== "failed" && status !== "in_progress") return;
      await delay(20);
    }
  };

  return {
    run(guards, callers) {
      let isOver = false;
      const guardOf = (index: number) => guards[index % guards.length] as Guard;
      const lane = async (): Promise<void> => {
        while (!isOver) {
          cases += 1;
          const [number, caseId] = [cases, `${name} ${cases}`];
          const twins = number % 3 === 0 ? [number, number + 1] : [number];
          const insisted = twins.map((twin) => insist(guardOf(twin), caseId, `${caseId} ${twin}`));
          await Promise.all(insisted);
        }
      };
      const done = Promise.all(Array.from({ length: callers }, lane));
      return {
        async stop() {
          isOver = true;
          await done;
        },
      };
    },
    ask,
    receipts: () => settled.size,
    async audit(fresh) {
      const errors = calls.filter(({ end }) => end?.answer.status === "failed").length;
      const requests = new Map(calls.map(({ requestId, caseId }) => [requestId, caseId]));
      const readOne = async ([requestId, caseId]: readonly [string, string]): Promise<void> => {
        await asked(caseId, requestId, async () => {
          const receipt = await fresh.receipt(requestId);
          if (receipt === undefined) return { status: "no_receipt" };
          return { status: "settled", receipt: JSON.stringify(receipt), recorded: true };
        });
      };
      await Promise.all([...requests].map(readOne));
      const doubts = await doubtsOf(fresh);
      const book = Object.fromEntries(
        [...happened].map(([caseId, { times, first }]) => [
          caseId,
          { class: "opaque", calls: times, effects: times, keys: [caseId], happenedAt: first },
        ]),
      ) satisfies Parameters<typeof judgeHistory>[0]["book"] as never;
      const violations = judgeHistory({ calls, book, doubts, resolved: [] });
      const count = (kind: Violation["kind"]) =>
        violations.filter((violation) => violation.kind === kind).length;
      return {
        violations,
        lost: count("receipt_lost"),
        doubled: count("effect_doubled"),
        effects: happened.size,
        receipts: settled.size,
        doubts,
        errors,
      };
    },
  };
}

async function doubtsOf(guard: Guard): Promise<string[]> {
  const ids: string[] = [];
  let after: string | undefined;
  do {
    const query = { states: ["IN_DOUBT", "EXECUTING"], limit: 1_000 } as const;
    const page = await guard.list(after === undefined ? query : { ...query, after });
    ids.push(...page.items.map(({ caseId }) => caseId));
    after = page.next ?? undefined;
  } while (after !== undefined);
  return ids;
}
