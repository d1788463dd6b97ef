import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createGuard } from "../../src/index.ts";
import { ownFolder, safeagent } from "./safeagent.ts";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const main = here("../../src/cli/main.ts");
const stdioServer = here("../mcp-proxy/servers/stdio.ts");
const httpServer = here("../mcp-proxy/servers/http.ts");

let folder: ReturnType<typeof ownFolder>;
let started: ChildProcess[] = [];
beforeEach(() => {
  folder = ownFolder();
});
afterEach(async () => {
  const running = started.filter(({ exitCode, signalCode }) => (exitCode ?? signalCode) === null);
  started = [];
  await Promise.all(
    running.map((child) => {
      child.kill("SIGKILL");
      return once(child, "exit");
    }),
  );
  folder.remove();
});

/** Starts a program in the test's folder; it ends with the test. */
function start(...args: string[]) {
  return startIn(folder.path, ...args);
}

function startIn(cwd: string, ...args: string[]) {
  const child = spawn(process.execPath, args, { cwd, stdio: "pipe" });
  started.push(child);
  const ended = once(child, "exit") as Promise<[number | null, string | null]>;
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    child,
    ended,
    send: (message: object) => void child.stdin.write(`${JSON.stringify(message)}\n`),
    next: async () => String((await lines.next()).value),
  };
}

const initialize = {
  jsonrpc: "2.0",
  id: 0,
  method: "initialize",
  params: {
    protocolVersion: "2025-11-25",
    capabilities: {},
    clientInfo: { name: "t", version: "1" },
  },
};
const call = (id: number, name: string, order: string) => ({
  jsonrpc: "2.0",
  id,
  method: "tools/call",
  params: { name, arguments: { order } },
});
const fixture = (ledger = "ledger") => [process.execPath, stdioServer, "v1", ledger];

