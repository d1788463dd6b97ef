/**
 * The three functions that do the daily work, so that a batch is one statement and one round trip. As
 * functions they carry their own planner settings, whatever the caller's connections are set to, and
 * keep their plans with the server's side of a connection: nothing is prepared by name, and a pooler
 * may stand between.
 */

/** Numbers that one transaction may give to entries and cases, and the room that each has. */
export const entriesPerTransaction = 256;
const room = 4;
const span = entriesPerTransaction * room;

/** The least place that the transaction of a number may give, without the base. */
export function leastPlace(transaction: string): string {
  return `${transaction}::text::bigint * ${span} + ${room}`;
}

/**
 * The place of a new entry in the feed is made of its transaction's number. Numbers of a sequence
 * become visible out of order: a reader that has seen 8 may find 7 later, and miss it. Numbers of
 * transactions tell: below the oldest one that still runs, nothing can appear any more. The feed shows
 * what lies below this horizon, in order, and nobody has to wait in line to commit.
 */
export function horizon(schema: string): string {
  return `((SELECT base FROM ${schema}.store) + ${leastPlace("pg_snapshot_xmin(pg_current_snapshot())")})`;
}

/**
 * A cached plan that was made for an empty table would scan it for ever. Nothing waits long for another
 * transaction's rows: the caller isolates the one that does, and says there how long it may wait.
 */
export const settings = `
  SET search_path = pg_catalog, pg_temp
  SET jit = off
  SET enable_seqscan = off
  SET enable_hashjoin = off
  SET enable_mergejoin = off
  SET plan_cache_mode = force_generic_plan
  SET lock_timeout = '500ms'`;

/** Milliseconds since 1970 by the server's clock. */
export const serverTime = "floor(extract(epoch FROM clock_timestamp()) * 1000)::text";

/** The errors that the functions raise by themselves. */
export const raised = {
  /** A request id was bound elsewhere in the same moment: again, and it is seen. */
  raced: "SA001",
  /** One transaction can't hold more entries. */
  full: "SA002",
  /** A value has a separator in it. */
  torn: "SA003",
  /** The connection leads to another store than before. */
  elsewhere: "SA004",
  /** The transaction is not the one that the steps were meant for. */
  ended: "SA005",
  /** Not all steps of a commit landed. Never leaves the server. */
  half: "SA006",
} as const;

/** The columns of a batch, each a list in one text: what stands between values, and for one that is none. */
export const separator = "\u001e";
export const nothing = "\u001f";

/**
 * Lands steps, each by compare-and-swap, and answers which did (a letter each: `t` or `f`) and what
 * the time is. Steps come sorted by case, so that two batches never wait for each other.
 *
 * Lists, and not arrays: an array's text escapes each quote of each record, which costs both sides
 * more than all the rest. Ids are printable and JSON escapes control characters, so no value has a
 * separator in it; one that had would make its list too long, and be refused.
 *
 * A case's entry comes after its last one even where its transaction began before that one's: there
 * is room for three such entries behind each.
 */
