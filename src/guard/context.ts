import type { Executing } from "../core/case.ts";
import type { Ask } from "./ask.ts";
import type { EffectContext, TransactionContext } from "./call.ts";
import type { Platform } from "./platform.ts";

/** The downstream key of a case: the same for every attempt, and for no other case. */
export function idempotencyKey(namespace: string, caseId: string, platform: Platform): string {
  return platform.sha256(JSON.stringify(["safeagent", namespace, caseId]));
}

/** What an effect is handed, and the way to tell it that its claim is lost or its time over. */
export interface Handed extends EffectContext {
  readonly [inside]: Inside;
}

const inside: unique symbol = Symbol("inside");

interface Inside {
  readonly ask: Ask;
  readonly platform: Platform;
  key: string | undefined;
  controller: AbortController | undefined;
  signal: AbortSignal | undefined;
  aborted: boolean;
}

export function contextOf(ask: Ask, kase: Executing, platform: Platform): Handed {
  return {
    // @ts-expect-error: what the prototype has, the type asks for
    __proto__: lazy,
    caseId: kase.caseId,
    requestId: kase.claim.requestId,
    action: kase.intent.action,
    fence: kase.claim.fence,
    [inside]: {
      ask,
      platform,
      key: undefined,
      controller: undefined,
      signal: undefined,
      aborted: false,
    },
  };
}

/**
 * Made when an effect looks at it: most look at neither, and both cost more than the rest of the
 * context. On a shared prototype, since a getter of its own makes each object a class of its own.
 */
const lazy = {
  get idempotencyKey(): string {
    const own = (this as unknown as Handed)[inside];
    own.key ??= idempotencyKey(own.ask.namespace, own.ask.caseId, own.platform);
    return own.key;
  },
  get signal(): AbortSignal {
    const own = (this as unknown as Handed)[inside];
    own.controller ??= new AbortController();
    if (own.aborted) own.controller.abort();
    own.signal ??=
      own.ask.signal === undefined
        ? own.controller.signal
        : AbortSignal.any([own.ask.signal, own.controller.signal]);
    return own.signal;
  },
};

/** What a transactional effect is handed beside the rest. */
export function withTransaction(ctx: Handed, tx: unknown): TransactionContext {
  return Object.assign(ctx, { tx });
}

export function abort(ctx: Handed): void {
  ctx[inside].aborted = true;
  ctx[inside].controller?.abort();
}
