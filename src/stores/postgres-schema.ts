import { GuardError } from "../core/errors.ts";
import { type Connection, type Connections, numberIn, textIn } from "./postgres-client.ts";
import { dueFunction } from "./postgres-due.ts";
import { isOfOtherShape, isThereAlready, lastingError } from "./postgres-errors.ts";
import { findFunction, landFunction, landWholeFunction, leastPlace } from "./postgres-functions.ts";
import { namingRights } from "./postgres-rights.ts";

/**
 * Each brings the schema one version on; a released one is never changed. Functions carry the version
 * of their migration in their names, so that processes of two versions work beside each other.
 *
 * - `cases.place` and `journal.position` come from the number of their transaction: see `horizon` in
 *   `postgres-functions.ts` for what that is good for.
 * - `unfinished` lists the cases that a sweep, a worker or an operator may have to look at. Its rows come
 *   and go, which costs less than an index over the cases, and lets an update of a case leave all indexes
 *   alone. A worker finds what is due for its action, and a sweep what is due but not queued, however long
 *   the queue is; a case that is run at once costs no entry in the index of the queue.
 * - `cases` leaves more than half of each page free: a settled record is larger than its claim, and where it
 *   finds no room on its page, each index gets an entry more.
 * - `journal.previous` links a case's entries, so its history needs no index.
 * - `store.oldest` is the oldest version that can still work with this schema.
 */
const migrations: readonly ((schema: string) => string)[] = [
  (schema) => `
    CREATE TABLE ${schema}.cases (
      place bigint PRIMARY KEY,
      namespace text COLLATE "C" NOT NULL,
      id text COLLATE "C" NOT NULL,
      version bigint NOT NULL,
      state text NOT NULL,
      action text COLLATE "C",
      updated_at double precision NOT NULL,
      head text NOT NULL,
      last_entry bigint,
      prior_entry bigint,
      record text NOT NULL,
      UNIQUE (namespace, id)
    ) WITH (fillfactor = 45);
    CREATE TABLE ${schema}.unfinished (
      place bigint PRIMARY KEY,
      namespace text COLLATE "C" NOT NULL,
      action text COLLATE "C",
      state text NOT NULL,
      due double precision
    );
    CREATE INDEX queued ON ${schema}.unfinished (namespace, action, due) WHERE state = 'FINAL';
    CREATE INDEX attended ON ${schema}.unfinished (namespace, due) WHERE state <> 'FINAL';
    CREATE TABLE ${schema}.requests (
      namespace text COLLATE "C" NOT NULL,
      id text COLLATE "C" NOT NULL,
      case_id text COLLATE "C" NOT NULL,
      PRIMARY KEY (namespace, id)
    );
    CREATE TABLE ${schema}.journal (
      position bigint PRIMARY KEY,
      previous bigint,
      namespace text COLLATE "C" NOT NULL,
      text text NOT NULL
    );
    ${landFunction(schema)};
    ${landWholeFunction(schema)};
    ${findFunction(schema)};
    ${dueFunction(schema)};`,
];

const schemaVersion: number = migrations.length;
/** The oldest version whose processes may go on working with this schema. */
const oldestVersion = 1;

/** Letters, digits and underscores: nothing that could end the quotes around it. */
const plainName = /^[a-z_][a-z0-9_]{0,62}$/;
/** The server's own. */
const takenName = /^(pg_|information_schema$)/;

/** The name of a schema as statements have it: in quotes, since it may be a word of SQL's. */
export function schemaName(name: string): string {
  if (!plainName.test(name)) {
    throw new GuardError(
      "invalid_request",
      "A schema's name has 1 to 63 small letters, digits and underscores, and begins with no digit.",
    );
  }
  if (takenName.test(name)) {
    throw new GuardError("invalid_request", `The schema ${name} is the server's own.`, {
      next: "Give the guard a schema of its own.",
    });
  }
  return `"${name}"`;
}

/**
 * Brings the schema up to date, or refuses it. Of many processes that try at once, one does it and the
 * others find it done.
 */
export function migrate(connections: Connections, schema: string): Promise<string> {
  return namingRights(connections, schema, () => foundOrMade(connections, schema));
}

async function foundOrMade(connections: Connections, schema: string): Promise<string> {
  const found = await connections.use(async (connection) => {
    if (!connections.isEmbedded) await checkServer(connection);
    if ((await ageOf(connection, schema)) !== "current") return undefined;
    await checkNumbers(connection, schema);
    return idOf(connection, schema);
  });
  if (found !== undefined) return found;
  for (let tries = 0; ; tries += 1) {
    try {
      return await migrateAlone(connections, schema);
    } catch (error) {
      // A session may still believe, from before it waited, that there is nothing: another one knows.
      if (!isThereAlready(error) || tries === mostTries) throw error;
    }
  }
}

const mostTries = 5;

async function migrateAlone(connections: Connections, schema: string): Promise<string> {
  const { result } = await connections.transaction(async (connection) => {
    await connection.query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))::text", [
      `safeagent ${schema}`,
    ]);
    if ((await ageOf(connection, schema)) !== "current") await bringUpToDate(connection, schema);
    await checkNumbers(connection, schema);
    return idOf(connection, schema);
  });
  return result;
}

/**
 * Looks at a new connection of a store that is at work: an address may lead to another server by now,
 * a standby, one that was restored, or an empty one, in which everything would be done again.
 */
export async function inspect(connection: Connection, schema: string, id: string): Promise<void> {
  await checkServer(connection);
  const age = await ageOf(connection, schema);
  if (age === "absent" || (await idOf(connection, schema)) !== id) {
    throw new GuardError("store_corrupt", "The database is another one than before.", {
      next: "Connect to the one that holds the cases; start the process anew to work with another.",
    });
  }
  await checkNumbers(connection, schema);
}