export function landFunction(schema: string): string {
  const list = (name: string): string => `string_to_array(${name}, chr(30), chr(31))`;
  const isBoundElsewhere = `EXISTS (
        SELECT FROM ${schema}.requests AS r WHERE r.namespace = namespaces[n] AND r.id = binds[n] AND r.case_id <> ids[n]
      )`;
  return `
CREATE FUNCTION ${schema}.land_1(
  namespace_list text, id_list text, expected_list text, version_list text, state_list text, action_list text,
  update_list text, due_list text, head_list text, entry_list text, bind_list text, record_list text, home text,
  wait text
) RETURNS TABLE (landed text, at text) LANGUAGE plpgsql ${settings} AS $body$
DECLARE
  namespaces text[] := ${list("namespace_list")};
  ids text[] := ${list("id_list")};
  expecteds bigint[] := ${list("expected_list")}::bigint[];
  versions bigint[] := ${list("version_list")}::bigint[];
  states text[] := ${list("state_list")};
  actions text[] := ${list("action_list")};
  updates double precision[] := ${list("update_list")}::double precision[];
  dues double precision[] := ${list("due_list")}::double precision[];
  heads text[] := ${list("head_list")};
  entries text[] := ${list("entry_list")};
  binds text[] := ${list("bind_list")};
  records text[] := ${list("record_list")};
  size integer := cardinality(ids);
  own boolean := pg_current_xact_id_if_assigned() IS NULL;
  used integer := 0;
  here text;
  start bigint;
  created integer[] := '{}';
  advanced integer[] := '{}';
  winners integer[];
  bound integer;
BEGIN
  IF size <> ANY (ARRAY[
    cardinality(namespaces), cardinality(expecteds), cardinality(versions), cardinality(states), cardinality(actions),
    cardinality(updates), cardinality(dues), cardinality(heads), cardinality(entries), cardinality(binds), cardinality(records)
  ]) THEN
    RAISE EXCEPTION 'a value has a separator in it' USING ERRCODE = '${raised.torn}';
  END IF;
  PERFORM set_config('lock_timeout', wait, true);
  IF current_setting('synchronous_commit') = 'off' THEN
    PERFORM set_config('synchronous_commit', 'on', true);
  END IF;
  IF NOT own THEN
    used := coalesce(nullif(current_setting('safeagent.used', true), ''), '0')::integer;
  END IF;
  IF used + size > ${entriesPerTransaction} THEN
    RAISE EXCEPTION 'one transaction holds at most ${entriesPerTransaction} steps' USING ERRCODE = '${raised.full}';
  END IF;
  PERFORM set_config('safeagent.used', (used + size)::text, true);
  SELECT id, base + pg_current_xact_id()::text::bigint * ${span} + used * ${room} INTO STRICT here, start
  FROM ${schema}.store;
  IF here IS DISTINCT FROM home THEN
    RAISE EXCEPTION 'the store is another one' USING ERRCODE = '${raised.elsewhere}';
  END IF;

  IF 0 = ANY (expecteds) THEN
    WITH done AS (
      INSERT INTO ${schema}.cases
        (place, namespace, id, version, state, action, updated_at, head, last_entry, record)
      SELECT start + n * ${room}, namespaces[n], ids[n], versions[n], states[n], actions[n], updates[n], heads[n],
        CASE WHEN entries[n] IS NOT NULL THEN start + n * ${room} END, records[n]
      FROM generate_series(1, size) AS n
      WHERE expecteds[n] = 0 AND NOT ${isBoundElsewhere}
      ON CONFLICT (namespace, id) DO NOTHING
      RETURNING place, ((place - start) / ${room})::integer AS n
    ), entered AS (
      INSERT INTO ${schema}.journal (position, namespace, text)
      SELECT place, namespaces[n], entries[n] FROM done WHERE entries[n] IS NOT NULL
    ), listed AS (
      INSERT INTO ${schema}.unfinished (place, namespace, action, state, due)
      SELECT place, namespaces[n], actions[n], states[n], dues[n] FROM done WHERE states[n] NOT IN ('SETTLED', 'VOID', 'RETIRED')
    )
    SELECT coalesce(array_agg(n), '{}') INTO created FROM done;
  END IF;

  IF 0 < ANY (expecteds) THEN
    WITH done AS (
      UPDATE ${schema}.cases AS c SET
        version = versions[n], state = states[n], action = actions[n], updated_at = updates[n], head = heads[n],
        record = records[n], prior_entry = c.last_entry,
        last_entry = CASE
          WHEN states[n] = 'RETIRED' THEN NULL
          WHEN entries[n] IS NULL THEN c.last_entry
          ELSE greatest(start + n * ${room}, c.last_entry + 1)
        END
      FROM generate_series(1, size) AS n
      WHERE expecteds[n] > 0 AND c.namespace = namespaces[n] AND c.id = ids[n] AND c.version = expecteds[n]
        AND (entries[n] IS NULL OR c.last_entry IS NULL OR c.last_entry < start OR c.last_entry % ${room} < ${room - 1})
        AND NOT ${isBoundElsewhere}
      RETURNING n, c.place, c.last_entry, c.prior_entry
    ), entered AS (
      INSERT INTO ${schema}.journal (position, previous, namespace, text)
      SELECT last_entry, prior_entry, namespaces[n], entries[n] FROM done WHERE entries[n] IS NOT NULL
    ), listed AS (
      INSERT INTO ${schema}.unfinished (place, namespace, action, state, due)
      SELECT place, namespaces[n], actions[n], states[n], dues[n] FROM done WHERE states[n] NOT IN ('SETTLED', 'VOID', 'RETIRED')
      ON CONFLICT (place) DO UPDATE SET action = excluded.action, state = excluded.state, due = excluded.due
    ), unlisted AS (
      DELETE FROM ${schema}.unfinished AS u USING done WHERE u.place = done.place AND states[n] IN ('SETTLED', 'VOID')
    )
    SELECT coalesce(array_agg(n), '{}') INTO advanced FROM done;
  END IF;

  winners := created || advanced;

  IF EXISTS (SELECT FROM unnest(winners) AS n WHERE binds[n] IS NOT NULL) THEN
    INSERT INTO ${schema}.requests (namespace, id, case_id)
    SELECT namespaces[n], binds[n], ids[n] FROM unnest(winners) AS n WHERE binds[n] IS NOT NULL
    ORDER BY 1, 2
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS bound = ROW_COUNT;
    IF bound < (SELECT count(binds[n]) FROM unnest(winners) AS n) AND EXISTS (
      SELECT FROM unnest(winners) AS n WHERE binds[n] IS NOT NULL AND NOT EXISTS (
        SELECT FROM ${schema}.requests AS r WHERE r.namespace = namespaces[n] AND r.id = binds[n] AND r.case_id = ids[n]
      )
    ) THEN
      RAISE EXCEPTION 'a request id was bound elsewhere meanwhile' USING ERRCODE = '${raised.raced}';
    END IF;
  END IF;

  IF 'RETIRED' = ANY (states) THEN
    DELETE FROM ${schema}.journal WHERE position IN (
      WITH RECURSIVE chain AS (
        SELECT j.position, j.previous FROM unnest(winners) AS n
        JOIN ${schema}.cases AS c ON c.namespace = namespaces[n] AND c.id = ids[n]
        JOIN ${schema}.journal AS j ON j.position = c.prior_entry
        WHERE states[n] = 'RETIRED'
        UNION ALL
        SELECT j.position, j.previous FROM chain JOIN ${schema}.journal AS j
        ON j.position = chain.previous AND j.position < chain.position
      ) SELECT position FROM chain
    );
  END IF;

  landed := CASE WHEN cardinality(winners) = size THEN repeat('t', size) ELSE (
    SELECT string_agg(CASE WHEN n = ANY (winners) THEN 't' ELSE 'f' END, '' ORDER BY n) FROM generate_series(1, size) AS n
  ) END;
  at := ${serverTime};
  RETURN NEXT;
END
$body$`;
}

