import type { Stryker } from "@stryker-mutator/core";

/** A mutant, as Stryker tells of it. Lines and columns are counted from 1. */
export type Told = Awaited<ReturnType<Stryker["runMutationTest"]>>[number];

/** Is told of a run of Stryker as it goes on. */
export interface Watcher {
  planned(mutants: number): void;
  tested(mutant: Told): void;
}

const watchers = new Set<Watcher>();

/** Stryker loads this file as a plugin, by its path, into the process that started it: it is this very module. */
export const strykerPlugins = [
  {
    kind: "Reporter",
    name: "watch",
    value: {
      onMutationTestingPlanReady({ mutantPlans }: { readonly mutantPlans: readonly unknown[] }) {
        for (const watcher of watchers) watcher.planned(mutantPlans.length);
      },
      onMutantTested(mutant: Told) {
        for (const watcher of watchers) watcher.tested(mutant);
      },
    },
  },
];

export async function watched<T>(watcher: Watcher, work: () => Promise<T>): Promise<T> {
  watchers.add(watcher);
  try {
    return await work();
  } finally {
    watchers.delete(watcher);
  }
}
