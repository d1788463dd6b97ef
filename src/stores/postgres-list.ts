import type { ListQuery } from "../core/store.ts";
import { dueArguments } from "./postgres-due.ts";
import { horizon } from "./postgres-functions.ts";
import { isOfUnfinished, placeOf } from "./row.ts";

/** Of a case, called `c`. */
export const columns = `c.place::text, c.namespace::text, c.id::text, c.version::text, c.state, c.action::text,
  c.updated_at::text, c.head, c.record`;

interface Statement {
  readonly text: string;
  readonly values: unknown[];
}

/** A page of cases in the order of opening, each with whether nothing can appear before it any more. */
export function listStatement(schema: string, query: ListQuery, limit: number): Statement {
  const { namespace, states, action, updatedBefore, dueBy, after } = query;
  const certain = `(c.place < ${horizon(schema)})::text AS certain`;
  /** With what the list of the unfinished says of each case. */
  const listed = (from: string): string =>
    `SELECT ${columns}, ${certain}, u.due::text, (u.namespace = c.namespace AND u.state = c.state
       AND u.action IS NOT DISTINCT FROM c.action)::text AS agrees
     FROM ${from} AS u LEFT JOIN ${schema}.cases AS c ON c.place = u.place`;
  const due = dueArguments(query);
  if (due !== undefined) {
    const text = `${listed(`${schema}.due_1($1, $2, $3, $4, $5, $6)`)} ORDER BY u.place`;
    return { text, values: [...due, placeOf(after), limit] };
  }
  const isUnfinished = isOfUnfinished(query);
  const values: unknown[] = [];
  const wheres: string[] = [];
  const where = (term: (place: string) => string, value: unknown): void => {
    values.push(value);
    wheres.push(term(`$${values.length}`));
  };
  const from = isUnfinished ? "u" : "c";
  where((place) => `${from}.namespace = ${place}`, namespace);
  where((place) => `${from}.place > ${place}`, placeOf(after));
  if (states !== undefined) where((place) => `${from}.state = ANY (${place}::text[])`, [...states]);
  if (action !== undefined) where((place) => `${from}.action = ${place}`, action);
  if (updatedBefore !== undefined) where((place) => `c.updated_at < ${place}`, updatedBefore);
  if (dueBy !== undefined) where((place) => `u.due <= ${place}`, dueBy);
  values.push(limit);
  const select = isUnfinished
    ? listed(`${schema}.unfinished`)
    : `SELECT ${columns}, ${certain} FROM ${schema}.cases AS c`;
  const page = `ORDER BY ${from}.place LIMIT $${values.length}`;
  return { text: `${select} WHERE ${wheres.join(" AND ")} ${page}`, values };
}
