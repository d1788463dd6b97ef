import type { Case } from "../core/case.ts";
import { GuardError, isGuardError } from "../core/errors.ts";
import type { CaseId } from "../core/identity.ts";
import { limits } from "../core/limits.ts";
import {
  dueAt,
  type JournalEntry,
  type ListQuery,
  type Page,
  type ReadIds,
  type Step,
  type Store,
} from "../core/store.ts";
import { caseText, readCase } from "./record.ts";
import { isFinished, requestsOf, tombstoneOf } from "./tombstone.ts";

interface Row {
  /** When it was opened, counted in cases. */
  readonly place: number;
  readonly version: number;
  /** As text, so that nobody can change the inside of the store through what it gave out. */
  readonly record: string;
  readonly head: string;
  readonly chain: readonly number[];
}

/**
 * A store that ends with its process: for tests, and the reference reading of the laws in
 * `core/store.ts`.
 *
 * @example createGuard({ store: memoryStore() })
 */
export function memoryStore(options: { readonly clock?: () => number } = {}): Store {
  const clock = options.clock ?? Date.now;
  const rows = new Map<string, Row>();
  const bindings = new Map<string, CaseId>();
  const feed = new Map<number, { readonly namespace: string; readonly text: string }>();
  const listeners = new Set<() => void>();
  let opened = 0;
  let position = 0;
  let closed = false;

  function open(): void {
    if (closed) throw new GuardError("store_unavailable", "The store is closed.");
  }

  function land(steps: readonly Step[]): boolean {
    const nextRows = new Map<string, Row>();
    const nextBindings = new Map<string, CaseId>();
    let place = opened;
    let last = position;
    for (const { expected, next, head, entry, bind } of steps) {
      const key = keyOf(next.namespace, next.caseId);
      const row = nextRows.get(key) ?? rows.get(key);
      if ((row?.version ?? 0) !== expected) return false;
      if (bind !== null) {
        const request = keyOf(next.namespace, bind);
        const bound = nextBindings.get(request) ?? bindings.get(request);
        if (bound !== undefined && bound !== next.caseId) return false;
        nextBindings.set(request, next.caseId);
      }
      if (entry !== null) last += 1;
      if (row === undefined) place += 1;
      nextRows.set(key, {
        place: row?.place ?? place,
        version: next.version,
        record: caseText(next),
        head,
        chain: [...(row?.chain ?? []), ...(entry === null ? [] : [last])],
      });
    }
    opened = place;
    for (const [key, row] of nextRows) rows.set(key, row);
    for (const [request, caseId] of nextBindings) bindings.set(request, caseId);
    for (const { next, entry } of steps) {
      if (entry !== null) feed.set(++position, { namespace: next.namespace, text: entry });
    }
    return true;
  }

  function textsOf(row: Row): readonly string[] {
    return row.chain.map((at) => feed.get(at)?.text ?? "");
  }

  function retire(key: string, row: Row, before: number): boolean {
    const kase = readCase(row.record);
    if (!isFinished(kase) || !(kase.updatedAt < before)) return false;
    const own = bindings.get(key) === kase.caseId ? kase.caseId : null;
    const requests = requestsOf(textsOf(row), own);
    const { next, head } = tombstoneOf({ case: kase, head: row.head, requests });
    for (const at of row.chain) feed.delete(at);
    rows.set(key, { ...row, version: next.version, record: caseText(next), head, chain: [] });
    return true;
  }

  return {
    now(): number {
      open();
      return clock();
    },
    async read({ namespace, caseId, requestId }: ReadIds) {
      open();
      const bound = requestId === null ? null : (bindings.get(keyOf(namespace, requestId)) ?? null);
      const wanted = caseId ?? bound;
      const row = wanted === null ? undefined : rows.get(keyOf(namespace, wanted));
      const stored = row === undefined ? null : { case: readCase(row.record), head: row.head };
      return { stored, bound };
    },
    async commit(steps: readonly Step[]) {
      open();
      const landed = land(steps);
      if (landed) for (const listener of listeners) setImmediate(listener);
      return landed;
    },
    async list(query: ListQuery): Promise<Page<Case>> {
      open();
      const after = Number(query.after ?? 0);
      const limit = Math.min(query.limit ?? limits.pageRows, limits.pageRows);
      const found = [...rows].flatMap(([key, row]) => {
        if (row.place <= after || !key.startsWith(keyOf(query.namespace, ""))) return [];
        const kase = caseIn(row, idOf(key), query.refused);
        return kase !== undefined && matches(kase, query) ? [{ place: row.place, kase }] : [];
      });
      const items = found.slice(0, limit);
      const last = items.at(-1);
      const next = found.length > items.length && last !== undefined ? String(last.place) : null;
      return { items: items.map(({ kase }) => kase), next };
    },
    async history(namespace: string, caseId: CaseId) {
      open();
      const chain = rows.get(keyOf(namespace, caseId))?.chain ?? [];
      return chain.map((at) => ({ position: at, text: feed.get(at)?.text ?? "" }));
    },
    async journal({ namespace, after, limit = limits.pageRows }) {
      open();
      const entries: JournalEntry[] = [];
      for (const [at, entry] of feed) {
        if (entries.length >= Math.min(limit, limits.pageRows)) break;
        if (at > after && entry.namespace === namespace) {
          entries.push({ position: at, text: entry.text });
        }
      }
      return entries;
    },
    async end(namespace: string) {
      open();
      let last = 0;
      for (const [at, entry] of feed) if (entry.namespace === namespace) last = at;
      return last;
    },
    subscribe(listener: () => void) {
      open();
      // Its own function, so that one listener given twice is called twice and taken off once.
      const call = (): void => listener();
      listeners.add(call);
      return () => void listeners.delete(call);
    },
    async prune({ namespace, before, limit = limits.pageRows }) {
      open();
      let count = 0;
      for (const [key, row] of rows) {
        if (count >= Math.min(limit, limits.pageRows)) break;
        if (key.startsWith(keyOf(namespace, "")) && retire(key, row, before)) count += 1;
      }
      return count;
    },
    async close() {
      closed = true;
      listeners.clear();
    },
  };
}

/** No name holds a line's end, so no two pairs of names make one key. */
function keyOf(namespace: string, id: string): string {
  return `${namespace}\n${id}`;
}

function idOf(key: string): string {
  return key.slice(key.indexOf("\n") + 1);
}

function caseIn(row: Row, caseId: string, refused: ListQuery["refused"]): Case | undefined {
  try {
    return readCase(row.record);
  } catch (error) {
    if (refused === undefined || !isGuardError(error)) throw error;
    refused(error, caseId);
    return undefined;
  }
}

function matches(kase: Case, query: ListQuery): boolean {
  const { states, action, updatedBefore, dueBy } = query;
  const due = dueAt(kase);
  return (
    (states === undefined || states.includes(kase.state)) &&
    (action === undefined || (kase.state !== "RETIRED" && kase.intent?.action === action)) &&
    (updatedBefore === undefined || kase.updatedAt < updatedBefore) &&
    (dueBy === undefined || (due !== null && due <= dueBy))
  );
}
