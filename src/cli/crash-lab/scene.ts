import { type Chance, chanceOf } from "../../testing/chance.ts";
import type { HistoryAnswer, HistoryCall } from "../../testing/history.ts";
import type { Worker } from "./child.ts";
import type { Ledger } from "./ledger-client.ts";
import { type Ask, type Class, plainEffect, type Step, type WorkerConfig } from "./message.ts";
import type { Trap } from "./point.ts";
import type { Pool } from "./pool.ts";
import { createRecorder } from "./recorder.ts";

/** One part of the lab: its cases, its workers, and all that was asked and answered there. */
export interface Scene {
  readonly leaseMs: number;
  readonly ledger: Ledger;
  /** Aborted when the run is to end early. */
  readonly signal: AbortSignal;
  /** Dice for one purpose. */
  chance(...purpose: readonly (string | number)[]): Chance;
  /** A fresh process. */
  take(): Promise<Worker>;
  open(kind: Class, decision?: "go" | "stop"): Kase;
  /** Asks for a case, and records it. Undefined: the worker was killed before it answered. */
  ask(worker: Worker, kase: Kase, how?: How, trap?: Trap): Promise<HistoryAnswer | undefined>;
  /** Reads the receipts of these requests, and records what was said. */
  readReceipts(worker: Worker, asked: readonly Named[]): Promise<void>;
  /** A person says what the ledger says. */
  resolve(worker: Worker, kase: Kase, trap?: Trap): Promise<HistoryAnswer | undefined>;
  calls(): readonly HistoryCall[];
  cases(): readonly Kase[];
  /** The beginning of all its cases' names. */
  readonly prefix: string;
}

/** A case of the lab. */
export interface Kase {
  readonly caseId: string;
  readonly class: Class;
  /** The first request for it. */
  readonly requestId: string;
  readonly payload: Ask["payload"];
  /** What has to be done for its decision and was not acknowledged yet; null: it needs none. */
  steps: readonly Step[] | null;
  /** Further requests for it. */
  asks: number;
}

/** How a case is asked for, where that is not as plain as can be. */
export interface How {
  /** Under a request id that was never used. */
  readonly anew?: boolean;
  /** With something else in it. */
  readonly otherPayload?: boolean;
  readonly effect?: Partial<Ask["effect"]>;
}

interface Named {
  readonly caseId: string;
  readonly requestId: string;
}

export interface SceneOptions {
  readonly name: string;
  readonly seed: number;
  readonly config: WorkerConfig;
  readonly pool: Pool;
  readonly ledger: Ledger;
  readonly signal: AbortSignal;
}

/** Long enough for a lease to end and a probe to be allowed, with time to spare on a busy machine. */
const waitMs = 5_000;
const receiptsAtOnce = 500;

export function createScene(options: SceneOptions): Scene {
  const { name, seed, config, pool, ledger, signal } = options;
  const prefix = `${name} `;
  const recorder = createRecorder();
  const cases = new Map<string, Kase>();

  const askOf = (kase: Kase, how: How): Ask => {
    const { caseId, payload, steps } = kase;
    if (how.anew === true) kase.asks += 1;
    return {
      caseId,
      requestId: how.anew === true ? `${kase.requestId} again ${kase.asks}` : kase.requestId,
      class: kase.class,
      payload: how.otherPayload === true ? { ...payload, cents: payload.cents + 1 } : payload,
      waitMs,
      effect: { ...plainEffect, ...how.effect },
      steps,
    };
  };

  return {
    leaseMs: config.leaseMs,
    ledger,
    signal,
    prefix,
    chance: (...purpose) => chanceOf(seed, name, ...purpose),
    async take() {
      signal.throwIfAborted();
      const worker = await pool.take(config);
      worker.onStepped = (caseId, step) => {
        const kase = cases.get(caseId);
        if (!kase?.steps) return;
        kase.steps = kase.steps.filter((one) => JSON.stringify(one) !== JSON.stringify(step));
      };
      return worker;
    },
    open(kind, decision) {
      const number = cases.size + 1;
      const caseId = `${prefix}${number}`;
      // Every other request is named as its case is: a store may keep those in a place of their own.
      const requestId = number % 2 === 0 ? caseId : `${caseId} first`;
      const payload = { caseId, cents: 100 + number };
      const steps: readonly Step[] | null =
        decision === undefined
          ? null
          : [
              { step: "signal", source: "triage", outcome: "go" },
              { step: "signal", source: "billing", outcome: "stop" },
              { step: "decide", outcome: decision },
            ];
      const kase: Kase = { caseId, class: kind, requestId, payload, steps, asks: 0 };
      cases.set(caseId, kase);
      return kase;
    },
    async ask(worker, kase, how = {}, trap) {
      const ask = askOf(kase, how);
      const end = recorder.begin({ ...ask, payload: JSON.stringify(ask.payload) });
      const answer = await worker.send({ do: "ask", ask, trap: trap ?? null });
      if (answer !== undefined) end(answer);
      return answer;
    },
    async readReceipts(worker, asked) {
      for (let from = 0; from < asked.length; from += receiptsAtOnce) {
        const part = asked.slice(from, from + receiptsAtOnce);
        const ends = part.map(({ caseId, requestId }) => {
          const payload = JSON.stringify(cases.get(caseId)?.payload);
          return recorder.begin({ caseId, requestId, payload });
        });
        const requestIds = part.map(({ requestId }) => requestId);
        const answers = await worker.send({ do: "receipts", requestIds });
        answers?.forEach((answer, index) => {
          ends[index]?.(answer);
        });
      }
    },
    async resolve(worker, kase, trap) {
      const { caseId } = kase;
      const happened = (await ledger.line(caseId)) !== null;
      const payload = JSON.stringify(kase.payload);
      const end = recorder.begin({ caseId, requestId: `${caseId} by a person`, payload });
      const answer = await worker.send({ do: "resolve", caseId, happened, trap: trap ?? null });
      if (answer !== undefined) end(answer);
      return answer;
    },
    calls: recorder.calls,
    cases: () => [...cases.values()],
  };
}
