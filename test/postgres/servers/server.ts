import { readFileSync } from "node:fs";
import { platform } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type Binaries, embedded } from "./binaries.ts";
import { giveUp, killWithChildren, type Owned, ownFolder, run, startOwned } from "./owned.ts";
import { onFreePort } from "./ports.ts";

/** A PostgreSQL of this process's own, on loopback and on a socket in its folder. */
export interface Server {
  readonly url: string;
  readonly port: number;
  readonly folder: string;
  /** Of the postmaster; 0 while there is none. */
  pid(): number;
  /** `immediate` is a crash as PostgreSQL sees it: the log is replayed. `fast` is an orderly end. */
  restart(mode: "immediate" | "fast"): Promise<void>;
  /** SIGKILL for all of its processes. `start` starts it again. */
  kill(): Promise<void>;
  start(): Promise<void>;
  /** Ends it; its folder goes away soon after. */
  stop(): Promise<void>;
}

export interface ServerOptions {
  /** Over the defaults, which are as durable as PostgreSQL is shipped. */
  readonly settings?: Readonly<Record<string, string | number>>;
  readonly binaries?: Binaries;
}

/** How a new folder gets its cluster: made here, or copied from a running server. */
export type Fill = (data: string) => Promise<void>;

const defaults = {
  fsync: "on",
  full_page_writes: "on",
  synchronous_commit: "on",
  max_connections: 200,
  listen_addresses: "127.0.0.1",
  // After a crash everything is synced again: at once, where that can be done, in place of file by file.
  ...(platform() === "linux" && { recovery_init_sync_method: "syncfs" }),
};

export function startServer(options: ServerOptions = {}): Promise<Server> {
  const binaries = options.binaries ?? embedded();
  return serverFrom(binaries, options.settings ?? {}, async (data) => {
    await run("/", "cp", ["-R", await templateOf(binaries), data]);
  });
}

export async function serverFrom(
  binaries: Binaries,
  settings: Readonly<Record<string, string | number>>,
  fill: Fill,
): Promise<Server> {
  const folder = ownFolder();
  const data = join(folder, "data");
  const all = { ...defaults, unix_socket_directories: folder, ...settings };
  const flags = Object.entries(all).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const launch = (port: number): Promise<Owned> => {
    const args = ["-D", data, "-p", String(port), ...flags];
    const owned = startOwned(folder, "server", join(binaries.folder, "postgres"), args);
    return ready(owned, data);
  };
  let running: Owned | undefined;
  let port: number;
  try {
    await fill(data);
    [running, port] = await onFreePort(launch);
  } catch (error) {
    giveUp(folder);
    throw error;
  }
  const end = async (signal: "SIGQUIT" | "SIGINT"): Promise<void> => {
    if (running === undefined) return;
    const { pid, ended, hasEnded } = running;
    if (!hasEnded()) process.kill(pid, signal);
    await ended();
    running = undefined;
  };
  const start = async (): Promise<void> => {
    running ??= await launch(port);
  };
  return {
    url: `postgres://postgres@127.0.0.1:${port}/postgres`,
    port,
    folder,
    pid: () => running?.pid ?? 0,
    async restart(mode) {
      await end(mode === "immediate" ? "SIGQUIT" : "SIGINT");
      await start();
    },
    async kill() {
      if (running === undefined) return;
      await killWithChildren(running);
      running = undefined;
    },
    start,
    async stop() {
      giveUp(folder);
      await running?.ended();
      running = undefined;
    },
  };
}

const templates = new Map<string, Promise<string>>();

/** A new cluster, made once: copying it is several times as quick. */
function templateOf({ folder }: Binaries): Promise<string> {
  let template = templates.get(folder);
  if (template === undefined) {
    template = newCluster(folder);
    templates.set(folder, template);
  }
  return template;
}

async function newCluster(binaries: string): Promise<string> {
  const data = join(ownFolder(), "data");
  // The order of a natural language, as most servers have it: code that counts on the order of bytes must say so.
  const locale = ["--locale=C", "--locale-provider=icu", "--icu-locale=en-US"];
  const options = ["-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"];
  await run("/", join(binaries, "initdb"), [...options, ...locale]);
  return data;
}

async function ready(owned: Owned, data: string): Promise<Owned> {
  for (;;) {
    if (owned.hasEnded()) throw new Error(`The server did not start:\n${owned.log()}`);
    const [pid, , , , , , , status] = postmasterFile(data);
    if (Number(pid) === owned.pid && /^(ready|standby)/.test(status ?? "")) return owned;
    await delay(5);
  }
}

function postmasterFile(data: string): string[] {
  try {
    return readFileSync(join(data, "postmaster.pid"), "utf8").split("\n");
  } catch {
    return []; // not written yet
  }
}
