import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { basename, resolve } from "node:path";
import { Command, InvalidArgumentError, Option } from "commander";
import { createGuard, GuardError } from "../index.ts";
import { type ConfigDefaults, type ProxyConfig, readConfig } from "../mcp-proxy/config.ts";
import { explainText } from "../mcp-proxy/explain.ts";
import { createGate, type Gate } from "../mcp-proxy/gate.ts";
import { isLoopback } from "../mcp-proxy/hosts.ts";
import { openHttp } from "../mcp-proxy/http.ts";
import { introduceHttp, introduceStdio } from "../mcp-proxy/introduce.ts";
import { openStdio } from "../mcp-proxy/stdio.ts";

interface McpOptions {
  readonly store: string;
  readonly config?: string;
  readonly server?: string;
  readonly explain?: boolean;
  readonly lease: number;
  readonly url?: URL;
  readonly listen: Address;
  readonly allowHost: readonly string[];
}

interface Address {
  readonly host: string;
  readonly port: number;
}

/** Which server is guarded. */
type Server =
  | { readonly url: URL }
  | { readonly url?: undefined; readonly command: string; readonly args: readonly string[] };

/** Read where it is there and none is named. */
const usualConfig = "safeagent.config.json";

/** `safeagent mcp`: stands between a client and an MCP server, and guards its tools. */
export function mcp(): Command {
  return new Command("mcp")
    .summary("guard an MCP server's tools: safeagent mcp -- COMMAND … or --url URL")
    .description(
      "Stands between an MCP client and a server. A tool that is not marked read-only runs at\nmost once for calls that mean the same, and every repeat gets the first result.\n\n  safeagent mcp -- npx -y @modelcontextprotocol/server-filesystem /data\n  safeagent mcp --url https://mcp.example.com/mcp",
    )
    .argument("[command...]", "the server's command and its arguments, after --")
    .option("--url <url>", "guard a server at this address (Streamable HTTP) instead", url)
    .option("--store <address>", "a file's path, or postgres://…", "safeagent.db")
    .option("--config <file>", `rules for the tools (default: ${usualConfig}, if it is there)`)
    .option(
      "--server <name>",
      "names the server in the store (default: by command and folder)",
      name,
    )
    .option("--explain", "print what each tool of the server gets and why, and end")
    .option("--lease <seconds>", "after which a call of a proxy that died is in doubt", seconds, 30)
    .addOption(
      new Option("--listen <host:port>", "with --url: where clients connect")
        .argParser(address)
        .default({ host: "127.0.0.1", port: 7117 }, "127.0.0.1:7117"),
    )
    .addOption(
      new Option("--allow-host <name>", "with --url: a further name that clients connect by")
        .argParser(more)
        .default([], "this machine's own"),
    )
    .action(async (command: string[], options: McpOptions) => {
      process.exitCode = await perform(serverOf(command, options.url), options);
    });
}

async function perform(server: Server, options: McpOptions): Promise<number> {
  const config = configOf(server, options);
  if (options.explain === true) return explain(server, config);
  const { store, lease } = options;
  const { namespace } = config;
  await using guard = createGuard({ store, namespace, leaseMs: lease * 1_000, actor });
  const approveCommand = approveWith(store, namespace);
  const tell = (line: string) => void process.stderr.write(`safeagent: ${line}\n`);
  using gate = createGate(guard, config, { approveCommand, tell });
  // Awaited here: guard and gate stay open until then.
  return server.url === undefined
    ? await relay(gate, server.command, server.args)
    : await serve(gate, server.url, config, options);
}

/** Asks the server alone: no store is made or read. */
async function explain(server: Server, config: ProxyConfig): Promise<number> {
  await using guard = createGuard({ store: "memory:", namespace: config.namespace });
  await using introduced = await (server.url === undefined
    ? introduceStdio(server.command, server.args)
    : introduceHttp(server.url));
  const nobody = { principal: undefined, protocolVersion: undefined, elicits: false };
  using gate = createGate(guard, config);
  const explained = await gate.explain(introduced.upstream, nobody);
  process.stdout.write(explainText(explained));
  return 0;
}

/** Who proposes what the proxy's clients ask for, where nothing tells them apart. */
const actor = "safeagent mcp";

/** The command that approves a case, from any folder. */
function approveWith(store: string, namespace: string): (caseId: string) => string {
  const isFile = !/^[a-z][a-z0-9+.-]+:/i.test(store);
  const place = isFile ? resolve(store) : withoutSecrets(new URL(store));
  const where = ["--store", place, ...(namespace === "default" ? [] : ["--namespace", namespace])];
  return (caseId) => ["safeagent", "approve", ...where, "--", caseId].map(quoted).join(" ");
}

function withoutSecrets(address: URL): string {
  return `${address.protocol}//${address.host}${address.pathname}`;
}

