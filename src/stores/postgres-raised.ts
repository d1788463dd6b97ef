import { GuardError, isGuardError } from "../core/errors.ts";
import { stateOf, storeError } from "./postgres-errors.ts";
import { entriesPerTransaction, raised } from "./postgres-functions.ts";

/** Passes an error on; of a connection that leads to another store than before, in the guard's words. */
export function thrown(error: unknown): never {
  if (stateOf(error) !== raised.elsewhere) throw error;
  throw new GuardError("store_corrupt", "The database is another one than before.", {
    next: "Connect to the one that holds the cases; start the process anew to work with another.",
    cause: error,
  });
}

/** What went wrong in a transaction that is shared with others, in the guard's words. */
export function wordsInTransaction(error: unknown, isCallers: boolean): GuardError {
  const state = stateOf(isGuardError(error) ? error.cause : error);
  switch (state) {
    case raised.full:
      return new GuardError(
        "over_limit",
        `One transaction holds at most ${entriesPerTransaction} steps of cases.`,
        { next: "Commit it, and go on in another one.", cause: error },
      );
    case raised.ended:
      return new GuardError("invalid_request", "The transaction has ended, or was never begun.", {
        next: isCallers
          ? "Send BEGIN first, and COMMIT after what is enqueued was answered."
          : "Leave COMMIT and ROLLBACK to who began it, and use it before that.",
        cause: error,
      });
    case "25P02": // in_failed_sql_transaction
      return new GuardError(
        "invalid_request",
        "A statement of the transaction has failed before: nothing more can be written in it.",
        { next: "Roll it back, mend the statement, and begin again.", cause: error },
      );
    default:
      return (isCallers ? callersFault(state, error) : undefined) ?? storeError(error);
  }
}

/** What is wrong with the transaction that was given, and not with the store. */
function callersFault(state: string | undefined, cause: unknown): GuardError | undefined {
  switch (state) {
    case raised.elsewhere:
    case "3F000": // invalid_schema_name
      return new GuardError(
        "invalid_request",
        "The transaction is in another database than this guard's store.",
        { next: "Roll it back, and give a client of the store's own database.", cause },
      );
    case "40001": // serialization_failure
      return new GuardError(
        "store_contended",
        "Others have written a case since the transaction began, and at its isolation level it can't see that.",
        { next: "Roll it back, and begin it again.", cause },
      );
    case "25006": // read_only_sql_transaction
      return new GuardError("invalid_request", "The transaction is read only, or on a standby.", {
        next: "Roll it back, and begin one on the primary that may write.",
        cause,
      });
    default:
      return undefined;
  }
}
