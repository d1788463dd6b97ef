import { type Server as DatabaseServer, startServer } from "../test/postgres/servers/server.ts";
import { makeFolder } from "./folder.ts";
import { describeMachine } from "./machine.ts";
import { type Options, optionsOf, usage } from "./options.ts";
import { type Places, plan } from "./plan.ts";
import { report } from "./report.ts";
import { runAll, stop } from "./run.ts";
import { judge, targets } from "./targets.ts";

/** Over PostgreSQL's defaults, which are for a small machine. What makes it durable is left as it is. */
const settings = { shared_buffers: "1GB", max_wal_size: "8GB" };

const options = read();
if (options === "help") process.stdout.write(usage);
else await bench(options).catch(fail);

function read(): Options | "help" {
  try {
    return optionsOf(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`);
    process.exit(2);
  }
}

function fail(error: unknown): void {
  process.stderr.write(`\n${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}

function placesOf(folder: string, server: DatabaseServer | undefined): Places {
  return server === undefined
    ? { folder }
    : { folder, server: { url: server.url, pid: server.pid() } };
}

async function bench(wanted: Options): Promise<void> {
  const folder = makeFolder();
  process.on("exit", folder.remove);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      stop();
      process.exit(130);
    });
  }
  if (folder.isInMemory) {
    process.stderr.write(
      `${folder.path} is in memory: these figures say nothing about durability.\n`,
    );
  }
  const isJson = wanted.output === "json";
  const line = (kind: string, value: object): void => {
    if (isJson) process.stdout.write(`${JSON.stringify({ kind, ...value })}\n`);
  };
  const server = wanted.stores.includes("postgres") ? await startServer({ settings }) : undefined;
  const machine = describeMachine(folder.path);
  line("machine", { ...machine, seconds: wanted.seconds, rounds: wanted.rounds });
  const tasks = plan(wanted, placesOf(folder.path, server));
  const measurements = await runAll(tasks, wanted.patient, (one) => line("measurement", one));
  await server?.stop();
  for (const target of targets) line("target", judge(target, measurements));
  if (wanted.output === "json") return;
  process.stdout.write(`${report(measurements, machine, wanted, wanted.output)}\n`);
}
