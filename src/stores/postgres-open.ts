import { createRequire } from "node:module";
import type { Socket } from "node:net";
import { GuardError } from "../core/errors.ts";
import type { Store } from "../core/store.ts";
import { postgresStore } from "./postgres.ts";
import type { PostgresPool } from "./postgres-client.ts";
import { ownSockets } from "./postgres-sockets.ts";

/** What a pool of this store's own is made with. */
interface PoolOptions {
  readonly connectionString: string;
  readonly application_name: string;
  readonly max: number;
  readonly keepAlive: boolean;
  readonly connectionTimeoutMillis: number;
  readonly stream: () => Socket;
}

/** For so long a server may take to end the connections of a pool that is closed. */
const farewellMs = 1_000;

interface OwnPool extends PostgresPool {
  on(event: "error", listener: () => void): unknown;
  end(): Promise<void>;
}

/**
 * A store at an address, with a pool of its own that ends with it. `schema` may stand in the address:
 * `postgres://user@host/database?schema=payments`.
 */
export function openPostgres(address: string): Store {
  const url = urlOf(address);
  const schema = url.searchParams.get("schema");
  url.searchParams.delete("schema");
  const Pool = loadPool();
  const sockets = ownSockets();
  const pool = new Pool({
    connectionString: url.href,
    application_name: "safeagent",
    max: 10,
    keepAlive: true,
    // Without it a connection that was begun while the network swallowed everything holds its place for minutes.
    connectionTimeoutMillis: 10_000,
    stream: sockets.make,
  });
  // A connection that breaks while nobody uses it is replaced; without a listener it would end the process.
  pool.on("error", () => {});
  const store = postgresStore({ pool, ...(schema === null ? {} : { schema }) });
  let closing: Promise<void> | undefined;
  return {
    ...store,
    close() {
      closing ??= store.close().then(() => {
        // A server that says nothing ends no connection: it must not keep the process.
        pool.end().catch(() => undefined);
        return sockets.closed(farewellMs);
      });
      return closing;
    },
  };
}

function urlOf(address: string): URL {
  try {
    // The driver decodes it only when it connects.
    decodeURIComponent(address);
    return new URL(address);
  } catch (cause) {
    // Without its text: an address holds a password.
    throw new GuardError("invalid_request", "The address of the database is not a URL.", {
      next: "Write it as postgres://user:password@host:port/database, with special characters percent-encoded.",
      cause: cause instanceof Error ? cause.name : undefined,
    });
  }
}

/** `pg` is the application's to install: who has no Postgres needs no driver. */
function loadPool(): new (options: PoolOptions) => OwnPool {
  try {
    const { Pool } = createRequire(import.meta.url)("pg") as {
      readonly Pool: new (options: PoolOptions) => OwnPool;
    };
    return Pool;
  } catch (cause) {
    throw new GuardError("invalid_request", 'A postgres address needs the package "pg".', {
      next: "Install it: npm install pg",
      cause,
    });
  }
}
