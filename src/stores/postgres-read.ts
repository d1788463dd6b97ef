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
import { lanes } from "./lanes.ts";
import {
  type Connection,
  type Connections,
  numberIn,
  type Row,
  textIn,
} from "./postgres-client.ts";
import { horizon, serverTime } from "./postgres-functions.ts";
import { columns, listStatement } from "./postgres-list.ts";
import { thrown } from "./postgres-raised.ts";
import type { FinishedPage, FinishedQuery } from "./prune.ts";
import { corrupt } from "./record.ts";
import { type CaseRow, casesOf, pageLimit, storedOf } from "./row.ts";
import { requestsOf } from "./tombstone.ts";

/** What the store answers from the database. */
export interface Reader {
  read(ids: ReadIds): Promise<Reading>;
  list(query: ListQuery): Promise<Page<Case>>;
  history(namespace: string, caseId: CaseId): Promise<JournalEntry[]>;
  journal(query: JournalQuery): Promise<JournalEntry[]>;
  end(namespace: string): Promise<number>;
  finished(query: FinishedQuery): Promise<FinishedPage>;
  /** The server's time. */
  time(): Promise<number>;
}

export interface ReaderOptions {
  readonly connections: Connections;
  readonly schema: string;
  /** Runs work, again where the server was away for a moment. */
  readonly reading: <T>(work: () => Promise<T>) => Promise<T>;
  /** Told the server's time. */
  readonly timed: (at: number) => void;
}

interface Asked {
  readonly ids: ReadIds;
  resolve(reading: Reading): void;
  reject(error: unknown): void;
}

const batchesUnderWay = 2;
const batchReads = 256;

export function createReader({ connections, schema, reading, timed }: ReaderOptions): Reader {
  const rows = (text: string, values: unknown[] = []): Promise<readonly Row[]> =>
    reading(() => connections.use((connection) => connection.query(text, values)));

  const asked = lanes<Asked>({
    atOnce: batchesUnderWay,
    take: (waiting) => waiting.splice(0, batchReads),
    run: find,
  });

  /** Reads that are asked for together share a statement. */
  async function find(batch: readonly Asked[]): Promise<void> {
    try {
      const all = batch.map(({ ids }) => ids);
      const found = await reading(() =>
        connections.use((connection) =>
          connection.query(...findStatement(connection, schema, all)).catch(thrown),
        ),
      );
      if (found[0] !== undefined) timed(numberIn(found[0], "at"));
      const byPlace = new Map(found.map((row) => [numberIn(row, "n"), row]));
      for (const [index, one] of batch.entries()) answer(one, byPlace.get(index + 1));
    } catch (error) {
      for (const one of batch) one.reject(error);
    }
  }

  function answer({ ids, resolve, reject }: Asked, row: Row | undefined): void {
    try {
      resolve(readingOf(ids, row));
    } catch (error) {
      reject(error);
    }
  }

  const history: Reader["history"] = async (namespace, caseId) => {
    const found = await rows(
      `WITH RECURSIVE chain (position, previous, text) AS (
         SELECT c.last_entry, j.previous, j.text FROM ${schema}.cases AS c
         LEFT JOIN ${schema}.journal AS j ON j.position = c.last_entry
         WHERE c.namespace = $1 AND c.id = $2 AND c.last_entry IS NOT NULL
         UNION ALL
         SELECT chain.previous, j.previous, j.text FROM chain
         LEFT JOIN ${schema}.journal AS j ON j.position = chain.previous
         WHERE chain.previous < chain.position
       ) SELECT position::text, previous::text, text FROM chain ORDER BY chain.position`,
      [namespace, caseId],
    );
    const [first] = found;
    if (first?.text === null) {
      throw corrupt(`the entry at position ${first.position} of a journal is missing`);
    }
    if (first !== undefined && first.previous !== null) {
      throw corrupt(`the entry at position ${first.position} of a journal follows on none`);
    }
    return found.map(entryOf);
  };

  return {
    read(ids) {
      if (ids.caseId === null && ids.requestId === null) {
        return Promise.resolve({ stored: null, bound: null });
      }
      return new Promise((resolve, reject) => {
        asked.add({ ids, resolve, reject });
      });
    },

    async list(query) {
      if (query.states?.length === 0) return { items: [], next: null };
      const limit = pageLimit(query.limit);
      const { text, values } = listStatement(schema, query, limit + 1);
      const found = await rows(text, values);
      const page = pageOf(found, limit);
      return { items: casesOf(page.rows.map(rowOf), query.refused), next: page.next };
    },

    history,

    async journal({ namespace, after, limit }) {
      const found = await rows(
        `SELECT position::text, text FROM ${schema}.journal
         WHERE namespace = $1 AND position > $2 AND position < ${horizon(schema)}
         ORDER BY journal.position LIMIT $3`,
        [namespace, after, pageLimit(limit)],
      );
      return found.map(entryOf);
    },

    async end(namespace) {
      const [row] = await rows(
        `SELECT position::text FROM ${schema}.journal
         WHERE namespace = $1 AND position < ${horizon(schema)} ORDER BY journal.position DESC LIMIT 1`,
        [namespace],
      );
      return row === undefined ? 0 : numberIn(row, "position");
    },

    async finished({ namespace, before, after, span }) {
      const found = await rows(
        `SELECT ${columns}, (r.case_id IS NOT NULL)::text AS own FROM ${schema}.cases AS c
         LEFT JOIN ${schema}.requests AS r ON r.namespace = c.namespace AND r.id = c.id AND r.case_id = c.id
         WHERE c.place > $1 AND c.namespace = $2 AND c.state IN ('SETTLED', 'VOID') AND c.updated_at < $3
         ORDER BY c.place LIMIT $4`,
        [after, namespace, before, span],
      );
      const items = await Promise.all(
        found.map(async (row) => {
          const stored = storedOf(rowOf(row));
          const { caseId } = stored.case;
          const texts = (await history(namespace, caseId)).map((entry) => entry.text);
          const requests = requestsOf(texts, row.own === "true" ? caseId : null);
          return { ...stored, requests, place: numberIn(row, "place") };
        }),
      );
      return { items, next: items.length < span ? null : (items.at(-1)?.place ?? null) };
    },

    async time() {
      const [row] = await rows(`SELECT ${serverTime} AS at`);
      return numberIn(row, "at");
    },
  };
}

