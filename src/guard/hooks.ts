import type { CaseSummary } from "../core/case.ts";
import type { Entry } from "../core/entry.ts";
import type { Platform } from "./platform.ts";

/**
 * What the guard reports. It logs nothing itself. A hook must not throw; what it throws becomes a
 * process warning, since a report may never change what is done.
 */
export interface Hooks {
  /** A journal entry was committed by this guard. */
  readonly committed?: (entry: Entry) => void;
  /** A repeated request was answered with its receipt. */
  readonly replayed?: (kase: CaseSummary) => void;
  /** An id came with another action or payload. */
  readonly conflict?: (kase: CaseSummary, requestId: string) => void;
  /** A claim was lost while its effect ran. */
  readonly leaseLost?: (kase: CaseSummary) => void;
  /** It happened, and its receipt can't be written yet. */
  readonly unrecorded?: (kase: CaseSummary, error: unknown) => void;
  /** Two claims of one case both brought a result: the effect may have happened twice. */
  readonly duplicateEffect?: (kase: CaseSummary, fence: number) => void;
  /** A result came for a case that had been ended without effect: it happened all the same. */
  readonly contradicted?: (kase: CaseSummary, fence: number) => void;
  /**
   * A probe, a sweep, a look at the queue, a queued case or a background write failed; it will be tried
   * again. Not after `close`: the guard ended owing the store a receipt, or how a claim ended. That case
   * is in doubt once its lease is over.
   */
  readonly failed?: (
    what: "probe" | "sweep" | "queue" | "renewal" | "release" | "close",
    error: unknown,
  ) => void;
}

/** Reports by name. The first detail is made only where a hook is there to be told. */
export type Report = <Name extends keyof Hooks>(
  name: Name,
  first: First<Name> | (() => First<Name>),
  ...rest: Rest<Name>
) => void;

type Details<Name extends keyof Hooks> = Parameters<NonNullable<Hooks[Name]>>;
type First<Name extends keyof Hooks> = Details<Name>[0];
type Rest<Name extends keyof Hooks> = Details<Name> extends [unknown, ...infer Tail] ? Tail : never;

export function reporter(hooks: Hooks | undefined, platform: Platform): Report {
  return (name, first, ...rest) => {
    const hook = hooks?.[name] as ((...details: readonly unknown[]) => unknown) | undefined;
    if (hook === undefined) return;
    try {
      const said = hook.call(hooks, typeof first === "function" ? first() : first, ...rest);
      // A hook may be async without saying so in its type.
      if (said instanceof Promise) said.catch(platform.warn);
    } catch (error) {
      platform.warn(error);
    }
  };
}
