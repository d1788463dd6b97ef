import type { Case, Intent } from "../core/case.ts";
import { canonicalJson, type Json } from "../core/json.ts";
import { immediate } from "../core/policy.ts";
import type { EffectTerms } from "../core/receipt.ts";
import type { Ask, Rules, Worker } from "./ask.ts";

/** An action that this guard knows how to look after. */
export interface KnownAction {
  readonly rules: Rules;
  readonly terms: EffectTerms;
  readonly timeoutMs: number;
  readonly worker: Worker;
}

/** The ask of a stored case, made again from what it holds. It waits for nobody. */
export function storedAsk(
  kase: Case & { readonly intent: Intent },
  { rules, timeoutMs }: KnownAction,
  by: Pick<Ask, "requestId" | "terms" | "actor" | "worker">,
): Ask {
  const { namespace, caseId, intent } = kase;
  return {
    ...by,
    namespace,
    caseId,
    action: intent.action,
    payload: intent.payload,
    payloadText: canonicalText(intent.payload),
    ignore: [],
    fingerprint: intent.fingerprint,
    rules,
    policy: immediate(),
    opens: false,
    timeoutMs,
    waitMs: 0,
    signal: undefined,
  };
}

/** A stored payload was canonical when it came; members with names like numbers come back in another order. */
function canonicalText(payload: Json): string {
  const canonical = canonicalJson(payload);
  return canonical.ok ? canonical.text : JSON.stringify(payload);
}
