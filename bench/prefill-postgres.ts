import { openPostgres } from "../src/stores/postgres-open.ts";
import { onDatabase } from "./database.ts";
import { fingerprintTextFor, type RealRows } from "./real-rows.ts";

const rowsInTransaction = 50_000;

/**
 * Makes a database with so many settled cases in it, as `prefill` does: real rows with other ids, their
 * own fingerprints and their own hash chains, in the tables that the product made.
 */
export async function prefillPostgres(
  address: string,
  receipts: number,
  rows: RealRows,
): Promise<void> {
  const store = openPostgres(address);
  await store.end("default");
  await store.close();
  const { id, fingerprint, claim, settle } = rows;
  const texts = [id, fingerprint, fingerprintTextFor(id), claim.entry, settle.entry, settle.record];
  await onDatabase(address, async (client) => {
    await client.query("SET synchronous_commit = off; SET jit = off");
    await client.query(`CREATE FUNCTION sha(text) RETURNS text LANGUAGE sql
      AS $$ SELECT encode(sha256(convert_to($1, 'UTF8')), 'hex') $$`);
    for (let from = 1; from <= receipts; from += rowsInTransaction) {
      const to = Math.min(receipts, from + rowsInTransaction - 1);
      await client.query(
        `WITH keys AS MATERIALIZED (
           SELECT n, left(translate(encode(sha256(random()::text::bytea), 'base64'), '+/', '-_'), 31) AS key
           FROM generate_series($1::bigint, $2::bigint) AS n
         ), prints AS MATERIALIZED (
           SELECT n, key, sha(replace($5, $3, key)) AS print FROM keys
         ), firsts AS MATERIALIZED (
           SELECT n, key, print, replace(replace($6, $3, key), $4, print) AS first FROM prints
         ), seconds AS MATERIALIZED (
           SELECT n, key, print, first,
             replace(replace(replace($7, $3, key), $4, print), $9, sha(first)) AS second FROM firsts
         ), entries AS (
           INSERT INTO safeagent.journal (position, previous, namespace, text)
           SELECT n * 8, NULL, 'default', first FROM seconds
           UNION ALL SELECT n * 8 + 4, n * 8, 'default', second FROM seconds
         ), bound AS (
           INSERT INTO safeagent.requests (namespace, id, case_id) SELECT 'default', key, key FROM seconds
         )
         INSERT INTO safeagent.cases (place, namespace, id, version, state, action, updated_at, head, last_entry, prior_entry, record)
         SELECT n * 8, 'default', key, 2, 'SETTLED', 'send_email', $10::float8, sha(second), n * 8 + 4, n * 8,
           replace(replace($8, $3, key), $4, print)
         FROM seconds`,
        [from, to, ...texts, claim.head, settle.updatedAt],
      );
    }
    await client.query("VACUUM ANALYZE");
    await client.query("CHECKPOINT");
  });
}

/** Ids that are in a database which was prefilled with so many receipts. */
export function prefilledKeys(
  address: string,
  receipts: number,
  count: number,
): Promise<readonly string[]> {
  const step = Math.max(1, Math.floor(receipts / count));
  return onDatabase(address, async (client) => {
    const { rows } = await client.query(
      `SELECT id FROM safeagent.cases
       WHERE place = ANY (ARRAY(SELECT n * $1 * 8 FROM generate_series(1, $2::bigint) AS n))`,
      [step, Math.min(receipts, count)],
    );
    return rows.map((row) => row.id);
  });
}