/** What is read in a transaction that is shared with others. */
export interface ReadThere {
  readonly reading: Reading;
  /** The server's name for the transaction: outside of one, each statement has another. */
  readonly transaction: string;
  /** Milliseconds since 1970 by the server's clock. */
  readonly at: number;
}

/** One read in a transaction; of no ids, it tells which one that is. */
export async function findOne(
  connection: Connection,
  schema: string,
  ids: ReadIds,
): Promise<ReadThere> {
  const columns = "*, pg_current_xact_id()::text AS transaction";
  const [row] = await connection
    .query(...findStatement(connection, schema, [ids], columns))
    .catch(thrown);
  return {
    reading: readingOf(ids, row),
    transaction: textIn(row, "transaction"),
    at: numberIn(row, "at"),
  };
}

function findStatement(
  { storeId }: Connection,
  schema: string,
  all: readonly ReadIds[],
  columns = "*",
): [text: string, values: unknown[]] {
  return [
    `SELECT ${columns} FROM ${schema}.find_1($1::text[], $2::text[], $3::text[], $4)`,
    [
      all.map(({ namespace }) => namespace),
      all.map(({ caseId }) => caseId),
      all.map(({ requestId }) => requestId),
      storeId ?? null,
    ],
  ];
}

function readingOf(ids: ReadIds, row: Row | undefined): Reading {
  if (row === undefined) throw corrupt("the database left out what it was asked for");
  const bound = (row.bound ?? null) as CaseId | null;
  if (row.id !== null) return { stored: storedOf(rowOf(row)), bound };
  if (ids.caseId === null && bound !== null) throw corrupt("a request id is bound to no case");
  return { stored: null, bound };
}

/**
 * A page, and where the next one starts. Beyond the horizon a case may still appear before one that is
 * seen: a cursor stops short of it, unless that would be no step at all.
 */
function pageOf(
  found: readonly Row[],
  limit: number,
): { readonly rows: readonly Row[]; readonly next: string | null } {
  if (found.length <= limit) return { rows: found, next: null };
  const full = found.slice(0, limit);
  const certain = full.filter((row) => row.certain === "true");
  const rows = certain.length === 0 ? full : certain;
  return { rows, next: textIn(rows.at(-1), "place") };
}

function rowOf(row: Row): CaseRow {
  return {
    namespace: row.namespace,
    id: row.id,
    version: numberOf(row.version),
    state: row.state,
    action: row.action,
    updatedAt: numberOf(row.updated_at),
    ...(row.due === undefined
      ? {}
      : { due: row.due === null ? null : numberOf(row.due), agrees: row.agrees === "true" }),
    head: row.head,
    record: row.record,
  };
}

function numberOf(text: unknown): unknown {
  return typeof text === "string" ? Number(text) : text;
}

function entryOf(row: Row): JournalEntry {
  return { position: numberIn(row, "position"), text: textIn(row, "text") };
}
