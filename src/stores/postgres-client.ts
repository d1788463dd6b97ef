import { GuardError } from "../core/errors.ts";
import { stateOf, storeError, unavailable } from "./postgres-errors.ts";
import { serverTime } from "./postgres-functions.ts";

/** What the store needs of a `pg` Pool. It stays the caller's: the store never ends it. */
export interface PostgresPool {
  connect(): Promise<PostgresClient>;
  readonly options?: { readonly max?: number | undefined };
}

/** What the store needs of a client of such a pool. */
export interface PostgresClient extends PostgresQueries {
  release(destroy?: boolean): void;
  /** `I` outside of a transaction; newer versions of `pg` have it. */
  getTransactionStatus?(): string | null;
  on(event: string, listener: (message: Notice) => void): unknown;
  removeListener(event: string, listener: (message: Notice) => void): unknown;
}

/** What a server says beside its answers. */
export interface Notice {
  readonly severity?: string | undefined;
}

/** What is no warning. Any other word may be one: servers say it in the language they are set to. */
const harmless = /^(NOTICE|INFO|LOG|DEBUG\d?)$/;

/** What the store needs of the caller's own transaction: any client of `pg`, or what PGlite hands out. */
export interface PostgresQueries {
  query(text: string, values?: unknown[]): Promise<PostgresAnswer>;
}

export interface PostgresAnswer {
  readonly rows: readonly unknown[];
  /** What was done, in the server's words: a COMMIT of what has failed is answered with ROLLBACK. */
  readonly command?: string;
}

/** What the store needs of PGlite: one process, one connection. */
export interface Pglite extends PostgresQueries {
  transaction<T>(work: (tx: PostgresQueries) => Promise<T>): Promise<T>;
  listen(channel: string, heard: () => void): Promise<() => Promise<void>>;
}

export type Row = Readonly<Record<string, unknown>>;

export interface Connection {
  query(text: string, values?: unknown[]): Promise<readonly Row[]>;
  /** The store that it must lead to; undefined: none is known yet. */
  readonly storeId: string | undefined;
  /** The client itself, for the effects that write through it. */
  readonly client: PostgresQueries;
  /**
   * Whether the server warned of anything since the connection was taken. A warning in a commit may
   * say that the wait for a standby was cancelled: what was acknowledged then may be lost in a failover.
   */
  warned(): boolean;
  /** Gives it up before its time: it has failed, and keeps its place from another one. */
  discard(): void;
}

/** A transaction that was begun here. */
export interface Begun {
  /** What the server calls it. */
  readonly number: string;
  /** Milliseconds since 1970 by the server's clock. */
  readonly at: number;
}

/** What came of a transaction that was committed, and whether the server warned of anything in it. */
export interface Committed<T> {
  readonly result: T;
  readonly warned: boolean;
}

export interface Connections {
  /** A database inside of this process: how durable it is is its own affair, and said where it is made. */
  readonly isEmbedded: boolean;
  /** How many connections there are. */
  readonly size: number;
  /** Takes a connection for a while. One that failed in a way that leaves its state unknown is not given back. */
  use<T>(work: (connection: Connection) => Promise<T>): Promise<T>;
  /** The same within a transaction: committed at the end, rolled back where the work throws. */
  transaction<T>(work: (connection: Connection, begun: Begun) => Promise<T>): Promise<Committed<T>>;
  /** Takes one to listen on, until it breaks or is let go; undefined: there is none to be had. */
  listen?(channel: string, heard: () => void, broken: () => void): Promise<() => void>;
}

export interface ConnectionsOptions {
  readonly pool: PostgresPool | Pglite;
  /**
   * For a connection, and for each statement: without an end of its own a call over a network that
   * swallows packets waits for ever.
   */
  readonly timeoutMs: number;
  /** The store that all of them must lead to; undefined: none is known yet. */
  readonly storeId: () => string | undefined;
  /** Looks at each connection that was not used before: it may lead to another server, or to the same one after a crash. */
  readonly inspect: (connection: Connection) => Promise<void>;
}

export function connectionsOf(options: ConnectionsOptions): Connections {
  const { pool } = options;
  if (isPool(pool)) return pooled(pool, options);
  if (typeof pool?.query === "function" && typeof pool.transaction === "function") {
    return single(pool, options);
  }
  throw new GuardError("invalid_request", "`pool` must be a Pool of `pg`, or a PGlite.");
}

function isPool(pool: PostgresPool | Pglite): pool is PostgresPool {
  return typeof pool === "object" && pool !== null && "connect" in pool;
}

