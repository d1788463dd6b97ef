import type { Case, Retired } from "../core/case.ts";
import { factsOf, isGuardError } from "../core/errors.ts";
import type { CaseId, RequestId } from "../core/identity.ts";
import {
  changedEntry,
  differences,
  type EntryFault,
  isWhole,
  replayEntry,
  replayOf,
  requestOf,
} from "../core/replay.ts";
import type { JournalEntry, Reading, Store, Stored } from "../core/store.ts";
import type { Faults } from "./faults.ts";
import type { Platform } from "./platform.ts";

/**
 * Checks one case: found by its id, its journal an unbroken chain that the machine makes again, its
 * record what that journal gives, its requests leading to it. Reads only; others may write meanwhile.
 *
 * @param listed the case as a list gave it
 * @returns its entries; undefined where they are not as they were written, which `faults` then tells
 */
export type CaseCheck = (
  caseId: CaseId,
  listed?: Case,
) => Promise<readonly JournalEntry[] | undefined>;

export interface CaseCheckOptions {
  readonly store: Store;
  readonly namespace: string;
  readonly platform: Platform;
  readonly faults: Faults;
  /** Called between two pieces of work. */
  readonly breathe: () => Promise<void>;
}

/** A case and its journal, as they were at one moment. */
interface Snapshot {
  readonly stored: Stored;
  /** The case that the request of its own name is bound to. */
  readonly bound: CaseId | null;
  readonly entries: readonly JournalEntry[];
  /** An entry that the record doesn't know of. */
  readonly extra: JournalEntry | undefined;
}

/** The request ids that a journal tells of. */
interface Told {
  readonly requests: ReadonlySet<RequestId>;
  /** An opening binds a request id that its entry doesn't tell. */
  readonly silent: boolean;
}

/** Entries replayed between two breaths. */
const entriesAtOnce = 64;

export function createCaseCheck(options: CaseCheckOptions): CaseCheck {
  const { store, namespace, platform, faults, breathe } = options;
  const { sha256 } = platform;

  return async (caseId, listed) => {
    const wrong = (what: string): undefined => {
      faults.add({ where: "case", caseId, what: `Case ${caseId} ${what}` });
    };
    try {
      const snapshot = await look(caseId);
      if (snapshot === undefined) return wrong(unfound);
      const { stored, entries } = snapshot;
      if (listed !== undefined && differ(listed, stored.case)) {
        return wrong("is listed with another record than it is read with.");
      }
      const told =
        stored.case.state === "RETIRED"
          ? ofTombstone(stored.case, snapshot, wrong)
          : await ofJournal(caseId, snapshot, wrong);
      if (told === undefined) return undefined;
      await checkRequests(caseId, snapshot, told, wrong);
      return entries;
    } catch (error) {
      if (!isGuardError(error, "store_corrupt")) throw error;
      return wrong(`can't be read: ${factsOf(error)}`);
    }
  };

  function read(caseId: CaseId): Promise<Reading> {
    // With the request of the same name, so that one reading tells of both.
    return store.read({ namespace, caseId, requestId: caseId as string as RequestId });
  }

  /**
   * Entries are only ever added, or dropped all at once by pruning: a journal read after its record
   * has at least the record's entries, and no more than the record has that is read after it.
   */
  async function look(caseId: CaseId): Promise<Snapshot | undefined> {
    const { stored, bound } = await read(caseId);
    if (stored === null) return undefined;
    const all = await store.history(namespace, caseId);
    const wanted = stored.case.state === "RETIRED" ? 0 : stored.case.entries;
    const entries = all.slice(0, wanted);
    if (all.length === wanted) return { stored, bound, entries, extra: undefined };
    const again = await read(caseId);
    if (again.stored === null) return undefined;
    const wasPruned = again.stored.case.state === "RETIRED" && stored.case.state !== "RETIRED";
    if (wasPruned) return { ...again, stored: again.stored, entries: [], extra: undefined };
    const known = again.stored.case.state === "RETIRED" ? 0 : again.stored.case.entries;
    return { stored, bound, entries, extra: all[Math.max(known, wanted)] };
  }

  async function ofJournal(
    caseId: CaseId,
    snapshot: Snapshot,
    wrong: (what: string) => undefined,
  ): Promise<Told | undefined> {
    const { stored, entries, extra } = snapshot;
    const badEntry = (index: number, what: string, position = entries[index]?.position ?? null) => {
      const place = position === null ? "" : ` (position ${position})`;
      const sentence = `Entry ${index + 1} of case ${caseId}${place} ${what}`;
      faults.add({ where: "entry", caseId, sequence: index + 1, position, what: sentence });
      return undefined;
    };
    const requests = new Set<RequestId>();
    let silent = false;
    let replay = replayOf(namespace, caseId);
    for (const [index, { text }] of entries.entries()) {
      const step = replayEntry(replay, text, sha256);
      if (!step.ok) {
        const texts = entries.map((entry) => entry.text);
        const isLinked = step.fault !== "unlinked";
        const bad = isLinked ? index : changedEntry(texts, index, stored.head, sha256);
        return badEntry(bad, entryWords[step.fault]);
      }
      replay = step.replay;
      const request = requestOf(step.event);
      if (request !== null) requests.add(request);
      silent ||= step.event.type === "open" && !("requestId" in step.event);
      if (index % entriesAtOnce === entriesAtOnce - 1) await breathe();
    }
    if (entries.length < stored.case.entries) {
      return badEntry(entries.length, "is missing, with all that came after it.");
    }
    const members = differences(replay, stored);
    if (members.includes("head")) {
      const words = "was changed, or the hash beside its record was: they differ.";
      return badEntry(entries.length - 1, words);
    }
    if (members.length > 0) {
      return wrong(`has a record that its journal doesn't give: ${members.join(", ")}.`);
    }
    if (extra !== undefined) {
      return badEntry(entries.length, "was added: the record knows nothing of it.", extra.position);
    }
    return { requests, silent };
  }

  function ofTombstone(
    stone: Retired,
    { stored, extra }: Snapshot,
    wrong: (what: string) => undefined,
  ): Told | undefined {
    if (!isWhole(stone, stored.head, sha256)) {
      return wrong("is retired, and its record or the hash beside it was changed: they differ.");
    }
    if (extra !== undefined) return wrong("is retired, and has a journal again.");
    return { requests: new Set(stone.requests), silent: false };
  }

  /** Each request that was bound leads to the case; the one of the case's own name doesn't unless it was. */
  async function checkRequests(
    caseId: CaseId,
    { bound }: Snapshot,
    { requests, silent }: Told,
    wrong: (what: string) => undefined,
  ): Promise<void> {
    for (const requestId of requests) {
      const leads = await store.read({ namespace, caseId: null, requestId });
      if (leads.stored?.case.caseId !== caseId) {
        wrong(`is not found by request ${requestId}, which was bound to it.`);
      }
      await breathe();
    }
    if (bound === caseId && !silent && !requests.has(caseId as string as RequestId)) {
      wrong("is bound to the request of its own name, of which its journal doesn't tell.");
    }
  }
}

const unfound = "is not found by its id: asked for now, its effect would run.";

const entryWords: { readonly [Fault in EntryFault]: string } = {
  unreadable: "can't be read: it was changed.",
  misplaced: "is missing: another one stands in its place.",
  unlinked: "was changed: the next one was written after another text.",
  refused: "was changed: what it tells can't have happened then.",
  different: "was changed: it doesn't fit the entries before it.",
};

function differ(listed: Case, read: Case): boolean {
  if (listed.version !== read.version) return listed.version > read.version;
  return JSON.stringify(listed) !== JSON.stringify(read);
}
