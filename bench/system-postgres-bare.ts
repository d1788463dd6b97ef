import { Client } from "pg";
import type { RealRow, RealRows } from "./real-rows.ts";
import type { System } from "./system.ts";

const largestBatch = 256;

interface Write {
  readonly place: number;
  readonly id: string;
  readonly row: RealRow;
  resolve(): void;
}

/**
 * The bare limit: the product's two durable writes in two batched statements, claims on one
 * connection and receipts on another, with the same columns and bytes, and nothing else. No canonical
 * JSON, no hash, no policy, no machine, no lease, no compare-and-swap, no list of what is unfinished,
 * no answer for each; a promise for each commit.
 */
export async function bareOnPostgres(
  address: string,
  journal: boolean,
  rows: RealRows,
): Promise<System> {
  const first = await connected(address);
  const second = await connected(address);
  await first.query(`
    CREATE TABLE cases (
      place bigint PRIMARY KEY, namespace text COLLATE "C" NOT NULL, id text COLLATE "C" NOT NULL,
      version bigint NOT NULL, state text NOT NULL, action text COLLATE "C", updated_at double precision NOT NULL,
      head text NOT NULL, last_entry bigint, record text NOT NULL, UNIQUE (namespace, id)
    ) WITH (fillfactor = 45);
    CREATE TABLE journal (
      position bigint PRIMARY KEY, previous bigint, namespace text COLLATE "C" NOT NULL, text text NOT NULL
    )`);
  const batch = "unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[])";
  const claims = group(first, {
    name: "claims",
    text: statement(
      journal,
      batch,
      `INSERT INTO cases (place, namespace, id, version, state, action, updated_at, head, last_entry, record)
       SELECT place, 'default', id, 1, 'EXECUTING', 'send_email', 1763874000123, head, place * 2 - 1, record FROM s`,
      "SELECT place * 2 - 1, NULL::bigint, 'default', entry FROM s",
    ),
  });
  const receipts = group(second, {
    name: "receipts",
    text: statement(
      journal,
      batch,
      `UPDATE cases AS c SET version = 2, state = 'SETTLED', updated_at = 1763874000456,
       head = s.head, last_entry = s.place * 2, record = s.record FROM s WHERE c.place = s.place`,
      "SELECT place * 2, place * 2 - 1, 'default', entry FROM s",
    ),
  });
  let places = 0;
  let effects = 0;

  const effect = async (): Promise<void> => {
    effects += 1;
  };

  return {
    async fresh(id) {
      const place = ++places;
      await claims(place, id, rows.claim);
      await effect();
      await receipts(place, id, rows.settle);
    },
    effects: () => effects,
    async close() {
      await first.end();
      await second.end();
    },
  };
}

async function connected(address: string): Promise<Client> {
  const client = new Client({ connectionString: address });
  await client.connect();
  // A plan that was cached for the empty table would scan it for ever.
  await client.query(
    "SET jit = off; SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off",
  );
  return client;
}

function statement(journal: boolean, batch: string, write: string, entries: string): string {
  const source = `WITH s AS (SELECT * FROM ${batch} AS s (place, id, head, record, entry))`;
  return journal
    ? `${source}, written AS (${write}) INSERT INTO journal (position, previous, namespace, text) ${entries}`
    : `${source} ${write}`;
}

/** Group commit: what comes while a statement is under way goes out with the next one. */
function group(
  client: Client,
  query: { readonly name: string; readonly text: string },
): (place: number, id: string, row: RealRow) => Promise<void> {
  let waiting: Write[] = [];
  let isBusy = false;

  async function flush(): Promise<void> {
    const batch = waiting.slice(0, largestBatch);
    waiting = waiting.slice(largestBatch);
    const values = [
      batch.map(({ place }) => place),
      batch.map(({ id }) => id),
      batch.map(({ row }) => row.head),
      batch.map(({ row }) => row.record),
      batch.map(({ row }) => row.entry),
    ];
    await client.query({ ...query, values });
    for (const { resolve } of batch) resolve();
    next();
  }

  function next(): void {
    isBusy = waiting.length > 0;
    if (isBusy) setImmediate(flush);
  }

  return (place, id, row) =>
    new Promise((resolve) => {
      waiting.push({ place, id, row, resolve });
      if (!isBusy) next();
    });
}