function pooled(
  pool: PostgresPool,
  { timeoutMs, storeId, inspect }: ConnectionsOptions,
): Connections {
  const known = new WeakSet<PostgresClient>();
  /** Never one that somebody gave back in the midst of a transaction: a commit in it would be none. */
  const take = async (): Promise<PostgresClient> => {
    for (;;) {
      const client = await takeAny();
      const status = client.getTransactionStatus?.() ?? "I";
      if (status === "I") return client;
      client.release(true);
    }
  };
  const takeAny = async (): Promise<PostgresClient> => {
    const taken = pool.connect();
    try {
      return await inTime(taken, timeoutMs, "No connection was to be had");
    } catch (error) {
      // It may still come: it must not be kept from the others.
      taken.then((client) => client.release()).catch(() => undefined);
      throw error;
    }
  };
  const connections: Connections = {
    isEmbedded: false,
    size: pool.options?.max ?? usualSize,
    async use(work) {
      const client = await take();
      let warned = false;
      const heed = ({ severity }: Notice): void => {
        if (!harmless.test(severity ?? "")) warned = true;
      };
      client.on("notice", heed);
      client.on("error", ignore);
      const giveBack = once((destroy: boolean) => {
        client.removeListener("notice", heed);
        client.removeListener("error", ignore);
        client.release(destroy);
      });
      let broken = true;
      try {
        const connection: Connection = {
          client,
          query: (text, values) => timed(client, text, values, timeoutMs),
          storeId: storeId(),
          warned: () => warned,
          discard: () => giveBack(true),
        };
        if (!known.has(client)) await inspect(connection);
        known.add(client);
        const result = await work(connection);
        broken = false;
        return result;
      } catch (error) {
        broken = breaksConnection(error);
        throw error;
      } finally {
        giveBack(broken);
      }
    },
    async transaction(work) {
      // What the work throws is told apart: after a rollback the connection is as good as before.
      const ended = await connections.use(async (connection) => {
        const begun = begunBy(await answerOf(connection.client, begin, undefined, timeoutMs));
        const done = await work(connection, begun).then(
          (result) => ({ result }),
          (error: unknown) => ({ error }),
        );
        const end = "error" in done ? "ROLLBACK" : "COMMIT";
        const { command = end } = await answerOf(connection.client, end, [], timeoutMs);
        if (command !== end) throw unavailable("A statement had failed: all was rolled back.");
        return { ...done, warned: connection.warned() };
      });
      if ("error" in ended) throw ended.error;
      return ended;
    },
  };
  // Listening holds a connection, and so does a transaction: one must be left for the rest.
  if (connections.size < leastToListen) return connections;
  return {
    ...connections,
    async listen(channel, heard, broken) {
      const client = await take();
      const lost = (): void => {
        stop();
        broken();
      };
      const stop = once(() => {
        client.removeListener("notification", heard);
        client.removeListener("error", lost);
        client.removeListener("end", lost);
        client.on("error", ignore);
        client.release(true);
      });
      client.on("error", lost);
      client.on("end", lost);
      client.on("notification", heard);
      try {
        await timed(client, `LISTEN ${channel}`, [], timeoutMs);
      } catch (error) {
        stop();
        throw error;
      }
      return stop;
    },
  };
}

function single(db: Pglite, { timeoutMs, storeId }: ConnectionsOptions): Connections {
  const over = (client: PostgresQueries): Connection => ({
    client,
    query: (text, values) => timed(client, text, values, timeoutMs),
    storeId: storeId(),
    warned: () => false,
    discard: ignore,
  });
  return {
    isEmbedded: true,
    size: 1,
    use: (work) => work(over(db)),
    transaction: (work) =>
      db.transaction(async (tx) => {
        await tx.query(isolation);
        const result = await work(over(tx), begunBy(await tx.query(whatBegan)));
        // Fails where a statement had failed and its error was kept from us: nothing would land then.
        await tx.query("SELECT 1");
        return { result, warned: false };
      }),
    async listen(channel, heard) {
      const stop = await db.listen(channel, heard);
      return () => void stop();
    },
  };
}

/** What `pg` takes where nothing is said. */
const usualSize = 10;
const leastToListen = 3;

/** A case that is renewed meanwhile could never be settled from an older view of it. */
const level = "ISOLATION LEVEL READ COMMITTED";
const isolation = `SET TRANSACTION ${level}`;
const whatBegan = `SELECT pg_current_xact_id()::text AS number, ${serverTime} AS at`;
/** In one round trip. */
const begin = `BEGIN ${level}; ${whatBegan}`;

/** Several statements are answered one by one: the last answer counts. */
function begunBy(answer: PostgresAnswer | readonly PostgresAnswer[]): Begun {
  const row = [answer].flat().at(-1)?.rows[0] as Row | undefined;
  return { number: textIn(row, "number"), at: numberIn(row, "at") };
}

/** A connection that somebody else takes care of. */
export function connectionOver(client: PostgresQueries, storeId: string): Connection {
  return {
    client,
    storeId,
    async query(text, values) {
      const { rows } = await client.query(text, values);
      return rows as readonly Row[];
    },
    warned: () => false,
    discard: ignore,
  };
}

async function timed(
  client: PostgresQueries,
  text: string,
  values: unknown[] | undefined,
  timeoutMs: number,
): Promise<readonly Row[]> {
  const { rows } = await answerOf(client, text, values, timeoutMs);
  return rows as readonly Row[];
}

function answerOf(
  client: PostgresQueries,
  text: string,
  values: unknown[] | undefined,
  timeoutMs: number,
): Promise<PostgresAnswer> {
  return inTime(client.query(text, values), timeoutMs, "The server did not answer");
}

function inTime<T>(work: Promise<T>, ms: number, facts: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(unavailable(`${facts} in ${ms} ms.`)), ms);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/** After an error that the server told, the connection is as it was. After any other, nobody knows. */
function breaksConnection(error: unknown): boolean {
  return stateOf(error) === undefined || storeError(error).code === "store_unavailable";
}

function once<A extends unknown[]>(work: (...args: A) => void): (...args: A) => void {
  let done = false;
  return (...args) => {
    if (done) return;
    done = true;
    work(...args);
  };
}

function ignore(): void {
  // The statement under way fails with the same error, or there is nothing to be done.
}

export function numberIn(row: Row | undefined, name: string): number {
  const value = row?.[name];
  const number = typeof value === "string" ? Number(value) : Number.NaN;
  if (Number.isSafeInteger(number)) return number;
  throw new GuardError("store_corrupt", `The database answered no number for "${name}".`);
}

export function textIn(row: Row | undefined, name: string): string {
  const value = row?.[name];
  if (typeof value === "string") return value;
  throw new GuardError("store_corrupt", `The database answered no text for "${name}".`);
}
