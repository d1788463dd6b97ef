import { createHash } from "node:crypto";
import type { DatabaseSync } from "node:sqlite";
import type { Chance } from "../../src/testing/chance.ts";

/** Damage to rows, done through SQL: the file itself stays as sound as SQLite makes it. */
export type RowHarm = (
  db: DatabaseSync,
  chance: Chance,
) => { readonly what: string; readonly position: number | undefined };

interface Column {
  readonly table: string;
  readonly place: string;
  readonly column: string;
}

const columns: readonly Column[] = [
  ...of("cases", "place", "record", "record", "record", "head", "last_entry", "own_request"),
  ...of("cases", "place", "namespace", "id", "version", "state", "action", "updated_at"),
  ...of("journal", "position", "text", "text", "text", "previous", "namespace", "position"),
  ...of("requests", "place", "case_id", "id", "namespace"),
  ...of("unfinished", "place", "due", "place"),
];

function of(table: string, place: string, ...names: readonly string[]): readonly Column[] {
  return names.map((column) => ({ table, place, column }));
}

/** What two rows have of one kind, exchanged. */
export const swap: RowHarm = (db, chance) => {
  const swappable = columns.filter(({ column, place }) => column !== place);
  for (;;) {
    const { table, place, column } = chance.pick(swappable);
    const [one, other] = [rowOf(db, chance, table, place), rowOf(db, chance, table, place)];
    if (one[column] === other[column]) continue;
    const isDone = attempt(db, () => {
      const free = `UPDATE ${table} SET ${column} = ? WHERE ${place} = ?`;
      // A unique column can't have the same value twice, not even between two statements.
      if (column === "id") db.prepare(free).run("between", one[place] as number);
      db.prepare(free).run(one[column] as string, other[place] as number);
      db.prepare(free).run(other[column] as string, one[place] as number);
    });
    const which = `${table}.${column} of ${place} ${one[place]} and ${other[place]}`;
    if (isDone) return { what: `swapped ${which}`, position: undefined };
  }
};

export const remove: RowHarm = (db, chance) => {
  const tables = [
    ["cases", "place"],
    ["journal", "position"],
    ["requests", "place"],
    ["unfinished", "place"],
  ] as const;
  const [table, place] = chance.pick(tables);
  const row = rowOf(db, chance, table, place);
  db.prepare(`DELETE FROM ${table} WHERE ${place} = ?`).run(row[place] as number);
  return { what: `deleted ${table} ${row[place]}`, position: undefined };
};

/** One value of one row, to something that the column may hold. */
export const change: RowHarm = (db, chance) => {
  for (;;) {
    const { table, place, column } = chance.pick(columns);
    const row = rowOf(db, chance, table, place);
    const value = changed(row[column] as string | number | null, column, chance);
    if (value === row[column]) continue;
    const isDone = attempt(db, () =>
      db
        .prepare(`UPDATE ${table} SET ${column} = ? WHERE ${place} = ?`)
        .run(value, row[place] as number),
    );
    if (!isDone) continue;
    const position = column === "text" ? (row.position as number) : undefined;
    return { what: `changed ${table}.${column} of ${place} ${row[place]}`, position };
  }
};

/** Rows that nobody wrote, each as right as one can make it without writing a whole chain anew. */
export const forge: RowHarm = (db, chance) => {
  const forgery = chance.pick(forgeries);
  return { what: forgery(db, chance), position: undefined };
};

