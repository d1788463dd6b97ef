import { hash } from "node:crypto";
import { createGuard } from "../../index.ts";

/** What the guard's file holds of a run. */
export interface JournalSummary {
  readonly cases: number;
  readonly entries: number;
  /** Every entry holds the hash of the one before it, in each case from the first to the last. */
  readonly unbroken: boolean;
}

/** Reads the file as anybody could, and recomputes the chain of each case. */
export async function journalOf(store: string): Promise<JournalSummary> {
  await using guard = createGuard({ store, actor: "demo" });
  const { items } = await guard.list();
  const histories = await Promise.all(items.map(({ caseId }) => guard.history(caseId)));
  return {
    cases: items.length,
    entries: histories.reduce((sum, history) => sum + history.length, 0),
    unbroken: histories.every((history) =>
      history.every(({ entry }, at) => {
        const before = history[at - 1];
        return entry.previous === (before === undefined ? null : hash("sha256", before.text));
      }),
    ),
  };
}
