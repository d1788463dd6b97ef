import { createGuard, GuardError, type Store } from "../../index.ts";
import { openPostgres } from "../../stores/postgres-open.ts";
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
  if (isPostgres(address)) return openPostgres(address);
  // Any other kind of address: `createGuard` refuses those it doesn't know, in its own words.
  if (/^[a-z][a-z0-9+.-]+:/i.test(address)) void createGuard({ store: address }).close();
  return sqliteStore({ path: address });
}

function isPostgres(address: string): boolean {
  return /^postgres(ql)?:/i.test(address);
}

/** An address as it may be shown: without its password. */
export function shownAddress(address: string): string {
  if (!isPostgres(address) || !URL.canParse(address)) return address;
  const url = new URL(address);
  if (url.password !== "") url.password = "***";
  if (url.searchParams.has("password")) url.searchParams.set("password", "***");
  return url.href;
}
