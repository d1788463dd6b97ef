import { rmSync, writeFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { createGuard, type Fault, isGuardError, type Store } from "../../src/index.ts";
import { sqliteStore } from "../../src/stores/sqlite.ts";
import { changedIn, type Dump, dumpOf } from "./dump.ts";
import type { Harmed, Kind } from "./harm.ts";
import { namespaces, textOf } from "./sample.ts";
import { type Knowledge, type Told, toldBy } from "./told.ts";

/** What the damage did, as plain SQLite reads it; the guard has no part in it. */
export type Damage =
  | { readonly is: "none" }
  /** Exactly what an earlier commit left, so many commits back. */
  | { readonly is: "set back"; readonly commits: number }
  /** Bindings of request ids of which no journal tells. */
  | { readonly is: "untold" }
  /** The store's own row. */
  | { readonly is: "own row" }
  | { readonly is: "changed"; readonly cases: ReadonlySet<string> | undefined };

/** How the guard met it. */
export type Answer =
  | { readonly is: "sound" }
  | { readonly is: "faults"; readonly faults: readonly NamedFault[] }
  | {
      readonly is: "refused";
      readonly at: "opening" | "reading";
      readonly code: string;
      readonly error: string;
    }
  /** An error that is none of the guard's. */
  | { readonly is: "failed"; readonly error: string };

export type NamedFault = Fault & { readonly namespace: string };

export interface Judged {
  readonly kind: Kind;
  readonly harmed: Harmed;
  readonly damage: Damage;
  readonly answer: Answer;
  /** SQLite alone, its own check included, finds nothing wrong. */
  readonly passesSqlite: boolean;
}

/** Lays a harmed copy down at a path, lets plain SQLite and then the guard look at it, and removes it. */
export async function judge(
  kind: Kind,
  harmed: Harmed,
  known: Knowledge,
  path: string,
): Promise<Judged> {
  remove(path);
  writeFileSync(path, harmed.main);
  if (harmed.wal !== undefined) writeFileSync(`${path}-wal`, harmed.wal);
  try {
    const { damage, passesSqlite } = plainly(harmed, known, path);
    const answer = await byGuard(path);
    return { kind, harmed, damage, answer, passesSqlite };
  } finally {
    remove(path);
  }
}

function remove(path: string): void {
  for (const end of ["", "-wal", "-shm"]) rmSync(path + end, { force: true });
}

function plainly({ sample }: Harmed, known: Knowledge, path: string) {
  let found: { dump: Dump; isSound: boolean };
  try {
    const db = new DatabaseSync(path, { readOnly: true });
    try {
      db.exec("PRAGMA cell_size_check = ON");
      found = { dump: dumpOf(db, sample.dump), isSound: integrity(db) };
    } finally {
      db.close();
    }
  } catch {
    found = { dump: { rows: new Map(), broken: true }, isSound: false };
  }
  const { dump, isSound } = found;
  return { damage: damageOf(sample, dump, known), passesSqlite: isSound && !dump.broken };
}

function integrity(db: DatabaseSync): boolean {
  try {
    return db.prepare("PRAGMA integrity_check").get()?.integrity_check === "ok";
  } catch {
    return false;
  }
}

function damageOf(sample: Harmed["sample"], dump: Dump, known: Knowledge): Damage {
  if (dump.broken) return { is: "changed", cases: undefined };
  const changed = changedIn(sample.dump, dump);
  if (changed.length === 0) return { is: "none" };
  const earlier = sample.earlier.lastIndexOf(textOf(dump));
  if (earlier >= 0) return { is: "set back", commits: sample.earlier.length - earlier };
  const told: Told = toldBy(changed, sample.dump, dump, known);
  if (told.isUntold) return { is: "untold" };
  if (told.isOwnRow) return { is: "own row" };
  return { is: "changed", cases: told.cases };
}

async function byGuard(path: string): Promise<Answer> {
  let store: Store;
  try {
    store = sqliteStore({ path, busyMs: 1_000 });
  } catch (error) {
    return refusal(error, "opening");
  }
  try {
    const faults: NamedFault[] = [];
    for (const namespace of namespaces) {
      const found = await createGuard({ store, namespace }).verify();
      for (const fault of found.faults) faults.push({ ...fault, namespace });
    }
    return faults.length === 0 ? { is: "sound" } : { is: "faults", faults };
  } catch (error) {
    return refusal(error, "reading");
  } finally {
    await store.close().catch(() => {});
  }
}

function refusal(error: unknown, at: "opening" | "reading"): Answer {
  if (isGuardError(error) && error.code.startsWith("store_")) {
    return { is: "refused", at, code: error.code, error: String(error) };
  }
  return { is: "failed", error: String(error) };
}
