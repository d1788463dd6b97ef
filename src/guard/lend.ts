import { GuardError } from "../core/errors.ts";
import type { Store, StoreTransaction } from "../core/store.ts";
import { invalid } from "./ask.ts";
import { endsTransaction } from "./sql.ts";

/** A transaction's handle in the hands of an effect: as the store gave it out, but for its end. */
export interface Lent {
  readonly tx: object;
  /** Waits for what was enqueued through it. What of that failed takes the effect back. */
  settled(): Promise<void>;
  /** From here on every use of it throws: it may be another transaction's by then. */
  end(): void;
}

/** A transaction under way, and what is told of the entries that are written in it. */
export interface Ongoing {
  readonly store: Store;
  readonly transaction: StoreTransaction;
  readonly keep: (entry: string) => void;
}

interface Open extends Ongoing {
  readonly under: Set<Promise<unknown>>;
  isOver(): boolean;
}

const lentHandles = new WeakMap<object, Open>();

/** What ends it without a word of SQL: a client's, a database's or a PGlite transaction's. */
const closing: ReadonlySet<PropertyKey> = new Set([
  "release",
  "end",
  "close",
  "rollback",
  Symbol.dispose,
  Symbol.asyncDispose,
]);

/** What comes of these reaches the transaction, too, and is lent like the handle. */
const lending: ReadonlySet<PropertyKey> = new Set(["prepare", "createTagStore"]);

export function lend(ongoing: Ongoing): Lent {
  let over = false;
  const under = new Set<Promise<unknown>>();
  const failures: unknown[] = [];

  const ensureOpen = () => {
    if (over) throw invalid("The effect's transaction has ended: `ctx.tx` can't be used any more.");
  };

  const { handle, isSync } = ongoing.transaction;
  const dialect = isSync ? "sqlite" : "postgres";
  const ends = (script: string) => endsTransaction(script, dialect);

  /** `reads`: the script in the first argument of a call; elsewhere a text is a value. */
  const lentOut = (object: object, reads: (first: unknown) => string): object =>
    new Proxy(object, {
      get(target, key) {
        ensureOpen();
        const value: unknown = Reflect.get(target, key, target);
        if (typeof value !== "function") return value;
        return (...args: unknown[]): unknown => {
          ensureOpen();
          if (closing.has(key) || ends(reads(args[0]))) throw notItsToEnd();
          if (isGone(handle as Telling)) throw gone();
          const made: unknown = Reflect.apply(value, target, args);
          return lending.has(key) ? lentOut(made as object, templateOf) : made;
        };
      },
    });

  const tx = lentOut(handle as object, scriptOf);
  lentHandles.set(tx, { ...ongoing, under, isOver: () => over });
  return {
    tx,
    async settled() {
      while (under.size > 0) {
        for (const one of [...under]) {
          under.delete(one);
          await one.catch((error: unknown) => failures.push(error));
        }
      }
      if (failures.length > 0) throw failures[0];
    },
    end() {
      over = true;
    },
  };
}

/** What a handle may tell of its transaction: a DatabaseSync, or a client of `pg`. */
interface Telling {
  readonly isTransaction?: boolean;
  getTransactionStatus?(): string | null;
}

/** The database has rolled it back, by an error. What came now would be committed by itself. */
function isGone(handle: Telling): boolean {
  return handle.isTransaction === false || handle.getTransactionStatus?.() === "I";
}

function gone(): GuardError {
  return new GuardError("invalid_request", "The database has ended the effect's transaction.", {
    next: "Let the error that it did so with end the effect.",
  });
}

function notItsToEnd(): GuardError {
  return new GuardError(
    "invalid_request",
    "An effect must not end its transaction: the guard does, with the receipt.",
    { next: "Leave out COMMIT, ROLLBACK and BEGIN. Savepoints are the effect's own." },
  );
}

function scriptOf(first: unknown): string {
  if (typeof first === "string") return first;
  const { text } = (first ?? {}) as { readonly text?: unknown };
  return typeof text === "string" ? text : templateOf(first);
}

/** A tagged template's own text; its values are never read as SQL. */
function templateOf(first: unknown): string {
  return Array.isArray(first) && "raw" in first ? first.join(" ? ") : "";
}

/**
 * Does something in the transaction that an effect was handed; undefined: it is none of those. The
 * effect need not wait for it, and on a store that can't wait it must not.
 */
export function inLent<T>(
  tx: object,
  store: Store,
  work: (ongoing: Ongoing) => Promise<T>,
): Promise<T> | undefined {
  const open = lentHandles.get(tx);
  if (open === undefined) return undefined;
  if (open.isOver()) {
    return Promise.reject(invalid("The effect's transaction has ended: nothing was enqueued."));
  }
  const done =
    open.store === store
      ? work(open)
      : Promise.reject<T>(
          invalid("The effect's transaction is of another store than this guard's."),
        );
  open.under.add(done);
  // The effect's transaction is told; nobody else has to listen.
  done.catch(() => undefined);
  return done;
}
