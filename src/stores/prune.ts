import { limits } from "../core/limits.ts";
import type { PruneQuery, Step } from "../core/store.ts";
import { type Finished, tombstoneOf } from "./tombstone.ts";

/** Places looked at in one go, so that the event loop turns in between. */
const span = 500;

/** The finished cases of a namespace behind a place. */
export interface FinishedQuery {
  readonly namespace: string;
  readonly before: number;
  readonly after: number;
  /** Places to look at, or cases to find: so much in one go. */
  readonly span: number;
}

export interface FinishedPage {
  readonly items: readonly (Finished & { readonly place: number })[];
  /** Where to go on; null: there is no more. */
  readonly next: number | null;
}

export interface PruneActions {
  finished(query: FinishedQuery): Promise<FinishedPage>;
  commit(steps: readonly Step[]): Promise<boolean>;
}

/**
 * Turns finished cases into tombstones, each by compare-and-swap like any other step: one that got a
 * late signal meanwhile is left for the next time. A step to RETIRED drops the case's journal.
 */
export function pruner(actions: PruneActions): (query: PruneQuery) => Promise<number> {
  // Where the last call ended, by namespace: tombstones at the front are not walked over each time.
  const resume = new Map<string, number>();

  async function sweep(query: PruneQuery, from: number, to: number, most: number): Promise<number> {
    const { namespace, before } = query;
    let count = 0;
    for (let after: number | null = from; after !== null && after < to && count < most; ) {
      const { items, next } = await actions.finished({ namespace, before, after, span });
      const chosen = items.slice(0, most - count);
      const landed = await Promise.all(chosen.map((item) => actions.commit([tombstone(item)])));
      count += landed.filter(Boolean).length;
      const last = chosen.at(-1);
      resume.set(namespace, (chosen.length < items.length ? last?.place : next) ?? 0);
      after = next;
    }
    return count;
  }

  return async (query) => {
    const most = Math.min(query.limit ?? limits.pageRows, limits.pageRows);
    const from = resume.get(query.namespace) ?? 0;
    const count = await sweep(query, from, Number.POSITIVE_INFINITY, most);
    if (count >= most || from === 0) return count;
    return count + (await sweep(query, 0, from, most - count));
  };
}

function tombstone(finished: Finished): Step {
  const { next, head } = tombstoneOf(finished);
  return { expected: finished.case.version, next, head, entry: null, bind: null };
}
