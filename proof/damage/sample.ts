import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { CaseId, RequestId } from "../../src/core/identity.ts";
import type { Store } from "../../src/core/store.ts";
import { createLedger, type Ledger } from "../../src/guard/ledger.ts";
import { system } from "../../src/guard/platform.ts";
import { sqliteStore } from "../../src/stores/sqlite.ts";
import { manualClock } from "../../src/testing/manual.ts";
import { type Dump, dumpOf } from "./dump.ts";
import { type Tale, tales } from "./tales.ts";

/** A store's files as bytes, and what is in them. */
export interface Sample {
  readonly name: string;
  readonly main: Buffer;
  /** Undefined: there is none. */
  readonly wal: Buffer | undefined;
  readonly dump: Dump;
  /** What each earlier commit that is still in the WAL left, the oldest first, as texts. */
  readonly earlier: readonly string[];
  /** Where the WAL's last transaction begins, and where the frame that ends the one before. */
  readonly lastCommitAt: number;
  readonly markAt: number;
}

const start = 1_700_000_000_000;

export const namespaces = ["default", "billing", "qa"] as const;

export interface Samples {
  /** Everything written back: no WAL. */
  readonly closed: Sample;
  /** The latest commits in the WAL only. */
  readonly open: Sample;
  /** The same WAL after it was written back, before it is begun anew. */
  readonly writtenBack: Sample;
}

/** Makes a store with cases in all states and forms, by the guard's own way from an event to the store. */
export async function makeSamples(folder: string): Promise<Samples> {
  const path = join(folder, "sample.db");
  const clock = manualClock(start);
  let ids = 0;
  const platform = { ...system, newId: () => `n-${++ids}` };
  const stores: Store[] = [];
  const ledgers = new Map<string, Ledger>();
  const reopen = (): Store => {
    const store = sqliteStore({ path, clock: clock.now });
    stores.push(store);
    for (const namespace of namespaces) {
      const ledger = createLedger({
        store,
        namespace,
        clock: undefined,
        platform,
        committed: undefined,
      });
      ledgers.set(namespace, ledger);
    }
    return store;
  };
  const tell = async (namespace: string, { id, steps }: Tale, committed?: () => void) => {
    for (const [happening, bind] of steps) {
      clock.advance(1);
      const request = bind === null ? {} : { bind: bind as RequestId };
      const change = { caseId: id as CaseId, by: "ana", happening, ...request };
      const applied = await ledgers.get(namespace)?.apply(change);
      if (applied?.ok !== true)
        throw new Error(`the sample's ${happening.type} of ${id} is refused`);
      committed?.();
    }
  };

  let store = reopen();
  for (const namespace of namespaces) {
    const ended = tales("old", start).filter(({ id }) => /settled|void/.test(id));
    for (const tale of ended) await tell(namespace, tale);
  }
  clock.advance(1_000);
  for (const namespace of namespaces) {
    // The largest namespace has them all, the others some.
    const share = namespace === "default" ? 1 : 3;
    const some = tales("a", start).filter((_, index) => index % share === 0);
    for (const tale of some) await tell(namespace, tale);
    await store.prune({ namespace, before: start + 900 });
  }
  await store.close();

  store = reopen();
  const reader = new DatabaseSync(path, { readOnly: true });
  const earlier: string[] = [];
  const note = () => void earlier.push(textOf(dumpOf(reader)));
  note();
  const later = tales("b", start).filter((_, index) => index % 3 === 0);
  for (const tale of later) await tell("default", tale, note);
  await store.prune({ namespace: "qa", before: Number.MAX_SAFE_INTEGER, limit: 1 });
  note();
  const dump = dumpOf(reader);
  const lastCommitAt = lastCommitIn(readFileSync(`${path}-wal`));
  const ends = { lastCommitAt, markAt: lastCommitAt - frameBytes };
  const latest = { dump, earlier: earlier.slice(0, -1), ...ends };
  const open = { name: "WAL", ...latest, ...filesAt(path) };
  const checkpointer = new DatabaseSync(path);
  checkpointer.exec("PRAGMA wal_checkpoint(PASSIVE)");
  const writtenBack = { name: "written-back WAL", ...latest, ...filesAt(path) };
  checkpointer.close();
  reader.close();
  for (const one of stores) await one.close();
  if (existsSync(`${path}-wal`)) throw new Error("the sample was not written back");
  const closed = { name: "no WAL", ...filesAt(path), dump, earlier: [], ...ends };
  rmSync(path);
  return { closed, open, writtenBack };
}

const headerBytes = 32;
const frameBytes = 24 + 4_096;

/** Where the last transaction of a WAL begins: behind the frame that ends the one before. */
function lastCommitIn(wal: Buffer): number {
  const ends: number[] = [];
  for (let at = headerBytes; at + frameBytes <= wal.length; at += frameBytes) {
    // The size of the database after a commit; 0 in the frames before the one that ends it.
    if (wal.readUInt32BE(at + 4) !== 0) ends.push(at + frameBytes);
  }
  return ends.at(-2) ?? headerBytes;
}

function filesAt(path: string): Pick<Sample, "main" | "wal"> {
  const wal = `${path}-wal`;
  return { main: readFileSync(path), wal: existsSync(wal) ? readFileSync(wal) : undefined };
}

/** The tables' rows as one text; two files that hold the same have the same. */
export function textOf({ rows }: Dump): string {
  return JSON.stringify([...rows].filter(([name]) => !name.startsWith("by ")));
}
