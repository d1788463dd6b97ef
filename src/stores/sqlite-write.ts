import type { DatabaseSync, SQLOutputValue, StatementSync } from "node:sqlite";
import type { Case } from "../core/case.ts";
import { dueAt, type Step } from "../core/store.ts";
import { caseText } from "./record.ts";
import { checkIdentity } from "./sqlite-file.ts";
import type { Connection } from "./sqlite-open.ts";
import { rollback } from "./sqlite-schema.ts";

export type Value = string | number | null;

/** Commits as one flat list: cheap to hand to another thread, and bound to statements as it is. */
export interface Batch {
  /** How many steps each commit has. */
  readonly sizes: readonly number[];
  /** The steps of all commits, `stepWidth` values each. */
  readonly values: readonly Value[];
}

const stepWidth = 12;

const finishedStates: ReadonlySet<string> = new Set(["SETTLED", "VOID", "RETIRED"]);

/** A commit's steps as values. Taken at the call, so that nothing changes them while they wait. */
export function stepValues(steps: readonly Step[]): Value[] {
  const [only, ...rest] = steps;
  if (only === undefined) return [];
  return rest.length === 0 ? valuesOf(only) : steps.flatMap(valuesOf);
}

function valuesOf({ expected, next, head, entry, bind }: Step): Value[] {
  return [
    next.namespace,
    next.caseId,
    expected,
    next.version,
    next.state,
    actionOf(next),
    next.updatedAt,
    dueAt(next),
    head,
    entry,
    bind,
    caseText(next),
  ];
}

function actionOf(kase: Case): string | null {
  return kase.state === "RETIRED" ? null : (kase.intent?.action ?? null);
}

export interface Writer {
  /**
   * One transaction for all commits, each true or false by itself. Throws as SQLite does; then none
   * has landed, except where the disk failed in the very end.
   */
  write(batch: Batch): boolean[];
}

/** The transaction that both threads share. */
export function prepareWriter(connection: Connection): Writer {
  const { db, path, file } = connection;
  const begin = db.prepare("BEGIN IMMEDIATE");
  const commit = db.prepare("COMMIT");
  const landing = prepareLanding(db);

  return {
    write({ sizes, values }) {
      begin.run();
      try {
        checkIdentity(path, file);
        const results = landing.land(values, sizes);
        commit.run();
        return results;
      } catch (error) {
        rollback(db);
        throw error;
      }
    },
  };
}

/** The steps of commits, within a transaction that others begin and end. */
export interface Landing {
  /** Each commit lands whole or not at all. Where it throws, the transaction must be taken back. */
  land(values: readonly Value[], sizes: readonly number[]): boolean[];
}

export function prepareLanding(db: DatabaseSync): Landing {
  const landOne = prepareStep(db);
  const position = db.prepare(
    `SELECT max((SELECT feed FROM store), coalesce((SELECT max(position) FROM journal), 0)) AS at`,
  );
  const keepPosition = db.prepare("UPDATE store SET feed = ?");

  function landAll(values: readonly Value[], start: number, size: number, feed: Feed): boolean {
    if (size === 1) return landOne(values, start, feed);
    const before = feed.position;
    db.exec("SAVEPOINT steps");
    for (let step = 0; step < size; step += 1) {
      if (landOne(values, start + step * stepWidth, feed)) continue;
      db.exec("ROLLBACK TO steps; RELEASE steps");
      feed.position = before;
      return false;
    }
    db.exec("RELEASE steps");
    return true;
  }

  return {
    land(values, sizes) {
      const feed: Feed = { position: position.get()?.at as number, pruned: false };
      let start = 0;
      const results = sizes.map((size) => {
        const landed = landAll(values, start, size, feed);
        start += size * stepWidth;
        return landed;
      });
      if (feed.pruned) keepPosition.run(feed.position);
      return results;
    },
  };
}

/** The place of the last journal entry, inside a transaction. */
interface Feed {
  position: number;
  /** Entries were deleted: the position must be kept apart, or the numbers of the last ones come back. */
  pruned: boolean;
}

type Land = (values: readonly Value[], at: number, feed: Feed) => boolean;

