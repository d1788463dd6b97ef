import { matchesGlob } from "node:path";
import type { Arm, Campaign, CampaignOptions, Findings, Size } from "./campaign.ts";
import { namedFailures } from "./campaign.ts";
import { type Explanation, explanations, type Name, sortOut } from "./mutation/explained.ts";
import { type Mutant, mutate } from "./mutation/mutate.ts";
import { scoreOf } from "./mutation/score.ts";

const wantedPercent = 90;
/** Tests that look at nothing may notice so many, by what throws of itself. */
const blindPercent = 60;

interface Share {
  readonly name: string;
  readonly what: readonly string[];
}

const all: Share = { name: "all of src/core", what: ["src/core/*.ts"] };
const shares: { readonly [S in Size]: { readonly defence: Share; readonly control: Share } } = {
  quick: {
    defence: { name: "src/core/journaled.ts", what: ["src/core/journaled.ts"] },
    control: { name: "a part of src/core/journaled.ts", what: ["src/core/journaled.ts:11-20"] },
  },
  full: { defence: all, control: { name: "src/core/advance.ts", what: ["src/core/advance.ts"] } },
  release: {
    defence: all,
    control: { name: "src/core/advance.ts", what: ["src/core/advance.ts"] },
  },
};

export const mutation: Campaign = {
  name: "mutation",
  about:
    "Each mutant is the source of core with one small change; the quick tests of core must fail for it, or a reason why no test can is on a list.",
  run,
};

async function run({ size, progress }: CampaignOptions): Promise<Findings> {
  const { defence, control } = shares[size];
  const noted = (note: string) => (done: number, of: number) => progress(done, of, note);
  const mutants = await mutate({ what: defence.what, progress: noted(defence.name) });
  const blind = await mutate({
    what: control.what,
    blind: true,
    progress: noted(`${control.name}, by tests that look at nothing`),
  });
  return { arms: [defended(defence, mutants), blinded(control, blind)] };
}

function defended({ name, what }: Share, mutants: readonly Mutant[]): Arm {
  const { of, total, covered } = scoreOf(mutants);
  const { explained, unexplained, stale } = sortOut(mutants.filter(isLeft), listed(what));
  const failures = [
    ...unexplained.map(toldOf),
    ...stale.map(
      (entry) => `listed in proof/mutation/survivors.json for nothing: ${nameText(entry)}`,
    ),
  ];
  return {
    name: `${name}, changed in one place`,
    role: "defence",
    runs: mutants.length,
    unit: "mutants",
    counts: {
      killed: of.killed,
      "timed out": of["timed out"],
      "tests not loaded": of["not loaded"],
      "survived, explained": explained.length,
      "survived, not explained": unexplained.length,
      "of these not covered": of["not covered"],
      "score, percent": total,
      "score of what is covered, percent": covered,
    },
    asExpected: failures.length === 0 && total >= wantedPercent,
    failures: failures.slice(0, namedFailures),
  };
}

function blinded({ name }: Share, mutants: readonly Mutant[]): Arm {
  const { of, total } = scoreOf(mutants);
  return {
    name: `${name}, changed in one place: the same tests, each expectation emptied`,
    role: "control",
    runs: mutants.length,
    unit: "mutants",
    counts: {
      killed: of.killed,
      "timed out": of["timed out"],
      "tests not loaded": of["not loaded"],
      survived: of.survived + of["not covered"],
      "score, percent": total,
    },
    asExpected: total <= blindPercent && of.survived > 0,
    failures: mutants.filter(isLeft).slice(0, namedFailures).map(toldOf),
  };
}

function isLeft({ fate }: Mutant): boolean {
  return fate === "survived" || fate === "not covered";
}

/** The explanations of what was changed. */
function listed(what: readonly string[]): readonly Explanation[] {
  const isMine = ({ file }: Name) => what.some((pattern) => matchesGlob(file, pattern));
  return explanations().map(({ because, mutants }) => ({
    because,
    mutants: mutants.filter(isMine),
  }));
}

function toldOf(mutant: Mutant): string {
  const place = `${mutant.file}:${mutant.row}`;
  return `${place}: ${nameText(mutant)} ${mutant.fate}; npm run mutate -- ${place}-${mutant.row}`;
}

function nameText({ mutator, original, replacement }: Name): string {
  return `${mutator}, "${original}" made "${replacement}"`;
}
