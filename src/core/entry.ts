import type { Case } from "./case.ts";
import type { Event } from "./event.ts";

/**
 * One line of a case's journal. Each names the hash of the one before, so the journal of a case is a
 * chain: no entry can be changed, taken out or moved without the next one showing it.
 */
export interface Entry {
  readonly v: 1;
  /** Its place in the case's journal: 1, 2, 3, … */
  readonly sequence: number;
  readonly namespace: string;
  readonly caseId: string;
  /** The version of the case after it. */
  readonly version: number;
  /** The state of the case after it. */
  readonly state: Case["state"];
  /** SHA-256, in hex, of the text of the case's previous entry; null for the first. */
  readonly previous: string | null;
  /** What happened: when (`at`), by whom (`by`), which try (`nonce`). */
  readonly event: Event;
}

/** The exact text of an entry. It is written once, hashed, and kept as it is. */
export function entryText(next: Case, event: Event, previous: string | null): string {
  const entry: Entry = {
    v: 1,
    sequence: next.entries,
    namespace: next.namespace,
    caseId: next.caseId,
    version: next.version,
    state: next.state,
    previous,
    event,
  };
  return JSON.stringify(entry);
}

/** Reads an entry back. Its text must come from a store that was written by `entryText`. */
export function readEntry(text: string): Entry {
  return JSON.parse(text) as Entry;
}
