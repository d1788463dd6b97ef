import type { SQLOutputValue, StatementSync } from "node:sqlite";
import type { Case } from "../core/case.ts";
import type { CaseId } from "../core/identity.ts";
import type {
  JournalEntry,
  JournalQuery,
  ListQuery,
  Page,
  ReadIds,
  Reading,
} from "../core/store.ts";
import type { FinishedPage, FinishedQuery } from "./prune.ts";
import { corrupt } from "./record.ts";
import { type CaseRow, casesOf, isOfUnfinished, pageLimit, placeOf, storedOf } from "./row.ts";
import { fileFaults } from "./sqlite-check.ts";
import type { Connection } from "./sqlite-open.ts";
import { understood } from "./sqlite-understood.ts";
import { requestsOf } from "./tombstone.ts";

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
    const stored = storedOf(rowOf(row));
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
      return { stored: storedOf(rowOf(row)), bound };
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
      return { items: casesOf(rows.map(rowOf), query.refused), next };
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

function rowOf(row: Row): CaseRow {
  const { namespace, id, version, state, action, updated_at: updatedAt, due, head, record } = row;
  return { namespace, id, version, state, action, updatedAt, due, head, record };
}

function entryOf(row: Row): JournalEntry {
  return { position: row.position as number, text: String(row.text) };
}

interface Statement {
  readonly sql: string;
  readonly values: readonly (string | number)[];
  readonly limit: number;
}

function listStatement(query: ListQuery): Statement {
  const { namespace, states, action, updatedBefore, dueBy } = query;
  const limit = pageLimit(query.limit);
  const isUnfinished = isOfUnfinished(query);
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
