import type { GuardError } from "../core/errors.ts";
import { type Connections, textIn } from "./postgres-client.ts";
import { lastingError, stateOf } from "./postgres-errors.ts";

/** Says of an error for want of a right which one it is, and whose. Other errors come out as they are. */
export async function namingRights<T>(
  connections: Connections,
  schema: string,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw stateOf(error) === "42501" ? await wanting(connections, schema, error) : error;
  }
}

async function wanting(
  connections: Connections,
  schema: string,
  cause: unknown,
): Promise<GuardError> {
  const [row] = await connections.use((connection) =>
    connection.query(
      `SELECT quote_ident(current_user) AS role, quote_ident(current_database()) AS database,
         CASE
           WHEN n.oid IS NULL THEN 'schema'
           WHEN NOT has_schema_privilege(n.oid, 'USAGE') THEN 'usage'
           WHEN NOT EXISTS (SELECT FROM pg_class WHERE relnamespace = n.oid AND relname = 'store') THEN 'tables'
           ELSE 'rows'
         END AS lack
       FROM (SELECT to_regnamespace($1)::oid AS oid) AS n`,
      [schema],
    ),
  );
  const role = textIn(row, "role");
  const database = textIn(row, "database");
  const lack = textIn(row, "lack");
  const detail = cause instanceof Error ? ` (${cause.message})` : "";
  const rows = `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${schema} TO ${role}`;
  const usage = `GRANT USAGE ON SCHEMA ${schema} TO ${role}`;
  const told = (facts: string, next: string): GuardError =>
    lastingError(`The role ${role} ${facts}${detail}.`, next, cause);
  switch (lack) {
    case "schema":
      return told(
        `may make no schema in the database ${database}`,
        `Let a role that may make it: CREATE SCHEMA ${schema} AUTHORIZATION ${role}. Or: GRANT CREATE ON DATABASE ${database} TO ${role}.`,
      );
    case "usage":
      return told(`may not use the schema ${schema}`, `As its owner: ${usage}; ${rows}.`);
    case "tables":
      return told(
        `may make no tables in the schema ${schema}`,
        `Let its owner make them, by running the guard once, or: GRANT CREATE ON SCHEMA ${schema} TO ${role}.`,
      );
  }
  return told(`may not work with the tables in the schema ${schema}`, `As their owner: ${rows}.`);
}
