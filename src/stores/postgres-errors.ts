import { GuardError, type GuardErrorCode, isGuardError } from "../core/errors.ts";

/** The SQLSTATE of an error that the server told (PostgreSQL's manual, appendix A); undefined: it did not come from there. */
export function stateOf(error: unknown): string | undefined {
  const code = (error as { readonly code?: unknown } | null)?.code;
  // With a digit: "EPIPE" is the operating system's word for a connection that went.
  return typeof code === "string" && /^(?=.*\d)[0-9A-Z]{5}$/.test(code) ? code : undefined;
}

/** Others hold what is needed, or took another order: worth another try, and nothing was written. */
export function isContended(error: unknown): boolean {
  switch (stateOf(error)) {
    case "40001": // serialization_failure
    case "40P01": // deadlock_detected
    case "55P03": // lock_not_available
      return true;
    default:
      return false;
  }
}

/**
 * Whether the statement may have been carried out although it failed: the connection went, the answer
 * did not come, or the server went down in the midst of it.
 */
export function isAmbiguous(error: unknown): boolean {
  if (isGuardError(error)) return error.code === "store_unavailable" && !error.lasting;
  const state = stateOf(error);
  return state === undefined || state.startsWith("08") || state.startsWith("57P");
}

/** Worth another try on another connection: the server restarts, or somebody cut the wire. */
export function isPassing(error: unknown): boolean {
  return (
    isAmbiguous(error) || stateOf(error) === "25006" || (stateOf(error) ?? "").startsWith("53")
  );
}

/** Somebody else has made the schema in the same moment. */
export function isThereAlready(error: unknown): boolean {
  switch (stateOf(error)) {
    case "23505": // unique_violation, in the server's own tables
    case "42P06": // duplicate_schema
    case "42P07": // duplicate_table
    case "42710": // duplicate_object
    case "42723": // duplicate_function
      return true;
    default:
      return false;
  }
}

/** A table of that name is there, and is not one of ours. */
export function isOfOtherShape(error: unknown): boolean {
  switch (stateOf(error)) {
    case "42703": // undefined_column
    case "42809": // wrong_object_type
      return true;
    default:
      return false;
  }
}

/** Nothing was begun, and another try meets the same until a person has done what `next` says. */
export function lastingError(facts: string, next: string, cause?: unknown): GuardError {
  return new GuardError("store_unavailable", facts, { next, lasting: true, cause });
}

/** An error of the server, the driver or the network, in the guard's words. */
export function storeError(error: unknown): GuardError {
  if (isGuardError(error)) return error;
  const detail = error instanceof Error && error.message !== "" ? ` (${error.message})` : "";
  const state = stateOf(error);
  const lack = lackOf(state);
  if (lack !== undefined) return lastingError(`${lack.facts}${detail}.`, lack.next, error);
  const [code, facts] = meaning(state);
  return new GuardError(code, `${facts}${detail}.`, { cause: error });
}

/** What the server has not got for this role or address, and what a person can do about it. */
function lackOf(
  state: string | undefined,
): { readonly facts: string; readonly next: string } | undefined {
  // invalid_authorization_specification, invalid_password
  if (state?.startsWith("28")) {
    return {
      facts: "The server doesn't let this role in",
      next: "Correct the role or the password in the address, or let the role in: CREATE ROLE … LOGIN, and a line in pg_hba.conf.",
    };
  }
  switch (state) {
    case "3D000": // invalid_catalog_name
      return {
        facts: "The server has no such database",
        next: "Correct the database in the address, or make it: CREATE DATABASE … ENCODING 'UTF8'.",
      };
    case "42501": // insufficient_privilege
      return {
        facts: "The role lacks a right",
        next: "Grant it USAGE on the guard's schema, and SELECT, INSERT, UPDATE and DELETE on all tables in it.",
      };
    default:
      return undefined;
  }
}

function meaning(state: string | undefined): readonly [GuardErrorCode, string] {
  switch (state) {
    case undefined:
      return ["store_unavailable", "The database can't be reached"];
    case "40001":
    case "40P01":
    case "55P03":
      return ["store_contended", "Other transactions held the database for too long"];
    case "3F000": // invalid_schema_name
    case "42P01": // undefined_table
    case "42703": // undefined_column
    case "42883": // undefined_function
      return ["store_corrupt", "The database lacks what its schema says"];
    case "25006": // read_only_sql_transaction
      return ["store_unavailable", "The server can't be written"];
    case "53100":
      return ["store_unavailable", "The server's disk is full"];
    case "53300":
      return ["store_unavailable", "The server has no connection left"];
    case "XX001":
    case "XX002":
      return ["store_corrupt", "The database is damaged"];
    default:
      return ["store_unavailable", "The database failed"];
  }
}

export function unavailable(facts: string): GuardError {
  return new GuardError("store_unavailable", facts);
}

export function closedError(): GuardError {
  return unavailable("The store is closed.");
}