const forgeries: readonly ((db: DatabaseSync, chance: Chance) => string)[] = [
  function entryBehindTheLast(db, chance) {
    const { at, kase } = forgedEntry(db, chance);
    return `an entry at position ${at}, of case ${kase.id}, that its row doesn't know`;
  },
  function entryAndItsHead(db, chance) {
    const { at, kase, head } = forgedEntry(db, chance);
    db.prepare("UPDATE cases SET last_entry = ?, head = ? WHERE place = ?").run(
      at,
      head,
      kase.place as number,
    );
    return `an entry at position ${at}, of case ${kase.id}, and its head`;
  },
  function entryTwice(db, chance) {
    const entry = rowOf(db, chance, "journal", "position");
    const at = lastPosition(db) + 1;
    db.prepare("INSERT INTO journal (position, previous, namespace, text) VALUES (?, ?, ?, ?)").run(
      at,
      entry.previous as number | null,
      entry.namespace as string,
      entry.text as string,
    );
    return `entry ${entry.position} again at position ${at}`;
  },
  function caseUnderAnotherId(db, chance) {
    const kase = rowOf(db, chance, "cases", "place");
    const record = JSON.stringify({ ...JSON.parse(String(kase.record)), caseId: "forged" });
    db.prepare(
      `INSERT INTO cases (namespace, id, version, state, action, updated_at, own_request, head, last_entry, record)
       SELECT namespace, 'forged', version, state, action, updated_at, 0, head, last_entry, ? FROM cases WHERE place = ?`,
    ).run(record, kase.place as number);
    return `case ${kase.id} again under another id`;
  },
  function caseToAttendTo(db, chance) {
    const ended = "SELECT place FROM cases WHERE state IN ('SETTLED', 'VOID', 'RETIRED')";
    const places = db.prepare(ended).all();
    const place = places[chance.below(places.length)]?.place as number;
    db.prepare("INSERT INTO unfinished (place, due) VALUES (?, ?)").run(
      place,
      chance.below(2) || null,
    );
    return `case ${place} in the list of unfinished ones`;
  },
  function requestBound(db, chance) {
    const kase = rowOf(db, chance, "cases", "place");
    db.prepare("INSERT INTO requests (namespace, id, case_id) VALUES (?, 'forged', ?)").run(
      kase.namespace as string,
      kase.id as string,
    );
    return `a request id bound to case ${kase.id}`;
  },
];

function forgedEntry(db: DatabaseSync, chance: Chance) {
  const cases = db.prepare("SELECT * FROM cases WHERE last_entry IS NOT NULL").all();
  const kase = cases[chance.below(cases.length)] as Record<string, string | number | null>;
  const last = db
    .prepare("SELECT text FROM journal WHERE position = ?")
    .get(kase.last_entry as number);
  const entry = JSON.parse(String(last?.text));
  const text = JSON.stringify({
    ...entry,
    sequence: entry.sequence + 1,
    version: (kase.version as number) + 1,
    previous: kase.head,
    event: {
      type: "ask",
      requestId: "forged",
      fingerprint: "f".repeat(64),
      at: 1,
      by: "eve",
      nonce: "n",
    },
  });
  const at = lastPosition(db) + 1;
  db.prepare("INSERT INTO journal (position, previous, namespace, text) VALUES (?, ?, ?, ?)").run(
    at,
    kase.last_entry as number,
    kase.namespace as string,
    text,
  );
  return { at, kase, head: createHash("sha256").update(text).digest("hex") };
}

function lastPosition(db: DatabaseSync): number {
  return db.prepare("SELECT max(position) AS at FROM journal").get()?.at as number;
}

function rowOf(db: DatabaseSync, chance: Chance, table: string, place: string) {
  const rows = db.prepare(`SELECT * FROM ${table} ORDER BY ${place}`).all();
  return rows[chance.below(rows.length)] as Record<string, string | number | null>;
}

/** False: the table forbids it; nothing is changed. */
function attempt(db: DatabaseSync, work: () => void): boolean {
  db.exec("SAVEPOINT attempt");
  try {
    work();
    db.exec("RELEASE attempt");
    return true;
  } catch {
    db.exec("ROLLBACK TO attempt; RELEASE attempt");
    return false;
  }
}

function changed(value: string | number | null, column: string, chance: Chance) {
  if (value === null) return column === "action" ? "pay" : chance.below(50) + 1;
  if (typeof value === "number") {
    if (column === "own_request") return 1 - value;
    return chance.pick([value + 1, value - 1, value + 1_000, 0, 1]);
  }
  // One letter or digit for another: what it stands in stays JSON.
  const places = [...value.matchAll(/[0-9A-Za-z]/g)].map(({ index }) => index);
  const at = places[chance.below(places.length)] ?? 0;
  const char = value.charAt(at);
  const others = /\d/.test(char) ? "123456789" : "abcdefghijklmnopqrstuvwxyz";
  const other = others.charAt(chance.below(others.length));
  return `${value.slice(0, at)}${other}${value.slice(at + 1)}`;
}
