/**
 * Three registries as they are often written, to be judged like the guard. Each is expected to double
 * effects: where it doesn't, the lab has shown nothing.
 */
import { randomUUID } from "node:crypto";
import type { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import { loadSqlite } from "../../stores/sqlite-module.ts";
import type { HistoryAnswer } from "../../testing/history.ts";
import { type Keeper, type KeeperOptions, only } from "./keeper.ts";
import type { Ask } from "./message.ts";

/** A table of leases: who finds one that is over takes the worker for dead, and runs it again. */
export function retryOnLeaseEnd({ config, effects, traps }: KeeperOptions): Keeper {
  const db = openFile(config.file, "leases (id TEXT PRIMARY KEY, until REAL, receipt TEXT)");
  const find = db.prepare("SELECT until, receipt FROM leases WHERE id = ?");
  const take = db.prepare("INSERT OR REPLACE INTO leases (id, until) VALUES (?, ?)");
  const finish = db.prepare("UPDATE leases SET receipt = ? WHERE id = ?");

  /** The receipt, or whether the lease was taken. */
  const tried = (id: string): string | boolean =>
    atOnce(db, () => {
      const row = find.get(id);
      if (typeof row?.receipt === "string") return row.receipt;
      if (row !== undefined && Number(row.until) > Date.now()) return false;
      take.run(id, Date.now() + config.leaseMs);
      return true;
    });

  return only(async (ask) => {
    effects.plan(ask.caseId, ask.effect);
    for (;;) {
      const found = tried(ask.caseId);
      if (typeof found === "string") return settled(found);
      if (found) break;
      await sleep(20);
    }
    try {
      const receipt = receiptOf(await effects.run(ask.caseId, ask.class, ask.caseId));
      finish.run(receipt, ask.caseId);
      traps.reach(ask.caseId, "answered by the guard, before the caller is");
      return settled(receipt);
    } catch {
      return { status: "failed", effect: "unknown" };
    }
  });
}

/** A table of runs, from which a failed one is deleted, so that it can be tried again. */
export function forgetOnThrow({ config, effects }: KeeperOptions): Keeper {
  const db = openFile(config.file, "runs (id TEXT PRIMARY KEY, receipt TEXT)");
  const find = db.prepare("SELECT receipt FROM runs WHERE id = ?");
  const begin = db.prepare("INSERT INTO runs (id) VALUES (?)");
  const finish = db.prepare("UPDATE runs SET receipt = ? WHERE id = ?");
  const forget = db.prepare("DELETE FROM runs WHERE id = ?");

  return only(async (ask): Promise<HistoryAnswer> => {
    effects.plan(ask.caseId, ask.effect);
    const row = atOnce(db, () => {
      const found = find.get(ask.caseId);
      if (found === undefined) begin.run(ask.caseId);
      return found;
    });
    if (typeof row?.receipt === "string") return settled(row.receipt);
    if (row !== undefined) return { status: "in_progress" };
    try {
      const receipt = receiptOf(await effects.run(ask.caseId, ask.class, ask.caseId));
      finish.run(receipt, ask.caseId);
      return settled(receipt);
    } catch {
      forget.run(ask.caseId);
      return { status: "failed", effect: "unknown" };
    }
  });
}

/** A map: right as long as the process lives, and as long as there is only one. */
export function inMemory({ effects, traps }: KeeperOptions): Keeper {
  const known = new Map<string, Promise<HistoryAnswer>>();
  const run = async (ask: Ask): Promise<HistoryAnswer> => {
    try {
      return settled(receiptOf(await effects.run(ask.caseId, ask.class, ask.caseId)));
    } catch {
      return { status: "failed", effect: "unknown" };
    }
  };
  return only(async (ask) => {
    effects.plan(ask.caseId, ask.effect);
    const running = known.get(ask.caseId) ?? run(ask);
    known.set(ask.caseId, running);
    const answer = await running;
    traps.reach(ask.caseId, "answered by the guard, before the caller is");
    return answer;
  });
}

function openFile(path: string, table: string): DatabaseSync {
  const db = new (loadSqlite().DatabaseSync)(path);
  db.exec("PRAGMA busy_timeout = 20000; PRAGMA journal_mode = WAL");
  db.exec(`CREATE TABLE IF NOT EXISTS ${table}`);
  return db;
}

function atOnce<T>(db: DatabaseSync, work: () => T): T {
  db.exec("BEGIN IMMEDIATE");
  try {
    return work();
  } finally {
    db.exec("COMMIT");
  }
}

function receiptOf(value: unknown): string {
  return JSON.stringify({ receipt: randomUUID(), value });
}

function settled(receipt: string): HistoryAnswer {
  return { status: "settled", receipt, recorded: true };
}
