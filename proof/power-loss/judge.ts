import { createHash } from "node:crypto";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import {
  type Case,
  createGuard,
  type Entry,
  type Guard,
  isGuardError,
  type Store,
} from "../../src/index.ts";
import { sqliteStore } from "../../src/stores/sqlite.ts";
import type { Chance } from "../../src/testing/chance.ts";
import { database } from "./record.ts";
import type { Told } from "./said.ts";

/** What can be wrong with an image. */
export interface Wrong {
  readonly kind:
    | "receipt"
    | "claim"
    | "signal"
    | "decision"
    | "step"
    | "corrupt"
    | "unopened"
    | "untrue";
  readonly what: string;
}

/**
 * Opens what is left after a power loss with the real store, and holds it against what was
 * acknowledged before: all of that is there, to the byte; nothing is broken; nothing is told that
 * was not so; and it goes on working.
 */
export async function judge(folder: string, told: Told, chance: Chance): Promise<Wrong[]> {
  const path = join(folder, database);
  let store: Store;
  try {
    store = sqliteStore({ path });
  } catch (error) {
    const isCorrupt = isGuardError(error, "store_corrupt");
    return [{ kind: isCorrupt ? "corrupt" : "unopened", what: String(error) }];
  }
  const wrongs: Wrong[] = [];
  try {
    wrongs.push(...integrity(path));
    const guard = createGuard({ store, waitMs: 0 });
    const cases = await casesOf(store);
    const chains = await chainsOf(store, wrongs);
    for (const kase of cases.values()) wrongs.push(...whole(kase, chains.get(kase.caseId) ?? []));
    wrongs.push(...held(told, cases, chains));
    if (wrongs.length === 0) wrongs.push(...(await goesOn(guard, told, cases, chance)));
    await guard.close();
  } catch (error) {
    wrongs.push({ kind: "corrupt", what: String(error) });
  }
  await store.close();
  return wrongs;
}

function integrity(path: string): Wrong[] {
  const db = new DatabaseSync(path, { readOnly: true });
  try {
    const rows = db.prepare("PRAGMA integrity_check").all();
    const found = rows.map((row) => String(row.integrity_check)).join("; ");
    return found === "ok" ? [] : [{ kind: "corrupt", what: `integrity_check: ${found}` }];
  } finally {
    db.close();
  }
}

const namespace = "default";

async function casesOf(store: Store): Promise<Map<string, Case>> {
  const cases = new Map<string, Case>();
  for (let after: string | undefined; ; ) {
    const page = await store.list({ namespace, ...(after === undefined ? {} : { after }) });
    for (const kase of page.items) cases.set(kase.caseId, kase);
    if (page.next === null) return cases;
    after = page.next;
  }
}

interface Link {
  readonly entry: Entry;
  readonly hash: string;
}

/** Each case's journal, its hash chain checked. */
async function chainsOf(store: Store, wrongs: Wrong[]): Promise<Map<string, Link[]>> {
  const chains = new Map<string, Link[]>();
  for (let after = 0; ; ) {
    const entries = await store.journal({ namespace, after });
    for (const { text } of entries) {
      const entry = JSON.parse(text) as Entry;
      const chain = chains.get(entry.caseId) ?? [];
      const last = chain.at(-1);
      if (entry.previous !== (last?.hash ?? null) || entry.sequence !== chain.length + 1) {
        wrongs.push({ kind: "corrupt", what: `the journal of ${entry.caseId} is no chain` });
      }
      chain.push({ entry, hash: createHash("sha256").update(text).digest("hex") });
      chains.set(entry.caseId, chain);
    }
    const last = entries.at(-1);
    if (last === undefined) return chains;
    after = last.position;
  }
}

/** A case and its journal say the same. */
function whole(kase: Case, chain: readonly Link[]): Wrong[] {
  const last = chain.at(-1)?.entry;
  if (kase.state === "RETIRED") return last === undefined ? [] : [unlike(kase, "a journal")];
  if (last === undefined || chain.length !== kase.entries) return [unlike(kase, "another length")];
  // Renewals of a lease are not journaled.
  const isLate = last.version > kase.version || last.state !== kase.state;
  return isLate ? [unlike(kase, `a last entry ${last.state}`)] : [];
}

function unlike(kase: Case, journal: string): Wrong {
  return { kind: "corrupt", what: `${kase.caseId} is ${kase.state}, its journal has ${journal}` };
}

