import { tmpdir } from "node:os";
import type { Campaign, Findings } from "./campaign.ts";
import type { Proved } from "./judge.ts";
import type { Options } from "./options.ts";
import type { Run } from "./record.ts";
import { reasonNotToWrite, root, type Tree, treeHere } from "./tree.ts";

export interface Circumstances {
  readonly options: Options;
  readonly machine: string;
  /** The files as they were when the run began. */
  readonly tree: Tree;
}

/** What is kept of a campaign that ran. Throws where nobody could run the same again. */
export function runOf(
  campaign: Campaign,
  proved: Extract<Proved, { readonly findings: Findings }>,
  { options, machine, tree }: Circumstances,
  now: Tree = treeHere(),
): Run {
  const reason = options.anyway ? undefined : reasonNotToWrite(now);
  if (reason !== undefined) throw new Error(reason);
  if (now.commit === null || now.commit !== tree.commit)
    throw new Error("the commit is another one than when it began");
  const { size, seed } = options;
  return {
    campaign: campaign.name,
    about: campaign.about,
    size,
    seed,
    commit: now.commit,
    changed: now.changed.length > 0 || tree.changed.length > 0,
    date: new Date().toISOString().slice(0, 10),
    node: process.version,
    machine,
    seconds: proved.seconds,
    command: `npm run prove -- --only ${campaign.name}${flags[size]} --seed ${seed}`,
    findings: withoutFolders(proved.findings),
  };
}

const flags = { quick: " --quick", full: "", release: " --release" } as const;

/** What was found, without the folders of the machine it was found on. */
export function withoutFolders(
  { arms }: Findings,
  folders: readonly string[] = [root, tmpdir()],
): Findings {
  const clean = (text: string) =>
    folders.reduce((rest, folder) => rest.replaceAll(folder.replace(/\/+$/, ""), "…"), text);
  return { arms: arms.map((arm) => ({ ...arm, failures: arm.failures.map(clean) })) };
}