/** One step. It writes nothing before it has checked everything: a step that is refused leaves no trace. */
function prepareStep(db: DatabaseSync): Land {
  const bindings = prepareBindings(db.prepare.bind(db));
  const find = db.prepare(
    "SELECT place, version, state, own_request, last_entry FROM cases WHERE namespace = ? AND id = ?",
  );
  const insert = db.prepare(
    `INSERT INTO cases (namespace, id, version, state, action, updated_at, head, own_request, last_entry, record)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
  );
  const update = db.prepare(
    `UPDATE cases SET version = ?, state = ?, action = ?, updated_at = ?, head = ?,
     last_entry = ?, record = ? WHERE place = ?`,
  );
  const attend = db.prepare(
    "INSERT INTO unfinished (place, due) VALUES (?, ?) ON CONFLICT DO UPDATE SET due = excluded.due",
  );
  const finish = db.prepare("DELETE FROM unfinished WHERE place = ?");
  const journal = db.prepare(
    "INSERT INTO journal (position, previous, namespace, text) VALUES (?, ?, ?, ?)",
  );
  const unjournal = db.prepare(
    `DELETE FROM journal WHERE position IN (
       WITH RECURSIVE chain (position, previous) AS (
         SELECT position, previous FROM journal WHERE position = ?
         UNION ALL
         SELECT older.position, older.previous FROM chain JOIN journal AS older
         ON older.position = chain.previous AND older.position < chain.position
       ) SELECT position FROM chain)`,
  );

  function create(values: readonly Value[], at: number, feed: Feed): boolean {
    const [namespace, id, , version, state, action, updatedAt, due, head, entry, bind, record] =
      slice(values, at);
    const binding = bind === null ? "bound" : bindings.find(namespace, bind, id);
    if (binding === "elsewhere") return false;
    const own = binding === "free" && bind === id;
    const last = entry === null ? null : feed.position + 1;
    const { changes, lastInsertRowid: place } = insert.run(
      ...([
        namespace,
        id,
        version,
        state,
        action,
        updatedAt,
        head,
        own ? 1 : 0,
        last,
        record,
      ] as const),
    );
    if (changes === 0) return false;
    if (!finishedStates.has(state)) attend.run(place, due);
    if (binding === "free" && !own) bindings.add(namespace, bind, id);
    if (last !== null) {
      feed.position = last;
      journal.run(last, null, namespace, entry);
    }
    return true;
  }

  function advance(values: readonly Value[], at: number, feed: Feed): boolean {
    const [
      namespace,
      id,
      expected,
      version,
      state,
      action,
      updatedAt,
      due,
      head,
      entry,
      bind,
      record,
    ] = slice(values, at);
    const row = find.get(namespace, id);
    if (row === undefined || row.version !== expected) return false;
    const previous = row.last_entry as number | null;
    const isOwn = bind === null || (bind === id && row.own_request === 1);
    const binding = isOwn ? "bound" : bindings.find(namespace, bind, id);
    if (binding === "elsewhere") return false;
    if (binding === "free") bindings.add(namespace, bind, id);
    let last = previous;
    if (state === "RETIRED") {
      unjournal.run(previous);
      feed.pruned = true;
      last = null;
    }
    if (entry !== null) {
      last = feed.position += 1;
      journal.run(last, previous, namespace, entry);
    }
    const place = row.place as number;
    update.run(version, state, action, updatedAt, head, last, record, place);
    if (!finishedStates.has(state)) attend.run(place, due);
    else if (!finishedStates.has(row.state as string)) finish.run(place);
    return true;
  }

  return (values, at, feed) =>
    values[at + 2] === 0 ? create(values, at, feed) : advance(values, at, feed);
}

type StepValues = readonly [
  namespace: string,
  id: string,
  expected: number,
  version: number,
  state: string,
  action: string | null,
  updatedAt: number,
  due: number | null,
  head: string,
  entry: string | null,
  bind: string | null,
  record: string,
];

function slice(values: readonly Value[], at: number): StepValues {
  // Written by `stepValues`, in this order.
  return values.slice(at, at + stepWidth) as unknown as StepValues;
}

interface Bindings {
  find(namespace: string, request: string, id: string): "free" | "bound" | "elsewhere";
  add(namespace: string, request: string | null, id: string): void;
}

/**
 * Which case a request id is bound to. Bindings live in two places: in `requests`, and as a flag on a
 * case that was made by the request of its own name.
 */
function prepareBindings(prepare: (sql: string) => StatementSync): Bindings {
  const find = prepare("SELECT case_id FROM requests WHERE namespace = ? AND id = ?");
  const findOwn = prepare(
    "SELECT 1 AS found FROM cases WHERE namespace = ? AND id = ? AND own_request = 1",
  );
  const insert = prepare("INSERT INTO requests (namespace, id, case_id) VALUES (?, ?, ?)");
  return {
    find(namespace, request, id) {
      const bound: SQLOutputValue | undefined = find.get(namespace, request)?.case_id;
      if (bound !== undefined) return bound === id ? "bound" : "elsewhere";
      // Its own name: the caller knows the case's flag, or makes the case now.
      if (request === id) return "free";
      return findOwn.get(namespace, request) === undefined ? "free" : "elsewhere";
    },
    add(namespace, request, id) {
      insert.run(namespace, request, id);
    },
  };
}