/** What was acknowledged against what is there. */
function held(
  told: Told,
  cases: ReadonlyMap<string, Case>,
  chains: ReadonlyMap<string, readonly Link[]>,
): Wrong[] {
  const wrongs: Wrong[] = [];
  const find = (kind: Wrong["kind"], what: string): void => void wrongs.push({ kind, what });
  const isGone = (kase: Case | undefined): boolean =>
    kase?.state === "RETIRED" && told.pruning !== "not yet";
  const eventsOf = (caseId: string) => (chains.get(caseId) ?? []).map(({ entry }) => entry.event);

  for (const [requestId, { caseId, text }] of told.receipts) {
    const kase = cases.get(caseId);
    if (kase?.state === "RETIRED" && told.pruning !== "not yet") {
      const hash = createHash("sha256").update(text).digest("hex");
      if (kase.receiptHash !== hash)
        find("receipt", `${requestId}: the tombstone is of another receipt`);
      continue;
    }
    const found = kase?.state === "SETTLED" ? JSON.stringify(kase.receipt) : undefined;
    if (found === undefined)
      find("receipt", `${requestId} was told its receipt; ${caseId} is ${stateOf(kase)}`);
    else if (found !== text) find("receipt", `${requestId} was told another receipt`);
    if (told.pruning === "pruned") find("step", `${caseId} was pruned; it is ${stateOf(kase)}`);
  }
  for (const caseId of told.started) {
    const kase = cases.get(caseId);
    if (rankOf(kase) < rank.EXECUTING)
      find("claim", `${caseId} was started; it is ${stateOf(kase)}`);
  }
  for (const [signalId, caseId] of told.signals) {
    if (isGone(cases.get(caseId))) continue;
    const isThere = eventsOf(caseId).some(
      (event) => event.type === "signal" && event.signal.signalId === signalId,
    );
    if (!isThere) find("signal", `${signalId} was accepted; ${caseId} doesn't have it`);
  }
  for (const { caseId, type, by } of told.decisions) {
    if (isGone(cases.get(caseId))) continue;
    const isThere = eventsOf(caseId).some((event) => event.type === type && event.by === by);
    if (!isThere) find("decision", `${type} by ${by} was accepted; ${caseId} doesn't have it`);
  }
  for (const [caseId, { version, heads }] of told.committed) {
    const kase = cases.get(caseId);
    if (isGone(kase)) continue;
    if ((kase?.version ?? 0) < version) find("step", `${caseId} had version ${version}`);
    const hashes = new Set((chains.get(caseId) ?? []).map(({ hash }) => hash));
    if (heads.some((head) => !hashes.has(head))) find("step", `${caseId} lacks an entry it had`);
  }
  for (const kase of cases.values()) {
    if (kase.state === "SETTLED" && !told.ended.has(kase.caseId)) {
      find("untrue", `${kase.caseId} is settled, and its effect had not ended`);
    }
  }
  return wrongs;
}

const rank: { readonly [State in Case["state"]]: number } = {
  OPEN: 1,
  RESOLVED_PROVISIONAL: 1,
  IN_RECONCILIATION: 1,
  FINAL: 2,
  EXECUTING: 3,
  IN_DOUBT: 3,
  SETTLED: 4,
  VOID: 4,
  RETIRED: 4,
};

const rankOf = (kase: Case | undefined): number => (kase === undefined ? 0 : rank[kase.state]);
const stateOf = (kase: Case | undefined): string => kase?.state ?? "not there";

/** Asks again for two cases at random, and for a new one. */
async function goesOn(
  guard: Guard,
  told: Told,
  cases: ReadonlyMap<string, Case>,
  chance: Chance,
): Promise<Wrong[]> {
  const wrongs: Wrong[] = [];
  const started = [...told.started];
  for (let count = 0; count < 2 && started.length > 0; count += 1) {
    const kase = cases.get(started[chance.below(started.length)] ?? "");
    if (kase === undefined || kase.state === "RETIRED" || kase.intent === null) continue;
    const { caseId, intent } = kase;
    const { action, payload } = intent;
    let ran = false;
    const run = () => {
      ran = true;
    };
    const requestId = kase.state === "SETTLED" ? kase.receipt.requestId : caseId;
    const outcome = await guard.execute({ requestId, caseId, action, payload, run });
    if (ran) wrongs.push({ kind: "claim", what: `${caseId} ran a second time` });
    const text = outcome.status === "settled" ? JSON.stringify(outcome.receipt) : undefined;
    const known = told.receipts.get(requestId)?.text;
    if (known !== undefined && text !== known) {
      wrongs.push({ kind: "receipt", what: `${requestId} is answered with another receipt` });
    }
  }
  const call = { requestId: "after the power loss", action: "pay", payload: {} };
  try {
    const { status } = await guard.execute({ ...call, run: () => "done" });
    if (status !== "settled") wrongs.push({ kind: "unopened", what: `a new case is ${status}` });
  } catch (error) {
    if (!isGuardError(error)) throw error;
    wrongs.push({ kind: "unopened", what: `a new case: ${error.message}` });
  }
  return wrongs;
}
