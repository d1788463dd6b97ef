import { createGuard, GuardError, type Store } from "../../index.ts";
import { sqliteStore } from "../../stores/sqlite.ts";

/**
 * The store of an address, as `createGuard` takes it. The one place that knows which kinds there are:
 * the lab needs the store itself, to be killed around its commits.
 */
export function openStore(address: string): Store {
  if (address === "memory:") {
    throw new GuardError("invalid_request", 'A "memory:" store ends with its process.', {
      next: "Give the address of a store that several processes share.",
    });
  }
  // Any other kind of address: `createGuard` refuses those it doesn't know, in its own words.
  if (/^[a-z][a-z0-9+.-]+:/i.test(address)) void createGuard({ store: address }).close();
  return sqliteStore({ path: address });
}
