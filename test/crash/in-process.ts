import { onTestFinished } from "vitest";
import {
  createGuard,
  type Guard,
  type GuardOptions,
  memoryStore,
  type Store,
} from "../../src/index.ts";
import { sqliteStore } from "../../src/stores/sqlite.ts";
import { testFile } from "./folder.ts";

/** Every store that these tests run on: its name, and how a new one is made. */
export const stores: readonly (readonly [name: string, make: () => Store])[] = [
  ["memory", () => memoryStore()],
  ["SQLite", () => sqliteStore({ path: testFile() })],
];

/** A guard that is closed when its test is over. */
export function guardOn(store: Store | string, options: GuardOptions = {}): Guard {
  const guard = createGuard({ store, ...options });
  onTestFinished(() => guard.close());
  return guard;
}

/** The error that a promise is rejected with; fails where it isn't. */
export async function errorOf(promise: Promise<unknown>): Promise<unknown> {
  let value: unknown;
  try {
    value = await promise;
  } catch (error) {
    return error;
  }
  throw new Error(`Expected an error, got ${JSON.stringify(value)}.`);
}
