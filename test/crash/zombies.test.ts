import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, expect, test } from "vitest";
import { answerOf, type Caller, startCaller } from "./caller.ts";
import { testFile } from "./folder.ts";
import { type Ledger, startLedger } from "./ledger.ts";
import type { Answer, CallerConfig, Kind } from "./programs/protocol.ts";

// Long enough for a claim under load: one that takes longer than its lease is given back.
const leaseMs = 1_000;
const atOnce = 10;

let ledger: Ledger;
let batches = 0;

beforeAll(async () => {
  ledger = await startLedger();
});
afterAll(() => ledger.stop());

/** Callers that will be stopped, and callers that won't, on one file. */
interface Crew {
  readonly path: string;
  /** Half of them are stopped before their effect is done, half after. */
  readonly workers: readonly Caller[];
  readonly askers: readonly Caller[];
}

async function crew(kind: Kind, declared: Kind = kind): Promise<Crew> {
  const path = testFile();
  const config: CallerConfig = { path, ledger: ledger.url, kind, declared, leaseMs };
  const askers = [startCaller(config), startCaller(config)];
  const workers = Array.from({ length: atOnce }, (_, index) =>
    startCaller({ ...config, pause: index % 2 === 0 ? "before" : "after" }),
  );
  // All have opened the file before the first one claims.
  await Promise.all([...workers, ...askers].map((caller) => caller.list("FINAL")));
  return { path, workers, askers };
}

/** What came of one worker that was stopped in its effect for longer than its lease. */
interface Zombie {
  readonly caseId: string;
  /** What others were told while it was stopped. */
  readonly meanwhile: readonly Answer[];
  /** What it was told itself after it went on. */
  readonly own: Answer;
  /** What others were told then. */
  readonly after: readonly Answer[];
  readonly history: readonly string[];
  readonly effects: number;
  readonly calls: number;
  readonly keys: number;
}

/** Stops all workers in an effect each, and wakes them when others have asked for the same cases. */
async function zombies({ path, workers, askers }: Crew): Promise<Zombie[]> {
  batches += 1;
  const ids = workers.map((_, index) => `case ${batches}.${index}`);
  const results = workers.map((worker, index) => answerOf(worker, ids[index]!));
  await Promise.all(workers.map((worker) => worker.waits()));
  await freezeAll(workers, path);
  const [meanwhile] = await Promise.all([
    everybody(askers, ids),
    ...askers.map((asker) => asker.reconcile()),
  ]);
  const gone = workers.map((worker) => worker.goOn());
  for (const worker of workers) worker.thaw();
  await Promise.all(gone);
  const own = await Promise.all(results);
  const after = await everybody(askers, ids);
  return Promise.all(
    ids.map(async (caseId, index) => {
      const line = await ledger.line(caseId);
      return {
        caseId,
        meanwhile: meanwhile[index]!,
        own: own[index]!,
        after: after[index]!,
        history: await historyOf(caseId, askers[0]!),
        effects: line?.effects ?? 0,
        calls: line?.calls ?? 0,
        keys: line?.keys.length ?? 0,
      };
    }),
  );
}

/** All askers ask for all cases at once. */
function everybody(askers: readonly Caller[], ids: readonly string[]): Promise<Answer[][]> {
  return Promise.all(ids.map((id) => Promise.all(askers.map((asker) => asker.execute(id)))));
}

/** None is stopped in the middle of a commit: it would hold the database's lock, and nobody else could even ask. */
async function freezeAll(workers: readonly Caller[], path: string): Promise<void> {
  for (;;) {
    await Promise.all(workers.map((worker) => worker.freeze()));
    if (canWrite(path)) return;
    for (const worker of workers) worker.thaw();
  }
}

function canWrite(path: string): boolean {
  const db = new DatabaseSync(path, { timeout: 0 });
  try {
    db.exec("BEGIN IMMEDIATE; ROLLBACK");
    return true;
  } catch {
    return false;
  } finally {
    db.close();
  }
}

/** A case's journal, without claims that were given back before the effect was started. */
async function historyOf(caseId: string, asker: Caller): Promise<string[]> {
  const history = await asker.history(caseId);
  while (history[1] === "release") history.splice(0, 2);
  return history;
}

/** Everybody has the same receipt, the zombie too. */
function expectOneReceipt({ own, after }: Zombie): void {
  expect(new Set([own, ...after].map(({ receipt }) => receipt))).toHaveLength(1);
  expect(own.receipt).toBeDefined();
}

test("100 workers stopped past their lease: no opaque effect doubled, each doubt settled by the late result", {
  timeout: 300_000,
}, async () => {
  const all = await crew("opaque");
  for (let batch = 1; batch <= 10; batch += 1) {
    for (const zombie of await zombies(all)) {
      for (const answer of zombie.meanwhile) expect(answer.status).toBe("in_doubt");
      expect(zombie.effects).toBe(1);
      expectOneReceipt(zombie);
      expect(JSON.parse(zombie.own.receipt!)).toMatchObject({ source: "late" });
      // One claim, and its own result: no other effect was ever started.
      expect(zombie.history).toEqual(["claim", "lease_ended", "settle"]);
    }
  }
  expect(Object.keys(await ledger.book())).toHaveLength(100);
});

test("a stale settle is refused where somebody ran again, and kept as evidence", async () => {
  for (const zombie of await zombies(await crew("keyed"))) {
    for (const answer of zombie.meanwhile) expect(answer.status).toBe("settled");
    expectOneReceipt(zombie);
    expect(JSON.parse(zombie.own.receipt!)).toMatchObject({ source: "effect" });
    expect(zombie.history).toEqual(["claim", "lease_ended", "claim", "settle", "late_result"]);
    expect(zombie).toMatchObject({ effects: 1, calls: 2, keys: 1 });
  }
});

test("control: with the defence off, every effect is doubled", async () => {
  for (const zombie of await zombies(await crew("opaque", "idempotent"))) {
    expect(zombie.effects).toBe(2);
  }
});
