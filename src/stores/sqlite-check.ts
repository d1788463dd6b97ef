import { storeError } from "./sqlite-errors.ts";
import type { Connection } from "./sqlite-open.ts";
import { understood } from "./sqlite-understood.ts";
import { lostCommits } from "./sqlite-wal-check.ts";

/**
 * What is wrong with the file itself, a sentence each: what no record, read by itself, can tell. It
 * looks at the parts of all namespaces, so it names rows by their places and nobody's cases.
 */
export function fileFaults({ db, path }: Connection): string[] {
  const faults: string[] = [];
  const told = (work: () => string | undefined): void => {
    try {
      const fault = understood(work);
      if (fault !== undefined) faults.push(fault);
    } catch (error) {
      if (storeError(error).code !== "store_corrupt") throw error;
      faults.push(`The database can't be read through (${plainly(error)}).`);
    }
  };

  told(() => {
    const rows = db.prepare("PRAGMA integrity_check(10)").all();
    const lines = rows.flatMap((row) => String(row.integrity_check).split("\n"));
    const [first, ...more] = lines.filter((line) => line !== "ok" && !line.startsWith("***"));
    if (first === undefined) return undefined;
    const rest = more.length === 0 ? "" : `; and ${more.length} more`;
    return `The database is damaged: ${first}${rest}.`;
  });
  for (const { sql, says } of rules) {
    told(() => {
      const place = db.prepare(sql).get()?.place;
      return place === undefined || place === null ? undefined : `${says} (place ${place}).`;
    });
  }
  told(() => lostCommits(path));
  return faults;
}

/** What SQLite itself says. */
function plainly(error: unknown): string {
  const cause = error instanceof Error ? (error.cause ?? error) : error;
  return cause instanceof Error ? cause.message : String(cause);
}

/** What is so in every file that only the store has written. Each query gives the first place where it isn't. */
const rules: readonly { readonly says: string; readonly sql: string }[] = [
  // Places are given out one by one, and no row is ever deleted: a gap is a row that is gone.
  { says: "A case is missing from the table of cases", sql: gapIn("cases") },
  { says: "A request id is missing from the table of requests", sql: gapIn("requests") },
  {
    says: "A request id is bound to a case that is not there",
    sql: `SELECT r.place FROM requests AS r WHERE NOT EXISTS
      (SELECT 1 FROM cases AS c WHERE c.namespace = r.namespace AND c.id = r.case_id) LIMIT 1`,
  },
  {
    says: "A request id is bound to a case whose journal doesn't tell of it",
    // An opening binds a request id that it doesn't tell, and a tombstone has no journal.
    sql: `SELECT place FROM requests WHERE (namespace, id) NOT IN (
        SELECT namespace, ${member("text", "event.requestId")} AS request FROM journal
        WHERE request IS NOT NULL
      ) AND (namespace, case_id) NOT IN (
        SELECT namespace, ${member("text", "caseId")} AS id FROM journal
        WHERE id IS NOT NULL AND ${member("text", "event.type")} = 'open'
          AND ${member("text", "event.requestId", "json_type")} IS NULL
        UNION ALL SELECT namespace, id FROM cases WHERE state = 'RETIRED'
      ) LIMIT 1`,
  },
  {
    // A tombstone has no journal that would miss it.
    says: "A case's record doesn't say the namespace that it stands in",
    sql: `SELECT place FROM cases WHERE namespace IS NOT ${member("record", "namespace")} LIMIT 1`,
  },
  {
    says: "The list of unfinished cases has one that is not unfinished, or not there",
    sql: `SELECT u.place FROM unfinished AS u LEFT JOIN cases AS c ON c.place = u.place
      WHERE c.place IS NULL OR c.state IN ('SETTLED', 'VOID', 'RETIRED') LIMIT 1`,
  },
];

/** A member of a text that is JSON as a rule; null where it isn't. */
function member(column: string, path: string, read = "json_extract"): string {
  return `CASE WHEN json_valid(${column}) THEN ${read}(${column}, '$.${path}') END`;
}

function gapIn(table: string): string {
  return `SELECT min(place) AS place FROM (
    SELECT place + 1 AS place FROM ${table} AS earlier
    WHERE NOT EXISTS (SELECT 1 FROM ${table} AS t WHERE t.place = earlier.place + 1)
      AND place < (SELECT max(place) FROM ${table})
    UNION ALL SELECT 1 WHERE (SELECT min(place) FROM ${table}) > 1)`;
}
