import type { Executing } from "../core/case.ts";
import type { Ask } from "./ask.ts";
import type { EffectContext } from "./call.ts";
import type { Platform } from "./platform.ts";

/** The downstream key of a case: the same for every attempt, and for no other case. */
export function idempotencyKey(namespace: string, caseId: string, platform: Platform): string {
  return platform.sha256(JSON.stringify(["safeagent", namespace, caseId]));
}

/** What an effect is handed, and the way to tell it that its claim is lost or its time over. */
export function contextOf(
  ask: Ask,
  kase: Executing,
  platform: Platform,
): { readonly ctx: EffectContext; readonly abort: () => void } {
  let controller: AbortController | undefined;
  let signal: AbortSignal | undefined;
  let key: string | undefined;
  let aborted = false;
  // Most effects look at neither; both cost more than the rest of the context.
  const ctx: EffectContext = {
    caseId: kase.caseId,
    requestId: kase.claim.requestId,
    action: kase.intent.action,
    fence: kase.claim.fence,
    get idempotencyKey() {
      key ??= idempotencyKey(kase.namespace, kase.caseId, platform);
      return key;
    },
    get signal() {
      controller ??= new AbortController();
      if (aborted) controller.abort();
      signal ??=
        ask.signal === undefined
          ? controller.signal
          : AbortSignal.any([ask.signal, controller.signal]);
      return signal;
    },
  };
  return {
    ctx,
    abort: () => {
      aborted = true;
      controller?.abort();
    },
  };
}
