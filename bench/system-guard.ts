import { createGuard, memoryStore, type Store } from "../src/index.ts";
import { openPostgres } from "../src/stores/postgres-open.ts";
import { sqliteStore } from "../src/stores/sqlite.ts";
import { action, payloadOf } from "./keys.ts";
import type { System } from "./system.ts";

/** The product, as its users call it. */
export function guardOnMemory(): System {
  const store = memoryStore();
  // A guard's end is its store's end, and this one store is all there is.
  const lasting: Store = { ...store, close: async () => {} };
  return guardSystem(() => lasting, { count: 0 });
}

export function guardOnSqlite(path: string): System {
  return guardSystem(() => sqliteStore({ path }), { count: 0 });
}

/** With a pool of its own, of ten connections. */
export function guardOnPostgres(address: string): System {
  return guardSystem(() => openPostgres(address), { count: 0 });
}

function guardSystem(openStore: () => Store, effects: { count: number }): System {
  const guard = createGuard({ store: openStore() });
  const run = async (): Promise<{ sent: boolean }> => {
    effects.count += 1;
    return { sent: true };
  };
  const ask = async (key: string, replayed: boolean): Promise<void> => {
    const outcome = await guard.execute({ requestId: key, action, payload: payloadOf(key), run });
    if (outcome.status === "settled" && outcome.replayed === replayed) return;
    throw new Error(`${key}: ${outcome.status}, not ${replayed ? "a replay" : "fresh"}`);
  };
  return {
    fresh: (key) => ask(key, false),
    replay: (key) => ask(key, true),
    another: () => guardSystem(openStore, effects),
    effects: () => effects.count,
    close: () => guard.close(),
  };
}