describe("safeagent mcp -- COMMAND", () => {
  test("keeps its cases in safeagent.db, and names the server by its command without showing it", async () => {
    const { send, next, child, ended } = start(main, "mcp", "--", ...fixture("secret-ledger"));
    send(initialize);
    await next();
    send(call(1, "pay", "A1"));
    expect(JSON.parse(await next()).result.content[0].text).toMatch(/^pay A1 did /);
    child.stdin.end();
    expect(await ended).toEqual([0, null]);
    await using guard = createGuard({ store: join(folder.path, "safeagent.db") });
    const { items } = await guard.list();
    expect(items.map(({ state }) => state)).toEqual(["SETTLED"]);
    expect(items[0]?.caseId).toMatch(/^mcp:args\/node%3A[0-9a-f]{12}\/pay\//);
    expect(items[0]?.caseId).not.toContain("secret");
  });

  test("another command is another server: its calls are never answered with the first one's", async () => {
    const said = [];
    for (const ledger of ["one", "two"]) {
      const { send, next, child, ended } = start(main, "mcp", "--", ...fixture(ledger));
      send(initialize);
      await next();
      send(call(1, "pay", "A1"));
      said.push(JSON.parse(await next()).result.content[0].text);
      child.stdin.end();
      await ended;
    }
    expect(new Set(said).size).toBe(2);
    expect(readFileSync(join(folder.path, "two"), "utf8")).toMatch(/^pay A1 /);
  });

  test("the same command in another folder is another server, unless both are given one name", async () => {
    const store = join(folder.path, "s.db");
    const ledger = join(folder.path, "ledger");
    const ask = async (place: string, ...more: string[]) => {
      const cwd = join(folder.path, place);
      mkdirSync(cwd, { recursive: true });
      const args = ["mcp", "--store", store, ...more, "--", ...fixture(ledger)];
      const { send, next, child, ended } = startIn(cwd, main, ...args);
      send(initialize);
      await next();
      send(call(1, "pay", "A1"));
      const said: string = JSON.parse(await next()).result.content[0].text;
      child.stdin.end();
      await ended;
      return said;
    };
    expect(await ask("staging")).not.toBe(await ask("prod"));
    const named = ["--server", "shop"];
    expect(await ask("staging", ...named)).toBe(await ask("prod", ...named));
    expect(readFileSync(ledger, "utf8").trim().split("\n")).toHaveLength(3);
  });

  test("reads safeagent.config.json where it is there, and says how to approve", async () => {
    const config = {
      server: "shop",
      namespace: "n1",
      tools: { pay: { policy: { kind: "approval" } } },
    };
    writeFileSync(join(folder.path, "safeagent.config.json"), JSON.stringify(config));
    const { send, next, child, ended } = start(main, "mcp", "--store", "s.db", "--", ...fixture());
    send(initialize);
    await next();
    send(call(1, "pay", "A1"));
    const { result } = JSON.parse(await next());
    expect(result.isError).toBe(true);
    const store = join(folder.path, "s.db");
    const command: string = result._meta["dev.safeagent/approve"];
    const [, caseId = ""] =
      /^safeagent approve --store \S+\/s\.db --namespace n1 -- (\S+)$/.exec(command) ?? [];
    // The person who runs the proxy reads it, too; a model is told to ask.
    const [told = ""] = await once(child.stderr.setEncoding("utf8"), "data");
    expect(told).toContain(command);
    expect(result.content[0].text).not.toContain("safeagent approve");
    expect(caseId).toContain("shop/pay");
    const guard = createGuard({ store, namespace: "n1", actor: "ana" });
    await guard.approve(caseId, { actor: "ana" });
    await guard.close();
    send(call(2, "pay", "A1"));
    expect(JSON.parse(await next()).result.content[0].text).toMatch(/^pay A1 did /);
    child.stdin.end();
    await ended;
  });

  test.each([
    ["exits", ["-e", "process.exit(7)"], [7, null]],
    ["is killed", ["-e", "process.kill(process.pid, 'SIGKILL')"], [null, "SIGKILL"]],
  ] as const)("ends as its server %s", async (_, args, how) => {
    const { ended } = start(main, "mcp", "--", process.execPath, ...args);
    expect(await ended).toEqual(how);
  });

  test("hands a signal on, and ends as the server does", async () => {
    const { send, next, child, ended } = start(main, "mcp", "--", ...fixture());
    send(initialize);
    await next();
    child.kill("SIGTERM");
    expect(await ended).toEqual([null, "SIGTERM"]);
  });

  test("passes the server's stderr through", async () => {
    const { child } = start(main, "mcp", "--", process.execPath, "-e", "console.error('from it')");
    let said = "";
    for await (const piece of child.stderr.setEncoding("utf8")) said += piece;
    expect(said).toBe("from it\n");
  });

  test("a client that leaves while a server waits for its user's answer: in doubt, at once", async () => {
    const _meta = {
      "io.modelcontextprotocol/protocolVersion": "2026-07-28",
      "io.modelcontextprotocol/clientInfo": { name: "t", version: "1" },
      "io.modelcontextprotocol/clientCapabilities": { elicitation: { form: {} } },
    };
    const server = [process.execPath, stdioServer, "v2", "ledger"];
    const { send, next, child, ended } = start(main, "mcp", "--", ...server);
    const asked = call(1, "confirm", "A1");
    send({ ...asked, params: { ...asked.params, _meta } });
    expect(JSON.parse(await next()).result.resultType).toBe("input_required");
    child.stdin.end();
    expect(await ended).toEqual([0, null]);
    await using guard = createGuard({ store: join(folder.path, "safeagent.db") });
    expect((await guard.list({ states: ["IN_DOUBT"] })).items).toHaveLength(1);
  });
});

describe("safeagent mcp --url", () => {
  const listening = async (version: string) => {
    const server = start(httpServer, version, "ledger");
    return `http://127.0.0.1:${await server.next()}/mcp`;
  };

  test("says where clients connect, without the query, and ends by signal", async () => {
    const url = await listening("v1");
    const args = ["mcp", "--url", `${url}?key=secret`, "--listen", "127.0.0.1:0"];
    const { child, ended } = start(main, ...args);
    let said = "";
    for await (const piece of child.stderr.setEncoding("utf8")) {
      said += piece;
      if (said.includes("\n")) break;
    }
    const [, at = ""] = /^safeagent: guards (?:\S+) at (http:\S+)\n$/.exec(said) ?? [];
    expect(said).toContain(`guards ${url} at`);
    expect((await fetch(at, { method: "DELETE" })).status).toBeGreaterThanOrEqual(400);
    child.kill("SIGTERM");
    expect(await ended).toEqual([143, null]);
  });

  test("tells callers apart by the headers that the config names, and names the server as it is told to", async () => {
    const calls: unknown[] = [];
    const server = createServer(async (request, response) => {
      const { id, method, params } = JSON.parse(await text(request));
      if (method === "tools/call") calls.push(params.arguments.order);
      const result = method === "tools/list" ? { tools: [{ name: "pay" }] } : { content: [] };
      response.writeHead(200, { "Content-Type": "application/json" });
      response.end(JSON.stringify({ jsonrpc: "2.0", id, result }));
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const config = join(folder.path, "config.json");
    writeFileSync(config, JSON.stringify({ principalHeaders: ["X-Tenant"] }));
    const args = ["--config", config, "--listen", "127.0.0.1:0", "--server", "shop"];
    const { child } = start(main, "mcp", "--url", `http://127.0.0.1:${port}/mcp`, ...args);
    const [line = ""] = await once(child.stderr.setEncoding("utf8"), "data");
    const [, at = ""] = / at (http:\S+)\n$/.exec(line) ?? [];
    for (const tenant of ["a", "b", "a"]) {
      const answer = await fetch(at, {
        method: "POST",
        headers: { "Content-Type": "application/json", "X-Tenant": tenant },
        body: JSON.stringify(call(1, "pay", "A1")),
      });
      expect(await answer.json()).toMatchObject({ id: 1, result: { content: [] } });
    }
    expect(calls).toEqual(["A1", "A1"]);
    await using guard = createGuard({ store: join(folder.path, "safeagent.db") });
    const { items } = await guard.list();
    expect(items.map(({ caseId }) => caseId.split("/")[2])).toEqual(["shop", "shop"]);
    server.close();
  });

  test.each(["v1", "v2"])(
    "--explain asks a server of the SDK %s and makes no store",
    async (version) => {
      const url = await listening(version);
      const { child, ended } = start(main, "mcp", "--explain", "--url", url);
      let said = "";
      for await (const piece of child.stdout.setEncoding("utf8")) said += piece;
      expect(await ended).toEqual([0, null]);
      expect(said).toMatch(/^look\n {2}not guarded/);
      expect(said).toMatch(/\n5 of 6 tools guarded\n$/);
      expect(existsSync(join(folder.path, "safeagent.db"))).toBe(false);
    },
  );
});

test.each(["v1", "v2"])("--explain starts a server of the SDK %s, and ends it", async (version) => {
  const ledger = join(folder.path, "ledger");
  const server = [process.execPath, stdioServer, version, ledger];
  const { code, stdout, stderr } = await safeagent(["mcp", "--explain", "--", ...server]);
  expect([code, stderr]).toEqual([0, ""]);
  expect(stdout).toMatch(/^look\n {2}not guarded/);
  expect(stdout).toMatch(/\n5 of 6 tools guarded\n$/);
  expect(existsSync(ledger)).toBe(false);
});

describe("refused", () => {
  test.each([
    ["no server", [], 2, "Say which server to guard."],
    [
      "two servers",
      ["--url", "http://localhost/mcp", "--", "node"],
      2,
      "Say which server to guard.",
    ],
    ["another kind of address", ["--url", "ftp://localhost"], 2, "http:// or https://"],
    ["credentials in the address", ["--url", "http://a:b@localhost/mcp"], 2, "client's headers"],
    [
      "no port to listen at",
      ["--url", "http://localhost/mcp", "--listen", "localhost"],
      2,
      "HOST:PORT",
    ],
    ["a server of no name", ["--server", " ", "--", "node"], 2, "1 to 255 printable characters"],
    ["a lease of nothing", ["--lease", "0", "--", "node"], 2, "whole number of seconds"],
    ["a config that isn't there", ["--config", "/no/such.json", "--", "node"], 2, "can't be read"],
    [
      "a server that can't be started",
      ["--store", "memory:", "--", "/no/such"],
      1,
      "can't be started",
    ],
    [
      "a server that ends at once",
      ["--explain", "--", process.execPath, "-e", "0"],
      1,
      "has ended",
    ],
    [
      "a server that isn't there",
      ["--explain", "--url", "http://127.0.0.1:1/mcp"],
      1,
      "can't be reached",
    ],
  ])("%s", async (_, args, exit, says) => {
    const { code, stdout, stderr } = await safeagent(["mcp", ...args]);
    expect([code, stdout]).toEqual([exit, ""]);
    expect(stderr).toContain(says);
  });

  test.each([
    ["no JSON", "{", "is not JSON"],
    ["an unknown member", '{"tolls":{}}', '"/tolls"'],
  ])("a config of %s", async (_, text, says) => {
    const config = join(folder.path, "config.json");
    writeFileSync(config, text);
    const { code, stderr } = await safeagent(["mcp", "--config", config, "--", "node"]);
    expect(code).toBe(2);
    expect(stderr).toContain(says);
  });
});
