import { readFileSync } from "node:fs";
import { Client } from "pg";

/** Counts what a database server does, of its own accord and for others. */
export interface ServerWatch {
  cpuMs(): number;
  /** Bytes in its log so far. */
  walBytes(): Promise<number>;
  close(): Promise<void>;
}

export const noServer: ServerWatch = {
  cpuMs: () => 0,
  walBytes: async () => 0,
  close: async () => {},
};

export async function watchServer(pid: number, address: string): Promise<ServerWatch> {
  const client = new Client({ connectionString: address });
  await client.connect();
  return {
    cpuMs: () => cpuMs(pid),
    async walBytes() {
      const { rows } = await client.query(
        "SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::float8 AS bytes",
      );
      return rows[0].bytes;
    },
    close: () => client.end(),
  };
}

const ticksPerSecond = 100;

/** Of the postmaster, its children, and those that have ended. Linux alone tells; elsewhere it is 0. */
function cpuMs(pid: number): number {
  try {
    const [own, ended] = ticks(pid);
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ");
    const running = children.filter(Boolean).map((child) => ticks(Number(child))[0]);
    const all = running.reduce((sum, one) => sum + one, own + ended);
    return (all * 1_000) / ticksPerSecond;
  } catch {
    return 0;
  }
}

function ticks(pid: number): readonly [own: number, ofEndedChildren: number] {
  try {
    // The name in the second field may hold anything, so the fields are counted from its end.
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ") ?? [];
    const [user = 0, system = 0, endedUser = 0, endedSystem = 0] = fields.slice(11, 15).map(Number);
    return [user + system, endedUser + endedSystem];
  } catch {
    return [0, 0]; // ended meanwhile
  }
}
