import type { Store, StoreTransaction } from "../core/store.ts";
import { invalid } from "./ask.ts";

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

/** Ends the transaction, or begins another: that is the guard's to do. Savepoints are the effect's own. */
const endsIt =
  /^\s*(?:begin|commit|end|abort|start\s+transaction|prepare\s+transaction|rollback(?!\s+(?:work\s+|transaction\s+)?to\b))\b/i;

const closing: ReadonlySet<PropertyKey> = new Set(["release", "end", "close"]);

export function lend(ongoing: Ongoing): Lent {
  let over = false;
  const under = new Set<Promise<unknown>>();
  const failures: unknown[] = [];

  const ensureOpen = () => {
    if (over) throw invalid("The effect's transaction has ended: `ctx.tx` can't be used any more.");
  };

  const tx = new Proxy(ongoing.transaction.handle as object, {
    get(target, key) {
      ensureOpen();
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value !== "function") return value;
      return (...args: unknown[]): unknown => {
        ensureOpen();
        if (closing.has(key) || endsIt.test(textOf(args[0]))) {
          throw invalid(
            "An effect must not end its transaction: the guard does, with the receipt.",
          );
        }
        return Reflect.apply(value, target, args);
      };
    },
  });

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

function textOf(statement: unknown): string {
  if (typeof statement === "string") return statement;
  const { text } = (statement ?? {}) as { readonly text?: unknown };
  return typeof text === "string" ? text : "";
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