async function idOf(connection: Connection, schema: string): Promise<string> {
  const [row] = await connection.query(`SELECT id FROM ${schema}.store`);
  return textIn(row, "id");
}

/**
 * Refuses a server that would acknowledge what a crash can take away, or that can't keep the text as it
 * is. Only a standby may become something else while a call waits.
 */
async function checkServer(connection: Connection): Promise<void> {
  const [row] = await connection.query(
    `SELECT current_setting('fsync') AS fsync, current_setting('server_encoding') AS encoding,
     pg_is_in_recovery()::text AS standby, current_setting('transaction_read_only') AS shut,
     current_user::text AS role, current_database()::text AS database`,
  );
  if (row?.standby === "true") {
    throw new GuardError("store_unavailable", "The server is a standby: it can't be written.", {
      next: "Connect to the primary.",
    });
  }
  if (row?.shut === "on") {
    throw lastingError(
      `Transactions of the role "${row.role}" are read-only: default_transaction_read_only is on.`,
      `Set it off, for the server or for the role: ALTER ROLE "${row.role}" SET default_transaction_read_only = off.`,
    );
  }
  if (row?.fsync !== "on") {
    throw lastingError(
      `The server doesn't keep what it acknowledges: fsync is ${row?.fsync}.`,
      "Set fsync = on.",
    );
  }
  if (row.encoding !== "UTF8") {
    throw lastingError(
      `The encoding of the database "${row.database}" is ${row.encoding}; UTF8 is needed.`,
      "Give the guard a database that was made with ENCODING 'UTF8'.",
    );
  }
}

type SchemaAge = "absent" | "older" | "current";

async function ageOf(connection: Connection, schema: string): Promise<SchemaAge> {
  const [found] = await connection.query("SELECT to_regclass($1)::text AS name", [
    `${schema}.store`,
  ]);
  if (found?.name === null) return "absent";
  const [row] = await connection
    .query(
      `SELECT version::text AS version, oldest::text AS oldest, base::text FROM ${schema}.store`,
    )
    .catch((error: unknown) => {
      throw isOfOtherShape(error) ? foreign(schema, "store", error) : error;
    });
  const version = numberIn(row, "version");
  if (numberIn(row, "oldest") > schemaVersion) {
    throw new GuardError(
      "store_outdated",
      `The database has schema ${version}; this version of SafeAgent knows ${schemaVersion}.`,
    );
  }
  return version < schemaVersion ? "older" : "current";
}

async function bringUpToDate(connection: Connection, schema: string): Promise<void> {
  const [found] = await connection.query("SELECT to_regnamespace($1)::text AS name", [schema]);
  // Only where there is none: the server asks for the right to make one before it looks.
  if (found?.name === null) await connection.query(`CREATE SCHEMA IF NOT EXISTS ${schema}`);
  await connection.query(
    `CREATE TABLE IF NOT EXISTS ${schema}.store (
       one integer PRIMARY KEY CHECK (one = 1),
       id text NOT NULL,
       version integer NOT NULL,
       oldest integer NOT NULL,
       base bigint NOT NULL
     )`,
  );
  await connection.query(
    `INSERT INTO ${schema}.store VALUES (1, gen_random_uuid()::text, 0, 0, 0) ON CONFLICT DO NOTHING`,
  );
  const [row] = await connection.query(`SELECT version::text AS version FROM ${schema}.store`);
  const from = numberIn(row, "version");
  if (from === 0) await checkOwn(connection, schema);
  for (const migration of migrations.slice(from)) {
    for (const statement of statementsOf(migration(schema))) await connection.query(statement);
  }
  await connection.query(`UPDATE ${schema}.store SET version = $1, oldest = $2`, [
    schemaVersion,
    oldestVersion,
  ]);
}

/** Another program's tables are left as they are. */
async function checkOwn(connection: Connection, schema: string): Promise<void> {
  const [other] = await connection.query(
    `SELECT relname::text AS name FROM pg_class
     WHERE relnamespace = to_regnamespace($1) AND relname = ANY ($2::text[]) ORDER BY 1 LIMIT 1`,
    [schema, ["cases", "unfinished", "requests", "journal"]],
  );
  if (other !== undefined) throw foreign(schema, textIn(other, "name"));
}

function foreign(schema: string, table: string, cause?: unknown): GuardError {
  const facts = `The schema ${schema} holds another program's tables: "${table}" is not the guard's.`;
  return new GuardError("store_outdated", facts, { next: "Choose another schema.", cause });
}

/** A semicolon at the end of a line ends a statement, but for those between the dollars of a function. */
function statementsOf(sql: string): string[] {
  const parts = sql.split("$body$");
  const ended = parts.map((part, index) => (index % 2 === 0 ? part.replace(/;$/gm, "\0") : part));
  const statements = ended.join("$body$").split("\0");
  return statements.map((statement) => statement.trim()).filter((statement) => statement !== "");
}

/**
 * Positions are counted from the numbers of transactions. Those begin anew in a server that a dump was
 * restored in: what comes next must still come after all that is there.
 */
async function checkNumbers(connection: Connection, schema: string): Promise<void> {
  await connection.query(
    `UPDATE ${schema}.store SET base = latest.at - latest.at % 1024
     FROM (SELECT greatest(
       (SELECT max(position) FROM ${schema}.journal), (SELECT max(place) FROM ${schema}.cases)
     ) AS at) AS latest
     WHERE latest.at >= base + ${leastPlace("pg_snapshot_xmax(pg_current_snapshot())")}`,
  );
}
