/** `npm run simulate`: many seeds, or one with all that happened in it. */
import { type ParseArgsConfig, parseArgs } from "node:util";
import { createProgress } from "../../src/cli/progress.ts";
import type { Act } from "../../src/testing/simulation/plan.ts";
import { shrink } from "../../src/testing/simulation/shrink.ts";
import { simulate } from "../../src/testing/simulation/simulate.ts";
import { bugs } from "./bugs.ts";
import { runSeeds } from "./crew.ts";
import { hunt } from "./hunt.ts";
import { fewestFaults, totalOf, unlike } from "./total.ts";

const usage = `npm run simulate -- [options]

Runs the guard in simulated worlds and asserts the promises after each step. The same seed is the same world.

  --seeds N    how many worlds (default 10,000)
  --from S     the first seed (default 1)
  --twice      run each a second time: what happens must be the same
  --seed X     one world, and all that happens in it; one that breaks a promise is cut down first
  --keep IDS   with --seed: only these acts of its plan (1,5,9)
  --planted    plant each known bug into a copy of the sources, and hunt it with the seeds (default 50,000)
`;

const { values } = asked({
  options: {
    seeds: { type: "string" },
    from: { type: "string", default: "1" },
    twice: { type: "boolean", default: false },
    seed: { type: "string" },
    keep: { type: "string" },
    planted: { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  },
});

if (values.help) console.log(usage);
else if (values.seed !== undefined) await one(whole("seed", values.seed), values.keep);
else if (values.planted) await planted(whole("seeds", values.seeds ?? "50000"));
else await many(whole("seeds", values.seeds ?? "10000"));

/** What was mistyped is told in a sentence. */
function asked<const T extends ParseArgsConfig>(config: T): ReturnType<typeof parseArgs<T>> {
  try {
    return parseArgs(config);
  } catch (error) {
    return wrong((error as Error).message);
  }
}

function wrong(what: string): never {
  console.error(`${what}\n\n${usage}`);
  process.exit(2);
}

function whole(name: string, text: string): number {
  const value = Number(text.replaceAll(/[,_]/g, ""));
  return Number.isSafeInteger(value) && value >= 1
    ? value
    : wrong(`--${name} must be a whole number from 1 on.`);
}

async function many(seeds: number): Promise<void> {
  const from = whole("from", values.from);
  const bar = createProgress("simulation", process.stderr);
  const options = {
    from,
    seeds,
    stopsAtFault: false,
    progress: (done: number) => bar.show(done, seeds, "seeds"),
  };
  const pieces = await runSeeds(options);
  const differing = values.twice ? unlike(pieces, await runSeeds(options), from) : [];
  bar.end();
  const total = totalOf(pieces);
  for (const [kind, count] of Object.entries(total.counts).sort()) {
    console.log(`${String(count).padStart(10)}  ${kind}`);
  }
  for (const kind of total.neverFired) console.log(`     never  ${kind}`);
  for (const { seed, fault } of total.broken.slice(0, 20)) {
    console.log(`\n${fault}\n  npm run simulate -- --seed ${seed}`);
  }
  for (const seed of differing) console.log(`\nTwo runs of seed ${seed} differ.`);
  console.log(
    `\n${total.seeds} seeds from ${from}, ${total.faults} faults (at least ${total.fewestFaults} a seed), ` +
      `${total.starts} effects, ${total.settled} receipts, trace ${total.traceHash}: ` +
      `${total.broken.length} promises broken`,
  );
  const isVoid = total.neverFired.length > 0 || total.fewestFaults < fewestFaults;
  if (isVoid) console.log("Void: some of the faults never came about. Run more seeds.");
  process.exitCode = isVoid || total.broken.length + differing.length > 0 ? 1 : 0;
}

async function one(seed: number, keep: string | undefined): Promise<void> {
  const kept =
    keep === undefined ? {} : { keep: new Set(keep.split(",").map((id) => whole("keep", id))) };
  let run = await simulate({ seed, ...kept, keepsTrace: true });
  if (run.fault !== undefined && keep === undefined) {
    run = await shrink({ seed, keepsTrace: true });
    console.log(`Cut down to ${run.acts.length} acts:\n`);
    for (const act of run.acts) console.log(actText(act));
    const ids = run.acts.map((act) => act.id).join();
    console.log(`\nnpm run simulate -- --seed ${seed} --keep ${ids}\n`);
  }
  for (const line of run.trace) console.log(line);
  console.log(`\n${run.fault ?? "All promises held."} Trace ${run.traceHash}.`);
  process.exitCode = run.fault === undefined ? 0 : 1;
}

async function planted(seeds: number): Promise<void> {
  for (const bug of bugs) {
    const found = await hunt(bug, { from: whole("from", values.from), seeds });
    const where = found.seed === null ? "NOT FOUND" : `seed ${found.seed}`;
    const what = found.fault ?? "";
    console.log(`${where}, ${found.seconds.toFixed(1)} s: ${bug.name}\n    ${what}`);
    if (found.seed === null) process.exitCode = 1;
  }
}

function actText({ id, at, do: what, ...rest }: Act): string {
  const details = Object.entries(rest).map(([name, value]) => `${name} ${String(value)}`);
  return `  ${id}  at ${at}: ${what}, ${details.join(", ")}`;
}
