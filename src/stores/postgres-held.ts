import type { GuardError } from "../core/errors.ts";
import { lanes } from "./lanes.ts";
import { storeError } from "./postgres-errors.ts";

/** Milliseconds that a statement waits for the rows of others' transactions, where it holds up nobody else. */
export const patientMs = 500;
/** The same where others wait behind it. */
export const briefMs = 50;

/** A commit, as far as the line that it stands in must know it. */
export interface InLine {
  readonly caseKeys: readonly string[];
  /** Until when it is tried, by the process's stopwatch. */
  readonly until: number;
  reject(error: GuardError): void;
}

/** Commits for cases that somebody's open transaction holds: of each case one waits, and the others stand in line. */
export interface HeldCases<T> {
  /** Whether a commit is for a case that is held: then it stands in line from now on. */
  takes(item: T): boolean;
  /** A commit that was tried by itself, and met such a transaction. */
  add(item: T, error: unknown): void;
}

export interface HeldCasesOptions<T> {
  /** Tries one, and answers what it met; undefined: nothing any more, and it is answered. */
  readonly attempt: (item: T, lockMs: number) => Promise<unknown>;
  /** The case is free: takes those that stood in line. */
  readonly freed: (item: T) => void;
}

interface Line<T> {
  items: T[];
  error: unknown;
}

/**
 * All held cases are tried in turn, on one connection, however many there are: who holds one for long
 * must not keep the cases of others.
 */
export function heldCases<T extends InLine>(options: HeldCasesOptions<T>): HeldCases<T> {
  const { attempt, freed } = options;
  const lines = new Map<string, Line<T>>();
  const turns = lanes<string>({
    atOnce: 1,
    take: (waiting) => waiting.splice(0, 1),
    run: ([key = ""]) => tryFirst(key),
  });

  async function tryFirst(key: string): Promise<void> {
    const line = lines.get(key);
    const first = line === undefined ? undefined : firstOf(line);
    if (line !== undefined && first !== undefined) {
      // The time of all their tries together is one patient one, so that each comes round soon.
      const leftMs = Math.min(patientMs / lines.size, first.until - performance.now());
      line.error = await attempt(first, Math.max(briefMs, Math.ceil(leftMs)));
      if (line.error === undefined) {
        lines.delete(key);
        for (const item of line.items.slice(1)) freed(item);
        return;
      }
      if (firstOf(line) !== undefined) {
        setTimeout(() => turns.add(key), Math.random() * briefMs);
        return;
      }
    }
    lines.delete(key);
  }

  /** The first whose time is not over; those whose time is are refused. */
  function firstOf(line: Line<T>): T | undefined {
    const last = performance.now() + briefMs;
    const late = line.items.filter(({ until }) => until < last);
    line.items = line.items.filter(({ until }) => until >= last);
    for (const item of late) item.reject(storeError(line.error));
    return line.items[0];
  }

  function takes(item: T): boolean {
    const key = item.caseKeys.find((caseKey) => lines.has(caseKey));
    if (key === undefined) return false;
    lines.get(key)?.items.push(item);
    return true;
  }

  return {
    takes,
    add(item, error) {
      if (takes(item)) return;
      const [key = ""] = item.caseKeys;
      const line = { items: [item], error };
      if (firstOf(line) === undefined) return;
      lines.set(key, line);
      turns.add(key);
    },
  };
}
