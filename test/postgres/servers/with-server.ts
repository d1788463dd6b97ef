import { Pool, type PoolConfig } from "pg";
import { afterAll, beforeAll, onTestFinished } from "vitest";
import { type Server, type ServerOptions, startServer } from "./server.ts";

/** One server for a test file: call it at the file's top. */
export interface FileServer {
  /** There is one only while tests run. */
  readonly server: Server;
  /** A name that no other test of this server has; nothing of that name exists. */
  freshSchema(): string;
  /** A pool on it, ended with the test. */
  pool(config?: PoolConfig): Pool;
}

export function withServer(options?: ServerOptions): FileServer {
  let server: Server | undefined;
  let schemas = 0;
  const started = (): Server => {
    if (server === undefined) throw new Error("The server runs only while tests do.");
    return server;
  };
  beforeAll(async () => {
    server = await startServer(options);
  });
  afterAll(async () => {
    await server?.stop();
    server = undefined;
  });
  return {
    get server() {
      return started();
    },
    freshSchema() {
      schemas += 1;
      return `test_${schemas}`;
    },
    pool(config) {
      const pool = new Pool({ connectionString: started().url, ...config });
      // A server that is killed breaks idle connections, too: that is the test's business.
      pool.on("error", () => undefined);
      onTestFinished(() => pool.end());
      return pool;
    },
  };
}
