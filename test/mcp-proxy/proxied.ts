import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import { connect, type Place, type Revision, type TestClient, type User } from "./clients.ts";
import { letEnd } from "./servers/ground.ts";

export type Transport = "stdio" | "http";

/** A server, proxies before it on one store, their clients, and a ledger. */
export interface Scene extends AsyncDisposable {
  /** The server itself. */
  direct(): Promise<Place>;
  /** The same through a proxy, always on one store. */
  proxied(): Promise<Place>;
  /** A client of the proxy, or of the server itself; they all have one user. */
  connect(through?: "proxy" | "nothing"): Promise<TestClient>;
  readonly user: User;
  /** What the tools did, in order: `pay A1`. */
  did(order?: string): string[];
  /** Waits until the tools did so with an order. */
  untilDid(order: string, ...lines: readonly string[]): Promise<void>;
  letEnd(order: string): void;
  /** Kills the server with SIGKILL while a tool runs in it; over HTTP another one takes its place. */
  killServer(tool: string): Promise<void>;
  /** Kills the proxy with SIGKILL; over stdio it is the client's own process. */
  killProxy(clientPid: number | null): Promise<void>;
}

/** One tool waits for approval; the rest is as the server says. */
const config = { server: "fixture", tools: { wire: { policy: { kind: "approval" } } } };

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const main = here("../../src/cli/main.ts");

export function scene(revision: Revision, transport: Transport): Scene {
  const folder = mkdtempSync(join(tmpdir(), "safeagent-mcp-"));
  const closings = [async () => rmSync(folder, { recursive: true, force: true })];
  const user: User = { agrees: true, asked: [] };
  const ledger = join(folder, "ledger");
  const configFile = join(folder, "safeagent.config.json");
  writeFileSync(configFile, JSON.stringify(config));
  const program = here(transport === "stdio" ? "./servers/stdio.ts" : "./servers/http.ts");
  const server = [program, revision.sdk, ledger];
  // A short lease: a killed proxy is known for dead within a second.
  const options = ["--store", join(folder, "store.db"), "--config", configFile, "--lease", "1"];

  let httpServer: Listening | undefined;
  let httpProxy: Listening | undefined;

  const direct = async (): Promise<Place> => {
    if (transport === "stdio") return { command: process.execPath, args: server };
    httpServer ??= await start(server, "stdout", /^(\d+)$/);
    return { url: `http://127.0.0.1:${httpServer.said}/mcp` };
  };

  const lines = () =>
    existsSync(ledger) ? readFileSync(ledger, "utf8").split("\n").slice(0, -1) : [];
  const pidOf = (tool: string) =>
    Number(
      lines()
        .findLast((line) => line.startsWith(`${tool} `))
        ?.split(" ")[2],
    );

  const proxied = async (): Promise<Place> => {
    const place = await direct();
    if (place.url === undefined) {
      const args = [main, "mcp", ...options, "--", place.command, ...place.args];
      return { command: process.execPath, args };
    }
    const args = [main, "mcp", ...options, "--url", place.url, "--listen", "127.0.0.1:0"];
    httpProxy ??= await start(args, "stderr", / at (http:\S+)$/);
    return { url: httpProxy.said };
  };

  const start: typeof listening = async (...how) => {
    const started = await listening(...how);
    closings.unshift(() => ended(started));
    return started;
  };

  const did = (order = "") =>
    lines()
      .map((line) => line.split(" ").slice(0, 2).join(" "))
      .filter((line) => line.endsWith(order));

  return {
    direct,
    proxied,
    user,
    async connect(through = "proxy") {
      const place = through === "proxy" ? await proxied() : await direct();
      const client = await connect(revision, place, user);
      closings.unshift(() => client.close().catch(() => undefined));
      return client;
    },
    did,
    async untilDid(order, ...wanted) {
      await expect.poll(() => did(order), { timeout: 20_000 }).toEqual(wanted);
    },
    async [Symbol.asyncDispose]() {
      for (const close of closings) await close();
    },
    letEnd: (order) => letEnd(ledger, order),
    async killServer(tool) {
      process.kill(pidOf(tool), "SIGKILL");
      if (httpServer === undefined) return;
      const { said, ended } = httpServer;
      await ended;
      httpServer = await start([...server, said], "stdout", /^(\d+)$/);
    },
    async killProxy(clientPid) {
      process.kill(httpProxy?.child.pid ?? Number(clientPid), "SIGKILL");
      await httpProxy?.ended;
      httpProxy = undefined;
    },
  };
}

interface Listening {
  readonly child: ChildProcess;
  readonly said: string;
  readonly ended: Promise<unknown>;
}

/** Starts a program that says where it listens. */
async function listening(
  args: readonly string[],
  at: "stdout" | "stderr",
  pattern: RegExp,
): Promise<Listening> {
  const child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "pipe"] });
  const ended = once(child, "exit");
  const heard: string[] = [];
  for await (const line of createInterface({ input: child[at] })) {
    heard.push(line);
    const [, said] = pattern.exec(line) ?? [];
    if (said === undefined) continue;
    child.stdout.resume();
    child.stderr.resume();
    return { child, said, ended };
  }
  throw new Error(`it did not start: ${heard.join("\n")}`);
}

async function ended({ child, ended }: Listening): Promise<void> {
  child.kill("SIGKILL");
  await ended;
}
