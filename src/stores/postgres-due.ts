import type { CaseState } from "../core/case.ts";
import type { ListQuery } from "../core/store.ts";
import { settings } from "./postgres-functions.ts";

/** So many due cases are found by when they are due; of more, a page is found by when they were opened. */
const inOrder = 10_000;

/**
 * A page of what is due for a worker (an action's queue) or for a sweep (no action: what is not queued),
 * in the order of opening. What is not due is not looked at, however much there is of it: what the server
 * knows of a table whose rows come and go is old, and the way it would choose by itself leads through all.
 */
export function dueFunction(schema: string): string {
  const queued =
    "l.namespace = space AND l.action = wanted AND l.state = 'FINAL' AND l.due <= due_by";
  const attended =
    "l.namespace = space AND l.state <> 'FINAL' AND l.state = ANY (states) AND l.due <= due_by";
  const page = (isDue: string): string => {
    const first = `FROM ${schema}.unfinished AS l WHERE ${isDue} ORDER BY l.due LIMIT ${inOrder}`;
    return `
    SELECT count(*) INTO many FROM (SELECT ${first}) AS f;
    IF many < ${inOrder} THEN
      RETURN QUERY SELECT f.* FROM (SELECT l.* ${first}) AS f WHERE f.place > behind ORDER BY f.place LIMIT most;
    ELSE
      RETURN QUERY SELECT l.* FROM ${schema}.unfinished AS l WHERE l.place > behind AND ${isDue}
      ORDER BY l.place LIMIT most;
    END IF;`;
  };
  return `
CREATE FUNCTION ${schema}.due_1(
  space text, wanted text, states text[], due_by double precision, behind bigint, most integer
) RETURNS SETOF ${schema}.unfinished LANGUAGE plpgsql STABLE ROWS 100 ${settings}
  SET enable_bitmapscan = off
  SET enable_sort = off
AS $body$
DECLARE
  many bigint;
BEGIN
  IF wanted IS NOT NULL THEN ${page(queued)}
  ELSE ${page(attended)}
  END IF;
END
$body$`;
}

/** A list that the function answers, as its arguments. */
export function dueArguments(query: ListQuery): readonly unknown[] | undefined {
  const { namespace, states, action, updatedBefore, dueBy } = query;
  if (dueBy === undefined || updatedBefore !== undefined || states === undefined) return undefined;
  const isQueue = action !== undefined && states.every((state) => state === queuedState);
  const isSweep = action === undefined && !states.includes(queuedState);
  return isQueue || isSweep ? [namespace, action ?? null, [...states], dueBy] : undefined;
}

const queuedState: CaseState = "FINAL";
