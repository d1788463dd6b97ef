import { span } from "../src/cli/progress.ts";
import type { Campaign } from "./campaign.ts";
import { campaigns } from "./campaigns.ts";
import { type Proved, scoreOf } from "./judge.ts";
import { machineInWords } from "./machine.ts";
import { type Options, optionsOf, usageOf } from "./options.ts";
import { pageWith } from "./page.ts";
import { prove } from "./prove.ts";
import { publish, published } from "./publish.ts";
import { runOf } from "./run.ts";
import { reasonNotToWrite, treeHere } from "./tree.ts";

const names: readonly string[] = campaigns.map(({ name }) => name);

// Folders of campaigns are removed on exit.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
  process.on(signal, () => process.exit(130));

const options = read();
if (options === "help") process.stdout.write(usageOf(names));
else await main(options);

function read(): Options | "help" {
  try {
    return optionsOf(process.argv.slice(2), names);
  } catch (error) {
    return refuse(`${messageOf(error)}\n\n${usageOf(names).trimEnd()}`);
  }
}

function refuse(why: string): never {
  process.stderr.write(`${why}\n`);
  process.exit(2);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

async function main(wanted: Options): Promise<void> {
  const { size, seed, only, write, anyway } = wanted;
  const print = (line: string) => void process.stdout.write(`${line}\n`);
  const tree = treeHere();
  const reason = reasonNotToWrite(tree);
  if (write) {
    if (tree.commit === null || (reason !== undefined && !anyway))
      refuse(`Nothing was run: the figures can't be kept, since ${reason}.`);
    // A page that can't be drawn must show before the hours of a release, not after.
    const { page, runs } = published();
    pageWith(page, runs);
  }
  const machine = machineInWords();
  const at = tree.commit === null ? "no commit" : `commit ${tree.commit.slice(0, 10)}`;
  const changes = tree.changed.length === 0 ? "" : " with changes";
  print(`${size}, seed ${seed}, ${at}${changes}, ${machine}, Node ${process.version}`);

  let unkept = 0;
  const done = (campaign: Campaign, proved: Proved): void => {
    if (!write || !("findings" in proved)) return;
    try {
      publish(runOf(campaign, proved, { options: wanted, machine, tree }), campaigns);
      print("  kept in docs/proof.json, and docs/proof.md is drawn anew");
    } catch (error) {
      unkept += 1;
      print(`  NOT KEPT: ${messageOf(error)}`);
    }
  };

  const chosen = campaigns.filter(({ name }) => only.includes(name));
  const all = await prove(chosen, { size, seed, print, screen: process.stderr, done });
  print("");
  for (const line of table(all)) print(line);
  const { passed, failed } = scoreOf(all);
  if (unkept > 0) print(`\n${unkept} not kept in docs/proof.json`);
  print(`\n${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 && unkept === 0 ? 0 : 1;
}

function table(all: readonly Proved[]): readonly string[] {
  const rows = [
    ["campaign", "passed", "failed", "time"],
    ...all.map((proved) => {
      const { passed, failed } = scoreOf([proved]);
      return [proved.campaign, String(passed), String(failed), span(proved.seconds)];
    }),
  ];
  const widths = [0, 1, 2, 3].map((at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0)))
      .join("  "),
  );
}
