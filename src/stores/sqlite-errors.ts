import { factsOf, GuardError, type GuardErrorCode, isGuardError } from "../core/errors.ts";

/** SQLite's primary result codes that the store tells apart (sqlite.org/rescode.html). */
const result = {
  permission: 3,
  busy: 5,
  locked: 6,
  readonly: 8,
  io: 10,
  corrupt: 11,
  full: 13,
  cantOpen: 14,
  protocol: 15,
  notADatabase: 26,
} as const;

/** Extended codes: a write and a sync that failed. */
const failedWrites: ReadonlySet<number> = new Set([result.io | (3 << 8), result.io | (4 << 8)]);

/** The extended result code of an error of SQLite; undefined: it comes from elsewhere. */
function extendedCodeOf(error: unknown): number | undefined {
  if (typeof error !== "object" || error === null || !("errcode" in error)) return undefined;
  return typeof error.errcode === "number" ? error.errcode : undefined;
}

/** The primary result code. */
function codeOf(error: unknown): number | undefined {
  const code = extendedCodeOf(error);
  return code === undefined ? undefined : code & 0xff;
}

/** Somebody else holds the lock: worth another try. */
export function isBusy(error: unknown): boolean {
  const code = codeOf(error);
  return code === result.busy || code === result.locked || code === result.protocol;
}

/**
 * Whether the connection must not be used again: a file that was read-only or gone stays so for a
 * connection that is open.
 *
 * Not after a write or a sync that failed. The connection knows which part of the log counts, and
 * writes the next commit over what failed; a new one would take what the kernel still holds of it,
 * and the disk may never, for committed.
 */
export function breaksConnection(error: unknown): boolean {
  const code = codeOf(error);
  if (code === undefined) return isGuardError(error, "store_unavailable");
  if (failedWrites.has(extendedCodeOf(error) ?? 0)) return false;
  return code !== result.full && !isBusy(error);
}

/** An error of SQLite or of the file system, in the guard's words. */
export function storeError(error: unknown): GuardError {
  if (isGuardError(error)) return error;
  const [code, facts] = meaning(codeOf(error));
  const detail = error instanceof Error ? ` (${error.message})` : "";
  return new GuardError(code, `${facts}${detail}.`, { cause: error });
}

function meaning(code: number | undefined): readonly [GuardErrorCode, string] {
  switch (code) {
    case result.busy:
    case result.locked:
    case result.protocol:
      return ["store_contended", "Other processes held the database for too long"];
    case result.corrupt:
      return ["store_corrupt", "The database is damaged"];
    case result.notADatabase:
      return ["store_corrupt", "The file is not a database"];
    case result.full:
      return ["store_unavailable", "The disk is full"];
    case result.readonly:
      return ["store_unavailable", "The database can't be written"];
    case result.permission:
    case result.cantOpen:
      return ["store_unavailable", "The database can't be opened"];
    case result.io:
      return ["store_unavailable", "The disk failed to read or write"];
    default:
      return ["store_unavailable", "The database failed"];
  }
}

export function closedError(): GuardError {
  return new GuardError("store_unavailable", "The store is closed.");
}

/** An error as another thread can take it: a class doesn't survive the way. */
export interface ErrorMessage {
  readonly code: GuardErrorCode;
  readonly facts: string;
  readonly next: string;
}

export function errorMessage(error: unknown): ErrorMessage {
  const typed = storeError(error);
  return { code: typed.code, facts: factsOf(typed), next: typed.next };
}

export function errorOf({ code, facts, next }: ErrorMessage): GuardError {
  return new GuardError(code, facts, { next });
}
