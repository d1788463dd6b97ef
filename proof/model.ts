import { readFileSync } from "node:fs";
import type { Arm, Campaign, CampaignOptions, Size } from "./campaign.ts";
import { missingProgram, modelFile, type Search, search } from "./model/spin.ts";

/** The protocol of claim, lease, fence and doubt, searched through all its states. */
export const model: Campaign = {
  name: "model",
  about:
    "A model of claim, lease, fence and doubt is searched through every state that can be reached, with processes that pause, die and lose acknowledgements at any step, and leases that end at any time. No state may break a promise, and each broken variant must.",
  hindrance: missingProgram,
  run: async ({ size, progress }: CampaignOptions) => {
    const plans = defences.filter(({ from }) => sizes.indexOf(from) <= sizes.indexOf(size));
    const all = plans.length + controls.length;
    const arms: Arm[] = [];
    for (const plan of plans) {
      progress(arms.length, all, plan.name);
      arms.push(defenceArm(plan, await search(plan.defines, "depth-first"), size));
    }
    for (const plan of controls) {
      progress(arms.length, all, plan.name);
      arms.push(controlArm(plan, await search(plan.defines, "breadth-first"), size));
    }
    progress(all, all);
    return { arms };
  },
};

interface Plan {
  readonly name: string;
  readonly defines: readonly string[];
}

const sizes: readonly Size[] = ["quick", "full", "release"];

const makesSure = "persons make sure that a worker is dead";
const hasty = "persons judge too early";
const three = ["PROCESSES=3", "CLAIMS=2"];

/** What must hold, and the smallest size in which it is searched. */
const defences: readonly (Plan & { readonly from: Size })[] = [
  { name: `${makesSure}: 2 processes, 3 claims`, defines: [], from: "quick" },
  { name: `${hasty}: 2 processes, 3 claims`, defines: ["HASTY", "WORD"], from: "quick" },
  { name: `${makesSure}: 3 processes, 2 claims`, defines: three, from: "full" },
  { name: `${hasty}: 3 processes, 2 claims`, defines: [...three, "HASTY", "WORD"], from: "full" },
  { name: `${makesSure}: 3 processes, 3 claims`, defines: ["PROCESSES=3"], from: "release" },
];

const controls: readonly Plan[] = [
  { name: "a lease that ended frees the case", defines: ["LEASE_END_FREES"] },
  {
    name: "a settle is heard under any fence",
    defines: ["SETTLE_UNFENCED", "HASTY", "WORD"],
  },
  {
    name: "an error that says nothing counts as not performed",
    defines: ["UNKNOWN_IS_NOT_PERFORMED"],
  },
  { name: "the store writes without comparing", defines: ["NO_COMPARE"] },
  // The one hole that docs/guarantees.md names: the model must know it, too.
  { name: "persons judge too early, and are taken to be right", defines: ["HASTY"] },
];

const lines: readonly string[] = readFileSync(modelFile, "utf8").split("\n");

/** A line may be out of reach only where the model itself says so. */
function defenceArm(plan: Plan, found: Search, size: Size): Arm {
  const early = plan.defines.includes("HASTY");
  const told = early ? [] : linesSaying("only with HASTY");
  const unexplained = found.unreached.filter((line) => !told.includes(line));
  const failures = [
    ...(found.broken === null ? [] : [brokenText(found.broken)]),
    ...(found.complete || found.errors > 0 ? [] : ["the search did not visit every state"]),
    ...unexplained.map((line) => `line ${line} is never reached: ${lines[line - 1]?.trim()}`),
  ];
  return {
    name: plan.name,
    role: "defence",
    runs: found.states,
    unit: "states",
    counts: {
      transitions: found.transitions,
      errors: found.errors,
      "moves out of reach": found.unreached.length,
    },
    asExpected: found.errors === 0 && found.complete && unexplained.length === 0,
    failures: failures.map((text) => again(text, size)),
  };
}

function controlArm(plan: Plan, found: Search, size: Size): Arm {
  const { broken } = found;
  return {
    name: plan.name,
    role: "control",
    runs: found.states,
    unit: "states",
    counts: {
      transitions: found.transitions,
      errors: found.errors,
      "steps to the error": broken?.steps.length ?? 0,
    },
    asExpected: found.errors > 0 && broken !== null,
    failures: broken === null ? [] : [again(brokenText(broken), size)],
  };
}

function linesSaying(words: string): readonly number[] {
  return lines.flatMap((line, index) => (line.includes(words) ? [index + 1] : []));
}

/** Each assertion has, behind it, the law in words. */
function brokenText({ line, steps }: NonNullable<Search["broken"]>): string {
  const law = /\/\* (.*) \*\/$/.exec(lines[line - 1] ?? "")?.[1] ?? "";
  return `line ${line} of claim.pml, "${law.replaceAll('"', "'")}", does not hold: ${steps.join("; ")}`;
}

function again(text: string, size: Size): string {
  return `${text}. Again: npm run prove -- --only model --size ${size}`;
}
