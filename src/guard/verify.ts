import type { CaseId } from "../core/identity.ts";
import type { Store } from "../core/store.ts";
import { name } from "./ask.ts";
import { collectFaults, type Fault } from "./faults.ts";
import type { Platform } from "./platform.ts";
import { createCaseCheck } from "./verify-case.ts";
import { checkFeed } from "./verify-feed.ts";
import { checkLists } from "./verify-lists.ts";

export interface VerifyOptions {
  /** Only this case: its record, its journal, its requests. */
  readonly caseId?: string;
  /** Ends it; it then throws the signal's reason. */
  readonly signal?: AbortSignal;
  /** Called now and then with how far it has come. */
  readonly onProgress?: (soFar: { readonly cases: number; readonly entries: number }) => void;
}

/** What a check of the store has found. */
export interface Verification {
  /** Nothing was found wrong. */
  readonly ok: boolean;
  /** Cases that were checked. */
  readonly cases: number;
  /** Journal entries that were replayed. */
  readonly entries: number;
  /** The first 100; of each case, the first thing that is wrong with it. */
  readonly faults: readonly Fault[];
  /** How many there are in all. */
  readonly faultCount: number;
}

export type Verify = (options?: VerifyOptions) => Promise<Verification>;

export interface VerifyParts {
  readonly store: Store;
  readonly namespace: string;
  readonly platform: Platform;
}

/** Milliseconds of work after which others have a turn. */
const turnMs = 5;

/** Checks a namespace's cases, journal and lists against each other. Reads only, a page at a time. */
export function createVerify({ store, namespace, platform }: VerifyParts): Verify {
  return async ({ caseId, signal, onProgress } = {}) => {
    const faults = collectFaults();
    const soFar = { cases: 0, entries: 0 };
    let turnedAtMs = platform.monotonicMs();

    /** A store may answer without ever leaving the microtasks: nothing else would run meanwhile. */
    const breathe = async (): Promise<void> => {
      signal?.throwIfAborted();
      if (platform.monotonicMs() - turnedAtMs < turnMs) return;
      onProgress?.({ ...soFar });
      await new Promise<void>((resolve) => platform.after(0, false, resolve));
      turnedAtMs = platform.monotonicMs();
    };

    const checkCase = createCaseCheck({ store, namespace, platform, faults, breathe });
    const walk = { store, namespace, faults, checkCase, soFar, breathe };
    signal?.throwIfAborted();
    if (caseId === undefined) {
      const seen = await checkLists(walk);
      await checkFeed(walk, seen);
      for (const what of (await store.check?.()) ?? []) faults.add({ where: "store", what });
    } else {
      const entries = await checkCase(name("caseId", caseId) as CaseId);
      soFar.cases = 1;
      soFar.entries = entries?.length ?? 0;
    }
    return {
      ok: faults.count() === 0,
      ...soFar,
      faults: faults.named(),
      faultCount: faults.count(),
    };
  };
}