/** How many lists a call of `land_1` takes. */
const listsOfWave = 12;

/**
 * Lands several steps together or not at all, in a transaction that others write in as well: what is
 * refused or fails leaves no trace, and the transaction goes on. A savepoint of the client's would take
 * three statements, and between them come those of whoever shares the connection.
 *
 * Steps of one case come one after the other: `waves` has the lists of those that land first, then of
 * the next ones. `number` is the transaction's, where it is known: an effect may have ended its own,
 * and begun another.
 */
export function landWholeFunction(schema: string): string {
  const wave = Array.from(
    { length: listsOfWave },
    (_, index) => `waves[n * ${listsOfWave} + ${index + 1}]`,
  );
  return `
CREATE FUNCTION ${schema}.land_whole_1(waves text[], home text, number text)
RETURNS TABLE (landed text, at text, failed text, detail text) LANGUAGE plpgsql ${settings} AS $body$
DECLARE
  letters text;
BEGIN
  IF number IS NOT NULL AND number <> pg_current_xact_id()::text THEN
    RAISE EXCEPTION 'the transaction has ended' USING ERRCODE = '${raised.ended}';
  END IF;
  BEGIN
    FOR n IN 0 .. cardinality(waves) / ${listsOfWave} - 1 LOOP
      SELECT l.landed, l.at INTO STRICT letters, at FROM ${schema}.land_1(
        ${wave.join(", ")}, home, current_setting('lock_timeout')
      ) AS l;
      IF letters LIKE '%f%' THEN
        RAISE EXCEPTION 'not all of the steps landed' USING ERRCODE = '${raised.half}';
      END IF;
    END LOOP;
    landed := 't';
  EXCEPTION
    WHEN SQLSTATE '${raised.half}' THEN
      landed := 'f';
    WHEN OTHERS THEN
      GET STACKED DIAGNOSTICS failed = RETURNED_SQLSTATE, detail = MESSAGE_TEXT;
  END;
  RETURN NEXT;
END
$body$`;
}

/**
 * Reads cases by their ids, or by the requests that are bound to them: one row for each that was asked
 * for, in one view. On a standby it refuses: what it shows may be old.
 */
export function findFunction(schema: string): string {
  return `
CREATE FUNCTION ${schema}.find_1(namespaces text[], ids text[], requests text[], home text)
RETURNS TABLE (
  n text, bound text, namespace text, id text, version text, state text, action text, updated_at text,
  head text, record text, at text
) LANGUAGE plpgsql STABLE ${settings} AS $body$
BEGIN
  IF pg_is_in_recovery() THEN
    RAISE EXCEPTION 'the server is a standby' USING ERRCODE = 'read_only_sql_transaction';
  END IF;
  IF NOT EXISTS (SELECT FROM ${schema}.store AS s WHERE s.id = home) THEN
    RAISE EXCEPTION 'the store is another one' USING ERRCODE = '${raised.elsewhere}';
  END IF;
  RETURN QUERY
  SELECT s.n::text, r.case_id::text, c.namespace::text, c.id::text, c.version::text, c.state, c.action::text,
    c.updated_at::text, c.head, c.record, ${serverTime}
  FROM unnest(namespaces, ids, requests) WITH ORDINALITY AS s(namespace, id, request, n)
  LEFT JOIN ${schema}.requests AS r ON r.namespace = s.namespace AND r.id = s.request
  LEFT JOIN ${schema}.cases AS c ON c.namespace = s.namespace AND c.id = coalesce(s.id, r.case_id);
END
$body$`;
}