/** As a shell takes it for one word. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** Stdin and stdout are the protocol's: nothing else is ever written there. */
async function relay(gate: Gate, command: string, args: readonly string[]): Promise<number> {
  const { stdin: input, stdout: output } = process;
  const proxy = await openStdio(gate, { command, args, input, output });
  const release = onSignal((name) => proxy.signal(name));
  const how = await proxy.ended;
  release();
  if (how.signal === undefined) return how.code;
  // Ends as the server did, once the guard is closed.
  process.once("exit", () => process.kill(process.pid, how.signal));
  return 1;
}

async function serve(
  gate: Gate,
  to: URL,
  { principalHeaders }: ProxyConfig,
  { listen, allowHost }: McpOptions,
): Promise<number> {
  const proxy = await openHttp(gate, { url: to, ...listen, hosts: allowHost, principalHeaders });
  process.stderr.write(`safeagent: guards ${shown(to)} at ${proxy.url}\n`);
  if (!isLoopback(listen.host)) {
    process.stderr.write("safeagent: other machines can connect there.\n");
  }
  const stopped = Promise.withResolvers<number>();
  let signals = 0;
  const release = onSignal((_, exit) => {
    signals += 1;
    // The first one lets guarded calls end and be recorded.
    if (signals > 1) process.exit(exit);
    proxy.close().then(() => stopped.resolve(exit), stopped.reject);
  });
  return stopped.promise.finally(release);
}

const exits = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;

function onSignal(call: (name: NodeJS.Signals, exit: number) => void): () => void {
  const handlers = Object.entries(exits).map(([name, exit]) => ({
    name,
    call: () => call(name as NodeJS.Signals, exit),
  }));
  for (const handler of handlers) process.on(handler.name, handler.call);
  return () => {
    for (const handler of handlers) process.off(handler.name, handler.call);
  };
}

function serverOf(command: readonly string[], to: URL | undefined): Server {
  const [program, ...args] = command;
  if ((program === undefined) === (to === undefined)) {
    throw new GuardError("invalid_request", "Say which server to guard.", {
      next: "safeagent mcp -- COMMAND …, or safeagent mcp --url URL",
    });
  }
  if (to !== undefined) return { url: to };
  return { command: program ?? "", args };
}

function configOf(guarded: Server, { config: named, server }: McpOptions): ProxyConfig {
  const read = configIn(named, { server: nameOf(guarded) });
  // The command line is the nearer word: one config may serve several servers.
  return server === undefined ? read : { ...read, server };
}

function configIn(named: string | undefined, defaults: ConfigDefaults): ProxyConfig {
  const file = named ?? usualConfig;
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    const isMissing = (cause as NodeJS.ErrnoException).code === "ENOENT";
    if (isMissing && named === undefined) return readConfig({}, defaults);
    throw new GuardError("invalid_request", `${file} can't be read.`, { cause });
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    const why = (cause as Error).message;
    throw new GuardError("invalid_request", `${file} is not JSON: ${why}.`, { cause });
  }
  return readConfig(json, defaults);
}

/**
 * Names a server where nobody else does: the same for the same server, and another for another,
 * since calls of one must never be answered with what another did. The same command in another
 * folder may be another server. Arguments and queries may hold secrets, so only their hash is in it.
 * The environment is not: what is in it differs from start to start.
 */
function nameOf(server: Server): string {
  if (server.url !== undefined) {
    const { host, pathname, search } = server.url;
    return `${host}${pathname}${search === "" ? "" : `:${hashOf(search)}`}`;
  }
  const { command, args } = server;
  return `${basename(command)}:${hashOf(JSON.stringify([process.cwd(), command, ...args]))}`;
}

function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 12);
}

/** Without what may be secret. */
function shown(to: URL): string {
  return `${to.origin}${to.pathname}`;
}

function url(text: string): URL {
  const parsed = URL.canParse(text) ? new URL(text) : undefined;
  if (parsed?.protocol === "http:" || parsed?.protocol === "https:") {
    if (parsed.username === "" && parsed.password === "") return parsed;
    throw new InvalidArgumentError("Credentials belong in the client's headers.");
  }
  throw new InvalidArgumentError("It must be an http:// or https:// address.");
}

function address(text: string): Address {
  const parsed = URL.canParse(`http://${text}`) ? new URL(`http://${text}`) : undefined;
  const port = Number(/:(\d{1,5})$/.exec(text)?.[1] ?? Number.NaN);
  if (parsed === undefined || !(port <= 65_535) || parsed.pathname !== "/") {
    throw new InvalidArgumentError("It must be HOST:PORT, as in 127.0.0.1:7117.");
  }
  return { host: parsed.hostname.replace(/^\[|\]$/g, ""), port };
}

function name(text: string): string {
  // As the config has it.
  if (/^(?! +$)[\p{L}\p{M}\p{N}\p{P}\p{S} ]{1,255}$/u.test(text)) return text;
  throw new InvalidArgumentError("It must be 1 to 255 printable characters.");
}

function seconds(text: string): number {
  const number = Number(text);
  if (/^\d{1,5}$/.test(text) && number > 0 && number <= 86_400) return number;
  throw new InvalidArgumentError("It must be a whole number of seconds, at most a day.");
}

function more(text: string, before: readonly string[]): string[] {
  return [...before, text];
}
