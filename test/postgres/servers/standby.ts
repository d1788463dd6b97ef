import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Client } from "pg";
import { debian } from "./binaries.ts";
import { run } from "./owned.ts";
import { type Server, serverFrom, startServer } from "./server.ts";

/** A primary, and a standby that follows it. */
export interface Pair {
  readonly primary: Server;
  readonly standby: Server;
  /**
   * Freezes the process that sends to the standby: from then on nothing of what the primary writes gets
   * there, and a synchronous commit waits.
   */
  holdReplication(): Promise<void>;
  /** Kills the primary as a power cut would, makes a primary of the standby, and answers its url. */
  failover(): Promise<string>;
  stop(): Promise<void>;
}

export interface PairOptions {
  /** Whether a commit is acknowledged only when the standby has it on disk. */
  readonly synchronous: boolean;
}

/** Needs Debian's PostgreSQL: the embedded one has no `pg_basebackup`. */
export async function startPair({ synchronous }: PairOptions): Promise<Pair> {
  const binaries = debian();
  const names = synchronous ? "s1" : "";
  const primary = await startServer({ binaries, settings: { synchronous_standby_names: names } });
  const source = `host=127.0.0.1 port=${primary.port} user=postgres application_name=s1`;
  let standby: Server | undefined;
  const stop = async (): Promise<void> => {
    await standby?.stop();
    await primary.stop();
  };
  try {
    standby = await serverFrom(binaries, {}, async (data) => {
      const options = ["-R", "-X", "stream", "-c", "fast", "--no-sync", "-d", source, "-D", data];
      await run("/", join(binaries.folder, "pg_basebackup"), options);
    });
    await senderOf(primary, synchronous);
  } catch (error) {
    await stop();
    throw error;
  }
  const { url, folder } = standby;
  return {
    primary,
    standby,
    async holdReplication() {
      process.kill(await senderOf(primary, synchronous), "SIGSTOP");
    },
    async failover() {
      await primary.kill();
      await run("/", join(binaries.folder, "pg_ctl"), ["promote", "-D", join(folder, "data")]);
      return url;
    },
    stop,
  };
}

/** The primary's process that sends to the standby, once it streams. */
async function senderOf(primary: Server, synchronous: boolean): Promise<number> {
  const client = new Client(primary.url);
  await client.connect();
  try {
    for (;;) {
      const { rows } = await client.query(
        "select pid from pg_stat_replication where state = 'streaming' and sync_state = $1",
        [synchronous ? "sync" : "async"],
      );
      const [sender] = rows as { pid: number }[];
      if (sender !== undefined) return sender.pid;
      await delay(5);
    }
  } finally {
    await client.end();
  }
}
