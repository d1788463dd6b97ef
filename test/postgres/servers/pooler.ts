import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { giveUp, type Owned, ownFolder, startOwned } from "./owned.ts";
import { onFreePort } from "./ports.ts";
import { isExecutable } from "./user.ts";

/** PgBouncer in front of a server: each transaction may run on another of its connections. */
export interface Pooler {
  readonly url: string;
  readonly port: number;
  stop(): Promise<void>;
}

export interface PoolerOptions {
  readonly to: { readonly port: number };
  /** Connections to the server. */
  readonly size?: number;
}

export async function startPooler({ to, size = 4 }: PoolerOptions): Promise<Pooler> {
  const program = installed();
  const folder = ownFolder();
  const launch = (port: number): Promise<Owned> => {
    const config = join(folder, "pgbouncer.ini");
    writeFileSync(join(folder, "users.txt"), '"postgres" ""\n');
    writeFileSync(config, configOf({ folder, port, to: to.port, size }));
    return listening(startOwned(folder, "pgbouncer", program, [config]), port);
  };
  try {
    const [pooler, port] = await onFreePort(launch);
    return {
      url: `postgres://postgres@127.0.0.1:${port}/postgres`,
      port,
      async stop() {
        giveUp(folder);
        await pooler.ended();
      },
    };
  } catch (error) {
    giveUp(folder);
    throw error;
  }
}

interface Config {
  readonly folder: string;
  readonly port: number;
  readonly to: number;
  readonly size: number;
}

const configOf = ({ folder, port, to, size }: Config) => `
[databases]
* = host=127.0.0.1 port=${to}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir = ${folder}
auth_type = trust
auth_file = ${join(folder, "users.txt")}
pool_mode = transaction
default_pool_size = ${size}
max_client_conn = 500
`;

function installed(): string {
  const path = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"].find(isExecutable);
  if (path === undefined) throw new Error("This test needs Debian's package `pgbouncer`.");
  return path;
}

async function listening(owned: Owned, port: number): Promise<Owned> {
  while (!(await accepts(port))) {
    if (owned.hasEnded()) throw new Error(`PgBouncer did not start:\n${owned.log()}`);
    await delay(5);
  }
  return owned;
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
