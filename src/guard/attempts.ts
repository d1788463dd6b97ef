import { readEntry } from "../core/entry.ts";
import type { JournalEntry } from "../core/store.ts";

const opening = "it could not be started: ";

/** Why a claim was given back whose effect was never called. That was no attempt. */
export function unstarted(why: string): string {
  return `${opening}${why}`;
}

/** The claims in a case's journal that were given back like that. */
export function unstartedClaims(journal: readonly JournalEntry[]): number {
  const events = journal.map(({ text }) => readEntry(text).event);
  return events.filter((event) => event.type === "release" && event.reason.startsWith(opening))
    .length;
}
