import { setTimeout as sleep } from "node:timers/promises";
import { type Finding, NotPerformed } from "../../index.ts";
import type { Ledger } from "./ledger-client.ts";
import { type Class, type EffectPlan, plainEffect } from "./message.ts";
import type { Traps } from "./point.ts";

/** What the effects of a worker do: they have the ledger do something, with points to be killed at. */
export interface Effects {
  /** How the next effect of a case is to go; one that a sweep runs by itself is plain. */
  plan(caseId: string, plan: EffectPlan): void;
  /** The instant after which the ledger shall not do it any more, in milliseconds since 1970. */
  notAfter(caseId: string, until: number): void;
  run(caseId: string, kind: Class, key: string): Promise<unknown>;
  probe(caseId: string): Promise<Finding<unknown>>;
}

export function createEffects(ledger: Ledger, traps: Traps): Effects {
  const plans = new Map<string, EffectPlan>();
  const ends = new Map<string, number>();
  return {
    plan: (caseId, plan) => void plans.set(caseId, plan),
    notAfter: (caseId, until) => void ends.set(caseId, until),
    async run(caseId, kind, key) {
      const plan = plans.get(caseId) ?? plainEffect;
      // A probe says "absent" for good only where the callee refuses what comes later than that.
      const until = kind === "probeable" ? (ends.get(caseId) ?? null) : null;
      if (plan.happens === "last") await sleep(plan.takesMs);
      traps.reach(caseId, "in the effect, before it happens");
      if (plan.ends === "not performed") throw new NotPerformed("it was not to be had");
      const { onTheWayMs } = plan;
      const isDone = await ledger.perform({ caseId, class: kind, key, until, onTheWayMs });
      if (!isDone) throw new NotPerformed("it came too late, and was refused");
      traps.reach(caseId, "in the effect, its request on the way");
      traps.reach(caseId, "in the effect, after it happened");
      if (plan.ends === "throws") throw new Error("the reply was lost");
      if (plan.happens === "first") await sleep(plan.takesMs);
      return { by: process.pid };
    },
    async probe(caseId) {
      traps.reach(caseId, "in the probe, before it asks");
      const line = await ledger.line(caseId);
      traps.reach(caseId, "in the probe, after it was answered");
      return line === null ? "absent" : { happened: true, value: { found: true } };
    },
  };
}
