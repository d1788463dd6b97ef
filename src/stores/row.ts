import type { Case } from "../core/case.ts";
import { GuardError, isGuardError } from "../core/errors.ts";
import { limits } from "../core/limits.ts";
import { dueAt, type ListQuery, type Stored } from "../core/store.ts";
import { corrupt, readCase } from "./record.ts";

/** A case's row: its record, and the columns by which the database searches and compares. */
export interface CaseRow {
  readonly namespace: unknown;
  readonly id: unknown;
  readonly version: unknown;
  readonly state: unknown;
  readonly action: unknown;
  readonly updatedAt: unknown;
  /** In the list of what is unfinished, and nowhere else. */
  readonly due?: unknown;
  /** Whether that list's other columns say what the case's own do. */
  readonly agrees?: boolean;
  readonly head: unknown;
  readonly record: unknown;
}

/** Reads a row back. The columns must say what the record says: by them it was found. */
export function storedOf(row: CaseRow): Stored {
  const kase = readCase(String(row.record));
  const action = kase.state === "RETIRED" ? null : (kase.intent?.action ?? null);
  if (
    row.namespace !== kase.namespace ||
    row.id !== kase.caseId ||
    row.version !== kase.version ||
    row.state !== kase.state ||
    row.action !== action ||
    row.updatedAt !== kase.updatedAt ||
    row.agrees === false ||
    (row.due !== undefined && row.due !== dueAt(kase))
  ) {
    throw corrupt("its columns and its record differ");
  }
  return { case: kase, head: String(row.head) };
}

/** The cases of a list. A row that is not understood is told to who asked for that, and left out. */
export function casesOf(rows: readonly CaseRow[], refused: ListQuery["refused"]): readonly Case[] {
  if (refused === undefined) return rows.map((row) => storedOf(row).case);
  const cases: Case[] = [];
  for (const row of rows) {
    try {
      cases.push(storedOf(row).case);
    } catch (error) {
      if (!isGuardError(error)) throw error;
      refused(error, String(row.id));
    }
  }
  return cases;
}

/** The place where a list goes on. */
export function placeOf(cursor: string | undefined): number {
  const place = Number(cursor ?? 0);
  if (Number.isSafeInteger(place) && place >= 0) return place;
  throw new GuardError("invalid_request", "The cursor is not one that this store gave out.");
}

export function pageLimit(limit: number = limits.pageRows): number {
  return Math.max(1, Math.min(limit, limits.pageRows));
}

const finishedStates: ReadonlySet<string> = new Set(["SETTLED", "VOID", "RETIRED"]);

/** Whether a list can be answered from the cases that are not finished alone. */
export function isOfUnfinished({ dueBy, states }: ListQuery): boolean {
  return dueBy !== undefined || states?.some((state) => finishedStates.has(state)) === false;
}
