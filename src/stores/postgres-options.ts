import { GuardError } from "../core/errors.ts";
import type { Pglite, PostgresPool } from "./postgres-client.ts";
import { schemaName } from "./postgres-schema.ts";

export interface PostgresStoreOptions {
  /**
   * A Pool of `pg`, or a PGlite. It stays the caller's, and is not ended with the store. Transactional
   * effects hold a connection each, and leave three of the pool to all other calls.
   */
  readonly pool: PostgresPool | Pglite;
  /** The schema that the tables are kept in; made where there is none. Default `safeagent`. */
  readonly schema?: string;
  /** How long a statement may take, and how long a connection may be waited for; default 10 seconds. */
  readonly timeoutMs?: number;
  /** How long a call goes on trying, in all and from its beginning, while the server is away or others hold what it needs; default 5 seconds. */
  readonly busyMs?: number;
}

export interface CheckedOptions {
  readonly pool: PostgresPool | Pglite;
  /** As statements have it. */
  readonly schema: string;
  /** The name under which all stores of one schema call and hear each other. */
  readonly channel: string;
  readonly timeoutMs: number;
  readonly busyMs: number;
}

/** What Node's timers take. */
const longestMs = 2_147_483_647;

/** Refuses what can't work, before anything waits for it. */
export function checkedOptions(options: PostgresStoreOptions): CheckedOptions {
  // Called without types it may be anything.
  if (typeof options !== "object" || options === null) {
    throw new GuardError("invalid_request", "The options must be an object with a `pool`.");
  }
  const { pool, schema = "safeagent", timeoutMs = 10_000, busyMs = 5_000 } = options;
  if (typeof pool === "object" && pool !== null && "escapeLiteral" in pool) {
    throw new GuardError(
      "invalid_request",
      "`pool` is a Client of `pg`: one connection is too few.",
      {
        next: "Give a Pool: new Pool({ connectionString }).",
      },
    );
  }
  return {
    pool,
    schema: schemaName(schema),
    channel: `${schema}_changes`,
    timeoutMs: span("timeoutMs", timeoutMs, 1),
    busyMs: span("busyMs", busyMs, 0),
  };
}

function span(name: string, ms: number, least: number): number {
  if (Number.isFinite(ms) && ms >= least && ms <= longestMs) return ms;
  throw new GuardError(
    "invalid_request",
    `\`${name}\` must be milliseconds: a number from ${least} to ${longestMs}.`,
  );
}
