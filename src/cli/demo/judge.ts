import type { Books } from "./help-desk.ts";
import type { Pair } from "./task.ts";

/** Irreversible actions by side, as the help desk counted them. */
export type Tally = Pair<number>;

/** Two tickets were asked for, and nothing else was decided. Without the guard, each failure adds one. */
export const wanted: Tally = { without: 5, with: 2 };

export function countOf(books: Books): number {
  return books.tickets.length + books.closures.length;
}

/** Whether the demo showed what it is there to show. About the actions, the guard has no say. */
export function judged(
  counted: Tally,
  journal: { readonly unbroken: boolean },
): { readonly ok: boolean; readonly says: string } {
  if (counted.without !== wanted.without || counted.with !== wanted.with) {
    const says = `The help desk counted ${counted.without} irreversible actions without the guard and ${counted.with} with it; ${wanted.without} and ${wanted.with} were expected.`;
    return { ok: false, says };
  }
  if (!journal.unbroken) return { ok: false, says: "A hash chain of the journal is broken." };
  return { ok: true, says: "" };
}
