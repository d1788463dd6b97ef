import type { Absent, Case } from "../core/case.ts";
import { entryText } from "../core/entry.ts";
import { GuardError } from "../core/errors.ts";
import type { Event, Happening } from "../core/event.ts";
import type { CaseId, RequestId } from "../core/identity.ts";
import { limits } from "../core/limits.ts";
import type { Refusal } from "../core/refusal.ts";
import type { Reading, Store, Stored } from "../core/store.ts";
import { transition } from "../core/transition.ts";
import type { Platform } from "./platform.ts";

/** What the guard did to a case, or why it could not. */
export type Applied =
  /** The case after it; where an acknowledgement was lost, as it was found, perhaps further on. */
  | { readonly ok: true; readonly stored: Stored }
  | { readonly ok: false; readonly refusal: Refusal; readonly before: Case | Absent };

export interface Change {
  readonly caseId: CaseId;
  readonly by: string;
  readonly happening: Happening | ((at: number, before: Case | Absent) => Happening);
  /** A request id to bind in the same commit. */
  readonly bind?: RequestId | undefined;
  /** Fixes the instant and the nonce over all tries, so that what was told of them stays true. */
  readonly occasion?: { readonly at?: number; readonly nonce: string } | undefined;
  /** What is known of the case already; null: it doesn't exist. Saves a read where it is right. */
  readonly known?: Stored | null | undefined;
}

/** The one way from an event to the store: read, transition, commit; again where somebody was faster. */
export interface Ledger {
  readonly now: () => number | Promise<number>;
  readonly read: (ids: { caseId: CaseId | null; requestId: RequestId | null }) => Promise<Reading>;
  /** Reads the case of a request. One that is bound to another case is a conflict here and now. */
  readonly look: (caseId: CaseId, requestId: RequestId | null) => Promise<Reading>;
  readonly apply: (change: Change) => Promise<Applied>;
}

export interface LedgerOptions {
  /** The store, or a transaction of it. */
  readonly store: Pick<Store, "now" | "read" | "commit" | "history">;
  readonly namespace: string;
  readonly clock: (() => number) | undefined;
  readonly platform: Platform;
  /** Told the text of each entry that landed. */
  readonly committed: ((entry: string) => void) | undefined;
}

export function createLedger(options: LedgerOptions): Ledger {
  const { store, namespace, platform } = options;
  const now = options.clock ?? (() => store.now());

  const read: Ledger["read"] = (ids) => store.read({ namespace, ...ids });

  const apply = async (change: Change): Promise<Applied> => {
    const { caseId, by, happening, bind } = change;
    let known = change.known;
    for (let tries = 0; tries < limits.commitTries; tries += 1) {
      if (known === undefined) known = (await look(caseId, bind ?? null)).stored;
      const before = known?.case ?? ({ state: "ABSENT", namespace, caseId } satisfies Absent);
      const told = change.occasion?.at ?? now();
      const at = typeof told === "number" ? told : await told;
      const what = typeof happening === "function" ? happening(at, before) : happening;
      const event: Event = { ...what, at, by, nonce: change.occasion?.nonce ?? platform.newId() };
      const answer = transition(before, event);
      if (!answer.ok) return { ok: false, refusal: answer.refusal, before };
      const { next } = answer;
      const silent = event.type === "renew";
      const entry = silent ? null : entryText(next, event, known?.head ?? null);
      const head = entry === null ? (known?.head ?? "") : platform.sha256(entry);
      const expected = before.state === "ABSENT" ? 0 : before.version;
      const stored: Stored = { case: next, head };
      const step = { expected, next, head, entry, bind: bind ?? null };
      let done: boolean;
      let latest = stored;
      try {
        done = await store.commit([step]);
      } catch (error) {
        latest = await landed(stored, error);
        done = true;
      }
      if (done) {
        if (entry !== null) options.committed?.(entry);
        return { ok: true, stored: latest };
      }
      known = undefined;
      // Somebody was faster. The first tries go at once; then a little apart from each other.
      if (tries >= 3) await pause(platform, platform.jitter() * Math.min(100, 2 ** tries));
    }
    throw new GuardError(
      "store_contended",
      `Case ${caseId} changed ${limits.commitTries} times in a row.`,
      { caseId },
    );
  };

  const look: Ledger["look"] = async (caseId, requestId) => {
    const reading = await read({ caseId, requestId });
    if (requestId !== null && reading.bound !== null && reading.bound !== caseId) {
      throw boundElsewhere(requestId, caseId);
    }
    return reading;
  };

  /**
   * A commit that threw may have landed all the same: reading again tells whose it was. Answers the
   * case as it is now: others may have gone on from there.
   */
  const landed = async (stored: Stored, error: unknown): Promise<Stored> => {
    const { caseId, version } = stored.case;
    const reading = await read({ caseId, requestId: null }).catch(() => undefined);
    const found = reading?.stored;
    if (!found || found.case.version < version) throw error;
    if (found.head === stored.head && found.case.version === version) return found;
    const entries = await store.history(namespace, caseId);
    if (entries.some((entry) => platform.sha256(entry.text) === stored.head)) return found;
    throw error;
  };

  return { now, read, look, apply };
}

export function boundElsewhere(requestId: string, caseId: string): GuardError {
  return new GuardError(
    "payload_conflict",
    `Request ${requestId} was used before for another case than ${caseId}.`,
    {
      requestId,
      caseId,
      next: "A retry must name the same case; a new ask needs a new request id.",
    },
  );
}

function pause(platform: Platform, ms: number): Promise<void> {
  return new Promise((resolve) => platform.after(ms, false, resolve));
}
