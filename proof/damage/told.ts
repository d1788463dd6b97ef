import { type Dump, rowIn } from "./dump.ts";

/** Which of the changes in a dump say something of a case, and of which. */
export interface Told {
  /** The cases that a changed row belongs to, as `namespace/id`. */
  readonly cases: ReadonlySet<string>;
  /** All that changed are bindings of request ids of which no journal tells. */
  readonly isUntold: boolean;
  /** All that changed is the store's own row: its name, and the last position that pruning took away. */
  readonly isOwnRow: boolean;
}

/** What a dump of the sound file says of its cases and requests. */
export interface Knowledge {
  readonly caseAt: (place: unknown) => string | undefined;
  readonly isTold: (namespace: unknown, requestId: unknown) => boolean;
  /** Cases whose journal has an opening: it binds a request id that its entry doesn't tell. */
  readonly isSilent: (namespace: unknown, caseId: unknown) => boolean;
  /** Tombstones: they have no journal any more. */
  readonly isRetired: (namespace: unknown, caseId: unknown) => boolean;
}

export function knowledgeOf({ rows }: Dump): Knowledge {
  const cases = new Map<unknown, string>();
  const told = new Set<string>();
  const silent = new Set<string>();
  const retired = new Set<string>();
  for (const [name, text] of rows) {
    const row = rowIn(name, text);
    if (row?.table === "cases") {
      const { place, namespace, id, record } = row.values;
      cases.set(place, `${namespace}/${id}`);
      const { state, requests = [] } = JSON.parse(String(record));
      if (state === "RETIRED") retired.add(`${namespace}/${id}`);
      for (const request of requests) told.add(`${namespace}/${request}`);
    } else if (row?.table === "journal") {
      const { namespace, caseId, event } = JSON.parse(String(row.values.text));
      if (event.requestId !== undefined) told.add(`${namespace}/${event.requestId}`);
      else if (event.type === "open") silent.add(`${namespace}/${caseId}`);
    }
  }
  return {
    caseAt: (place) => cases.get(place),
    isTold: (namespace, requestId) => told.has(`${namespace}/${requestId}`),
    isSilent: (namespace, caseId) => silent.has(`${namespace}/${caseId}`),
    isRetired: (namespace, caseId) => retired.has(`${namespace}/${caseId}`),
  };
}

export function toldBy(
  changed: readonly string[],
  before: Dump,
  after: Dump,
  known: Knowledge,
): Told {
  const cases = new Set<string>();
  let untold = 0;
  let own = 0;
  for (const change of changed) {
    const name = change.replace(/^by (place|key): /, "");
    const [was, is] = [rowIn(name, before.rows.get(name)), rowIn(name, after.rows.get(name))];
    for (const row of [was, is]) for (const kase of casesOf(row, known)) cases.add(kase);
    if ((was ?? is)?.table === "store") own += 1;
    if (isUntold(was, is, known)) untold += 1;
  }
  return { cases, isUntold: untold === changed.length, isOwnRow: own === changed.length };
}

type Row = ReturnType<typeof rowIn>;

function casesOf(row: Row, known: Knowledge): readonly string[] {
  const values = row?.values ?? {};
  switch (row?.table) {
    case "cases":
      return [`${values.namespace}/${values.id}`];
    case "requests":
      return [`${values.namespace}/${values.case_id}`];
    case "unfinished":
      return [known.caseAt(values.place) ?? ""];
    case "journal":
      return [...caseIn(String(values.text))];
    case "store":
    case undefined:
      return [];
  }
}

function* caseIn(text: string): Generator<string> {
  try {
    const { namespace, caseId } = JSON.parse(text);
    yield `${namespace}/${caseId}`;
  } catch {
    // Damaged: the row it was tells.
  }
}

function isUntold(was: Row, is: Row, known: Knowledge): boolean {
  if ((was ?? is)?.table === "requests") {
    const { namespace, id, case_id } = (was ?? is)?.values ?? {};
    const mayBeMore = known.isSilent(namespace, case_id) || known.isRetired(namespace, case_id);
    return mayBeMore && !known.isTold(namespace, id);
  }
  if (was?.table !== "cases" || is === undefined) return false;
  const { namespace, id } = was.values;
  const members = Object.keys(was.values).filter((name) => was.values[name] !== is.values[name]);
  const isFlag = members.every((name) => name === "own_request");
  return isFlag && known.isSilent(namespace, id) && !known.isTold(namespace, id);
}
