import type { CaseId } from "../core/identity.ts";
import type { Store } from "../core/store.ts";

/** A commit that a store acknowledged before its process was killed. */
export interface Acknowledged {
  readonly namespace: string;
  readonly caseId: CaseId;
  readonly version: number;
}

export interface Recovered {
  /** The store, opened again by another process. */
  readonly store: Store;
  readonly acknowledged: readonly Acknowledged[];
}

export interface LawOptions {
  /** Any runner's: `test(name, run)`. */
  readonly test: (name: string, run: () => Promise<void>) => unknown;
  /** An empty store, each time a new one. */
  readonly open: () => Store | Promise<Store>;
  /** Another connection to what a store holds. Without it, races are run over one connection. */
  readonly reopen?: (store: Store) => Store | Promise<Store>;
  /** Whether a store's data outlives its closing, so that `reopen` works on a closed one. */
  readonly durable?: boolean;
  /** Changes the record of a case behind the store's back. */
  readonly damage?: (
    store: Store,
    caseId: CaseId,
    change: (record: string) => string,
  ) => void | Promise<void>;
  /** Rows of a table beside the cases, for a store that has transactions to share. */
  readonly rows?: Rows;
  /** Kills a process in the midst of its commits, and opens what it left. */
  readonly killed?: () => Promise<Recovered>;
}

export interface Rows {
  /** The database serves nobody else while a transaction is open. */
  readonly alone?: boolean;
  /** Writes a row through a transaction's handle. Waits for nothing where the store's are sync. */
  write(handle: unknown, text: string): void | Promise<void>;
  /** All rows that are there, in the order they were written. */
  read(store: Store): readonly string[] | Promise<readonly string[]>;
  /** Begins a transaction as a user of the database would. */
  begin(store: Store): BegunByHand | Promise<BegunByHand>;
}

export interface BegunByHand {
  readonly handle: unknown;
  end(how: "commit" | "rollback"): void | Promise<void>;
}

/** One law: its heading, a case of it, and how it is shown. */
export interface Law {
  readonly heading: string;
  readonly name: string;
  /** What of `LawOptions` it can't do without. */
  readonly needs?: "reopen" | "durable" | "damage" | "rows" | "killed";
  readonly run: (world: LawWorld) => Promise<void>;
}

/** What a law works with. All stores of a law are closed after it. */
export interface LawWorld {
  readonly options: LawOptions;
  open(): Promise<Store>;
  /** Another connection where there is one, else the store itself. */
  another(store: Store): Promise<Store>;
}
