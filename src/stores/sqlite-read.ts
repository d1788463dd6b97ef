import type { SQLOutputValue, StatementSync } from "node:sqlite";
import type { Case, CaseState } from "../core/case.ts";
import { GuardError, isGuardError } from "../core/errors.ts";
import type { CaseId } from "../core/identity.ts";
import { limits } from "../core/limits.ts";
import {
  dueAt,
  type JournalEntry,
  type JournalQuery,
  type ListQuery,
  type Page,
  type ReadIds,
  type Reading,
  type Stored,
} from "../core/store.ts";
import { corrupt, readCase } from "./record.ts";
import { fileFaults } from "./sqlite-check.ts";
import type { Connection } from "./sqlite-open.ts";
import { understood } from "./sqlite-understood.ts";
import { type Finished, requestsOf } from "./tombstone.ts";

type Row = Record<string, SQLOutputValue>;

/** What the store answers from the database, each in one statement and so from one moment. */
export interface Reader {
  read(ids: ReadIds): Reading;
  list(query: ListQuery): Page<Case>;
  history(namespace: string, caseId: CaseId): JournalEntry[];
  journal(query: JournalQuery): JournalEntry[];
  end(namespace: string): number;
  /** Finished cases of a namespace among the `span` places after one; and where to go on, null at the end. */
  finished(query: FinishedQuery): FinishedPage;
  /** What is wrong with the file itself, a sentence each. */
  check(): string[];
  /** Changes when another connection has committed. */
  dataVersion(): number;
}

export interface FinishedQuery {
  readonly namespace: string;
  readonly before: number;
  readonly after: number;
  readonly span: number;
}

export interface FinishedPage {
  readonly items: readonly (Finished & { readonly place: number })[];
  readonly next: number | null;
}

const columns =
  "c.place, c.namespace, c.id, c.version, c.state, c.action, c.updated_at, c.head, c.record";

// The outer join gives one row in any case, so that "bound, but no such case" can't be overlooked.
// Parameters are plain `?`: Node 22.13 can't bind numbered ones by position.
const readByCase = `
  SELECT ${columns}, coalesce(r.case_id, own.id) AS bound
  FROM (SELECT 1)
  LEFT JOIN cases AS c ON c.namespace = ? AND c.id = ?
  LEFT JOIN requests AS r ON r.namespace = ? AND r.id = ?
  LEFT JOIN cases AS own ON own.namespace = ? AND own.id = ? AND own.own_request = 1`;

const readByRequest = `
  SELECT ${columns}, b.bound FROM (
    SELECT coalesce(
      (SELECT case_id FROM requests WHERE namespace = ? AND id = ?),
      (SELECT id FROM cases WHERE namespace = ? AND id = ? AND own_request = 1)
    ) AS bound
  ) AS b LEFT JOIN cases AS c ON c.namespace = ? AND c.id = b.bound`;

// The outer joins give a row without a text for an entry that is named and not there.
const chainOf = `
  WITH RECURSIVE chain (position, previous, text) AS (
    SELECT c.last_entry, j.previous, j.text FROM cases AS c
    LEFT JOIN journal AS j ON j.position = c.last_entry
    WHERE c.namespace = ? AND c.id = ? AND c.last_entry IS NOT NULL
    UNION ALL
    SELECT chain.previous, j.previous, j.text FROM chain
    LEFT JOIN journal AS j ON j.position = chain.previous
    WHERE chain.previous < chain.position
  ) SELECT position, previous, text FROM chain ORDER BY position`;

