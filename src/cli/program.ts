import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { cases } from "./cases.ts";
import { crashLab } from "./crash-lab.ts";
import { demo } from "./demo.ts";
import { exits, failureOf } from "./failure.ts";
import { mcp } from "./mcp.ts";
import { resolve } from "./resolve.ts";
import { review } from "./review.ts";

/** Runs what a command line says; answers the exit code. */
export async function run(argv: readonly string[]): Promise<number> {
  watchOutput();
  // A defect of ours: in words, like everything else.
  process.on("uncaughtException", (error) => process.exit(tell(error, argv)));
  const program = commands();
  if (argv.length <= 2) {
    program.outputHelp();
    return 0;
  }
  try {
    await program.parseAsync(argv);
    return Number(process.exitCode ?? 0);
  } catch (error) {
    // Commander has printed its own message by now.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : exits.usage;
    return tell(error, argv);
  }
}

function commands(): Command {
  const program = new Command("safeagent")
    .description(
      "An execution guard for AI agents: an irreversible action runs at most once,\nand every repeat gets the original receipt.",
    )
    .version(version(), "-V, --version", "print the version")
    .helpOption("-h, --help", "print this help")
    .helpCommand("help [verb]", "print the help of a verb")
    .configureOutput({
      outputError: (text, write) => write(text.replace(/^error:/, "safeagent:")),
    })
    .showHelpAfterError("(safeagent --help shows what there is)")
    // Commander would end the process itself, with 1 for wrong usage.
    .exitOverride();
  const asked = [cases(), review("approve"), review("deny"), resolve()];
  for (const verb of [mcp(), ...asked, demo(), crashLab()]) {
    program.addCommand(verb.copyInheritedSettings(program));
  }
  return program;
}

/** Says what failed: in words on stderr, or as JSON on stdout where JSON was asked for. Answers the exit code. */
function tell(error: unknown, argv: readonly string[]): number {
  const { exit, ...failure } = failureOf(error);
  if (argv.includes("--json")) {
    process.stdout.write(`${JSON.stringify({ ok: false, ...failure }, null, 2)}\n`);
  } else {
    process.stderr.write(`safeagent: ${failure.message}\n`);
  }
  return exit;
}

/** A reader that leaves early (`safeagent … | head`) is no failure; a full disk is one. */
function watchOutput(): void {
  let failed = false;
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE" || failed) return;
    failed = true;
    process.stderr.write(`safeagent: the output can't be written: ${error.message}\n`);
  });
  process.on("exit", () => {
    if (failed) process.exitCode = exits.failed;
  });
}

function version(): string {
  const manifest = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return String((JSON.parse(manifest) as { version: unknown }).version);
}
