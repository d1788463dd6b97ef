import { matchesGlob } from "node:path";
import type { Arm, Campaign, CampaignOptions, Findings, Size } from "./campaign.ts";
import { namedFailures } from "./campaign.ts";
import { type Explanation, explanations, type Name, sortOut } from "./mutation/explained.ts";
import { type Mutant, mutate } from "./mutation/mutate.ts";
import { scoreOf } from "./mutation/score.ts";

const wantedPercent = 90;
/** Tests that look at nothing still notice what throws of itself. They must not come to more. */
const blindPercent = 50;

interface Share {
  readonly name: string;
  readonly what: readonly string[];
}

const whole = {
  defence: { name: "all of src/core", what: ["src/core/*.ts"] },
  control: {
    name: "src/core/identity.ts and signal.ts",
    what: ["src/core/identity.ts", "src/core/signal.ts"],
  },
};
const shares: { readonly [S in Size]: { readonly defence: Share; readonly control: Share } } = {
  quick: {
    defence: { name: "src/core/signal.ts", what: ["src/core/signal.ts"] },
    control: { name: "a part of src/core/signal.ts", what: ["src/core/signal.ts:35-41"] },
  },
  full: whole,
  release: whole,
};

export const mutation: Campaign = {
  name: "mutation",
  about:
    "Each mutant is the source of core with one small change; the quick tests of core must fail for it, or a reason why no test can is on a list.",
  run,
};

async function run({ size, progress }: CampaignOptions): Promise<Findings> {
  const { defence, control } = shares[size];
  const changed = ({ name, what }: Share, blind: boolean): Promise<readonly Mutant[]> => {
    const note = blind ? `${name}, by tests that look at nothing` : name;
    progress(0, 1, note);
    return mutate({ what, blind, progress: (done, of) => progress(done, of, note) });
  };
  const mutants = await changed(defence, false);
  const blind = await changed(control, true);
  return { arms: [defended(defence, mutants), blinded(control, blind, size)] };
}

function defended({ name, what }: Share, mutants: readonly Mutant[]): Arm {
  const { of, total, covered } = scoreOf(mutants);
  const { explained, unexplained, stale } = sortOut(mutants.filter(isLeft), listed(what));
  const failures = [
    ...unexplained.map((mutant) => `${toldOf(mutant)}; npm run mutate -- ${placeOf(mutant)}`),
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

function blinded({ name }: Share, mutants: readonly Mutant[], size: Size): Arm {
  const again = `npm run prove -- --only mutation --size ${size}`;
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
    failures: mutants
      .filter(isLeft)
      .slice(0, namedFailures)
      .map((mutant) => `${toldOf(mutant)}; ${again}`),
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
  return `${mutant.file}:${mutant.row} ${mutant.fate}: ${nameText(mutant)}`;
}

function placeOf({ file, row }: Mutant): string {
  return `${file}:${row}-${row}`;
}

function nameText({ mutator, original, replacement }: Name): string {
  return `${mutator}: ${short(original)} → ${short(replacement)}`;
}

function short(text: string): string {
  return text.length > 60 ? `${text.slice(0, 59)}…` : text;
}
