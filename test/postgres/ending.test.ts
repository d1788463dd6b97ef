import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { expect, onTestFinished, test } from "vitest";
import { childrenOf } from "./servers/owned.ts";
import { type Server, startServer } from "./servers/server.ts";

/** Stops all of a server's processes where they are: connections stay open, and nobody answers. */
function freeze(server: Server): () => void {
  const pids = [server.pid()];
  process.kill(server.pid(), "SIGSTOP");
  for (const pid of childrenOf(server.pid())) {
    process.kill(pid, "SIGSTOP");
    pids.push(pid);
  }
  return () => {
    for (const pid of pids) process.kill(pid, "SIGCONT");
  };
}

function started(url: string): {
  readonly child: ChildProcess;
  readonly line: () => Promise<string | undefined>;
} {
  const program = new URL("./programs/ending.ts", import.meta.url).pathname;
  const child = spawn(process.execPath, [program, url], { stdio: ["pipe", "pipe", "inherit"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  return { child, line: async () => (await lines.next()).value };
}

async function server(): Promise<Server> {
  const own = await startServer();
  onTestFinished(() => own.stop());
  return own;
}

test("a server that says nothing any more: a process that closes its guard ends all the same", async () => {
  const own = await server();
  const { child, line } = started(own.url);
  expect(await line()).toBe("ready");
  const thaw = freeze(own);
  onTestFinished(thaw);
  const ended = once(child, "exit");
  child.stdin!.end("end\n");
  expect(await line()).toBe("closed");
  // The server says nothing still: nobody but the process itself has ended it.
  expect(await ended).toEqual([0, null]);
});

test("a server that is well: it is told of the end of each connection, and none breaks", async () => {
  const own = await server();
  const { child, line } = started(own.url);
  expect(await line()).toBe("ready");
  const ended = once(child, "exit");
  child.stdin!.end("end\n");
  expect(await line()).toBe("closed");
  expect(await ended).toEqual([0, null]);
  const log = readFileSync(join(own.folder, "server.log"), "utf8");
  expect(log).not.toMatch(/unexpected EOF|reset by peer/);
});