export function prepareReader(connection: Connection): Reader {
  const { db } = connection;
  const byCase = db.prepare(readByCase);
  const byRequest = db.prepare(readByRequest);
  const chain = db.prepare(chainOf);
  const feed = db.prepare(
    "SELECT position, text FROM journal WHERE namespace = ? AND position > ? ORDER BY position LIMIT ?",
  );
  const last = db.prepare(
    "SELECT position FROM journal WHERE namespace = ? ORDER BY position DESC LIMIT 1",
  );
  const ended = db.prepare(
    `SELECT ${columns}, c.own_request FROM cases AS c
     WHERE c.place > ? AND c.place <= ? AND +c.namespace = ? AND c.state IN ('SETTLED', 'VOID') AND c.updated_at < ? ORDER BY c.place`,
  );
  const historyOf = (namespace: string, caseId: CaseId): JournalEntry[] => {
    const rows = understood(() => chain.all(namespace, caseId));
    const [first] = rows;
    if (first?.text === null) {
      throw corrupt(`the entry at position ${first.position} of a journal is missing`);
    }
    if (first !== undefined && first.previous !== null) {
      throw corrupt(`the entry at position ${first.position} of a journal follows on none`);
    }
    return rows.map(entryOf);
  };
  const finishedOf = (row: Row) => {
    const stored = storedOf(row);
    const { namespace, caseId } = stored.case;
    const texts = historyOf(namespace, caseId).map((entry) => entry.text);
    const requests = requestsOf(texts, row.own_request === 1 ? caseId : null);
    return { ...stored, requests, place: row.place as number };
  };
  const lastPlace = db.prepare("SELECT max(place) AS place FROM cases");
  const dataVersion = db.prepare("PRAGMA data_version");
  // By their texts, of which there are few: one for each combination of conditions.
  const lists = new Map<string, StatementSync>();

  return {
    read({ namespace, caseId, requestId }) {
      if (caseId === null && requestId === null) return { stored: null, bound: null };
      const row =
        caseId === null
          ? understood(() => byRequest.get(namespace, requestId, namespace, requestId, namespace))
          : understood(() =>
              byCase.get(namespace, caseId, namespace, requestId, namespace, requestId),
            );
      const bound = (row?.bound ?? null) as CaseId | null;
      if (row === undefined || row.id === null) {
        if (caseId === null && bound !== null) throw corrupt("a request id is bound to no case");
        return { stored: null, bound };
      }
      return { stored: storedOf(row), bound };
    },
    list(query) {
      if (query.states?.length === 0) return { items: [], next: null };
      const { sql, values, limit } = listStatement(query);
      const statement = lists.get(sql) ?? db.prepare(sql);
      lists.set(sql, statement);
      const rows = understood(() => statement.all(...values));
      const more = rows.length > limit;
      if (more) rows.pop();
      const next = more ? String(rows.at(-1)?.place) : null;
      return { items: casesOf(rows, query.refused), next };
    },
    history: historyOf,
    journal({ namespace, after, limit }) {
      return understood(() => feed.all(namespace, after, pageLimit(limit))).map(entryOf);
    },
    end(namespace) {
      return (understood(() => last.get(namespace))?.position ?? 0) as number;
    },
    finished({ namespace, before, after, span }) {
      const rows = understood(() => ended.all(after, after + span, namespace, before));
      const end = (lastPlace.get()?.place ?? 0) as number;
      return {
        items: rows.map(finishedOf),
        next: after + span < end ? after + span : null,
      };
    },
    check: () => fileFaults(connection),
    dataVersion() {
      return dataVersion.get()?.data_version as number;
    },
  };
}

function storedOf(row: Row): Stored {
  const kase = readCase(String(row.record));
  const action = kase.state === "RETIRED" ? null : (kase.intent?.action ?? null);
  // The columns are what the database searches and compares by: they must say what the record says.
  if (
    row.namespace !== kase.namespace ||
    row.id !== kase.caseId ||
    row.version !== kase.version ||
    row.state !== kase.state ||
    row.action !== action ||
    row.updated_at !== kase.updatedAt ||
    // In the list of what is unfinished, and nowhere else.
    (row.due !== undefined && row.due !== dueAt(kase))
  ) {
    throw corrupt("its columns and its record differ");
  }
  return { case: kase, head: String(row.head) };
}

function casesOf(rows: readonly Row[], refused: ListQuery["refused"]): readonly Case[] {
  if (refused === undefined) return rows.map((row) => storedOf(row).case);
  const cases: Case[] = [];
  for (const row of rows) {
    try {
      cases.push(storedOf(row).case);
    } catch (error) {
      if (!isGuardError(error)) throw error;
      refused(error, String(row.id));
    }
  }
  return cases;
}

function entryOf(row: Row): JournalEntry {
  return { position: row.position as number, text: String(row.text) };
}

const finishedStates: readonly CaseState[] = ["SETTLED", "VOID", "RETIRED"];

interface Statement {
  readonly sql: string;
  readonly values: readonly (string | number)[];
  readonly limit: number;
}

function listStatement(query: ListQuery): Statement {
  const { namespace, states, action, updatedBefore, dueBy } = query;
  const limit = pageLimit(query.limit);
  const isUnfinished =
    dueBy !== undefined ||
    (states !== undefined && !states.some((state) => finishedStates.includes(state)));
  // The plus keeps it from searching by namespace, and then sorting all of it for each page.
  const wheres = ["+c.namespace = ?", isUnfinished ? "u.place > ?" : "c.place > ?"];
  const values: (string | number)[] = [namespace, placeOf(query.after)];
  const where = (term: string, ...bound: readonly (string | number)[]): void => {
    wheres.push(term);
    values.push(...bound);
  };
  if (states !== undefined) where(`c.state IN (${states.map(() => "?").join(", ")})`, ...states);
  if (action !== undefined) where("c.action = ?", action);
  if (updatedBefore !== undefined) where("c.updated_at < ?", updatedBefore);
  if (dueBy !== undefined) where("u.due <= ?", dueBy);
  // A cross join keeps this order: else SQLite might walk a million finished cases to find ten.
  const source = isUnfinished
    ? "unfinished AS u CROSS JOIN cases AS c ON c.place = u.place"
    : "cases AS c";
  const sql = `SELECT ${columns}${isUnfinished ? ", u.due" : ""} FROM ${source} WHERE ${wheres.join(" AND ")}
    ORDER BY ${isUnfinished ? "u" : "c"}.place LIMIT ?`;
  return { sql, values: [...values, limit + 1], limit };
}

function placeOf(cursor: string | undefined): number {
  const place = Number(cursor ?? 0);
  if (Number.isSafeInteger(place) && place >= 0) return place;
  throw new GuardError("invalid_request", "The cursor is not one that this store gave out.");
}

function pageLimit(limit: number = limits.pageRows): number {
  return Math.max(1, Math.min(limit, limits.pageRows));
}
