import type { Store } from "../core/store.ts";
import type { LawOptions, LawWorld } from "./law.ts";
import { endingLaws } from "./laws-ending.ts";
import { readingLaws } from "./laws-reading.ts";
import { transactionLaws } from "./laws-transactions.ts";
import { writingLaws } from "./laws-writing.ts";

/**
 * What every store promises, as tests. The headings are those in the comment of `Store`. A store that
 * passes is done; one that needs an exception is not.
 *
 * @returns the laws that could not be tested, since an option they need was left out: assert that they
 *   are the ones that can't hold for this store
 * @example storeLaws({ test, open: () => memoryStore() })
 */
export function storeLaws(options: LawOptions): readonly string[] {
  const untested: string[] = [];
  for (const law of [...writingLaws, ...readingLaws, ...transactionLaws, ...endingLaws]) {
    const title = `${law.heading}: ${law.name}`;
    if (law.needs === undefined || options[law.needs]) {
      options.test(title, () => inWorld(options, law.run));
    } else {
      untested.push(title);
    }
  }
  return untested;
}

async function inWorld(
  options: LawOptions,
  run: (world: LawWorld) => Promise<void>,
): Promise<void> {
  const stores: Store[] = [];
  const kept = (store: Store): Store => {
    stores.push(store);
    return store;
  };
  try {
    await run({
      options,
      open: async () => kept(await options.open()),
      another: async (store) =>
        options.reopen === undefined ? store : kept(await options.reopen(store)),
    });
  } finally {
    for (const store of stores) await store.close();
  }
}
