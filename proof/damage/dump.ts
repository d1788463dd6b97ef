import type { DatabaseSync, SQLOutputValue } from "node:sqlite";

/**
 * All that the tables of a store's file hold, read by plain SQLite and nothing of the guard's: what
 * tells whether damage has changed anything.
 */
export interface Dump {
  /** Each row as text, by its table and its place there; and what each lookup by a key finds. */
  readonly rows: ReadonlyMap<string, string>;
  /** Reading did not come to its end. */
  readonly broken: boolean;
}

type Row = Record<string, SQLOutputValue>;

const tables = ["store", "cases", "unfinished", "requests", "journal"] as const;
export type Table = (typeof tables)[number];

const places: { readonly [T in Table]: string } = {
  store: "one",
  cases: "place",
  unfinished: "place",
  requests: "place",
  journal: "position",
};

/** `like`: a dump of the sound file, whose keys are looked up one by one. */
export function dumpOf(db: DatabaseSync, like?: Dump): Dump {
  const rows = new Map<string, string>();
  let broken = false;
  const reading = (work: () => void) => {
    try {
      work();
    } catch {
      broken = true;
    }
  };
  for (const table of tables) {
    reading(() => {
      const statement = db.prepare(`SELECT * FROM ${table} ORDER BY ${places[table]}`);
      statement.setReadBigInts(true);
      for (const row of statement.all()) {
        const key = `${table} ${row[places[table]]}`;
        // A place that comes twice is kept under another name, so that it is seen.
        rows.set(rows.has(key) ? `${key} again` : key, textOf(row));
      }
    });
  }
  for (const { key, row } of keysOf(like?.rows ?? rows)) {
    reading(() => rows.set(key.name, textOf(lookedUp(db, row.table, key))));
  }
  return { rows, broken };
}

interface Key {
  readonly name: string;
  readonly where: string;
  readonly values: readonly (string | number)[];
}

function* keysOf(rows: ReadonlyMap<string, string>) {
  for (const [name, text] of [...rows]) {
    const row = rowIn(name, text);
    if (row === undefined || row.table === "store") continue;
    const place = Number(row.values[places[row.table]]);
    const byPlace = {
      name: `by place: ${name}`,
      where: `${places[row.table]} = ?`,
      values: [place],
    };
    yield { row, key: byPlace };
    if (row.table !== "cases" && row.table !== "requests") continue;
    const values = [String(row.values.namespace), String(row.values.id)];
    yield { row, key: { name: `by key: ${name}`, where: "namespace = ? AND id = ?", values } };
  }
}

function lookedUp(db: DatabaseSync, table: Table, { where, values }: Key): Row {
  // The place alone: what the row holds is compared once already.
  const statement = db.prepare(`SELECT ${places[table]} AS place FROM ${table} WHERE ${where}`);
  statement.setReadBigInts(true);
  return statement.get(...values) ?? {};
}

export interface DumpedRow {
  readonly table: Table;
  readonly values: Readonly<Record<string, string | number | null>>;
}

/** A row of a dump, by the name it has there; undefined for a lookup. */
export function rowIn(name: string, text: string | undefined): DumpedRow | undefined {
  const [table] = name.split(" ");
  if (text === undefined || !tables.includes(table as Table)) return undefined;
  return { table: table as Table, values: JSON.parse(text) };
}

/** Whole numbers lose their size in JSON only beyond what the store writes; then they differ, which is what counts. */
function textOf(row: Row): string {
  return JSON.stringify(row, (_, value: unknown) => {
    if (typeof value === "bigint") return Number(value);
    if (value instanceof Uint8Array) return { bytes: [...value] };
    return value;
  });
}

/** The names of what is not as it was. */
export function changedIn(before: Dump, after: Dump): readonly string[] {
  const names = new Set([...before.rows.keys(), ...after.rows.keys()]);
  return [...names].filter((name) => before.rows.get(name) !== after.rows.get(name));
}
