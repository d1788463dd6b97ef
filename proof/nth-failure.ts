import { chanceOf } from "../src/testing/chance.ts";
import type { Arm, Campaign, CampaignOptions, Findings, Size } from "./campaign.ts";
import { inScratchFolder } from "./folder.ts";
import { type Account, newAccount } from "./nth-failure/account.ts";
import { type Fault, faults, type Lasting, oneOfEach } from "./nth-failure/fault.ts";
import { makeGrounds } from "./nth-failure/ground.ts";
import { controls, type Scenario, scenarios } from "./nth-failure/scenarios.ts";
import { type Sweep, sample, whole } from "./nth-failure/sweep.ts";
import { countCalls, type Ground, type Result, trial } from "./nth-failure/trial.ts";
import { straceHindrance } from "./power-loss/strace.ts";

const atOnce = 2;
const all = [...scenarios, ...controls];

export const nthFailure: Campaign = {
  name: "nth-failure",
  about:
    "Each sync, write, open, unlink, truncation and read of the database fails at n = 1, 2, 3 …, once and for good, through an execution, a migration, a decision and a write-back: no success or failure is told that was none, and the process recovers or says clearly that it can't.",
  hindrance: straceHindrance,
  run,
};

async function run({ size, seed, progress }: CampaignOptions): Promise<Findings> {
  return inScratchFolder(async (scratch) => {
    progress(0, 1, "counting calls");
    const grounds = await makeGrounds(scratch, all, atOnce);
    const sweeps = await sweepsOf(size, seed, grounds[0] as Ground);
    const accounts = new Map<string, Account>(
      sweeps.map((sweep) => [armName(sweep), newAccount()]),
    );
    let done = 0;
    let expected = sweeps.reduce((sum, one) => sum + one.expected, 0);
    await sweepAll(sweeps, grounds, (sweep, nth, result) => {
      const name = armName(sweep);
      accounts.get(name)?.add(sweep, nth, result);
      done += 1;
      expected = Math.max(expected, done);
      progress(done, expected, `${name}: ${sweep.fault.kind} ${nth}`);
    });
    return { arms: armsOf(accounts) };
  });
}

type Planned = Sweep & {
  /** About how many trials it will take. */
  readonly expected: number;
};

async function sweepsOf(size: Size, seed: number, ground: Ground): Promise<Planned[]> {
  const planned: Planned[] = [];
  for (const scenario of scenarios) {
    const callsOf = await countCalls(scenario, ground);
    for (const lasting of ["once", "for good"] as const) {
      const chance = chanceOf(seed, scenario.name, lasting);
      for (const fault of size === "quick" ? oneOfEach(chance) : faults) {
        planned.push(plan(scenario, fault, lasting, callsOf(fault), size, seed));
      }
    }
  }
  const callsOf = await countCalls(controls[0] as Scenario, ground);
  for (const scenario of controls) {
    for (const fault of faults.filter(({ kind, error }) => kind === "sync" && error === "EIO")) {
      // The syncs of the first claims and settles.
      const some = size === "quick" ? { from: 3, to: 6 } : {};
      const expected = size === "quick" ? 4 : callsOf(fault);
      planned.push({ ...whole(scenario, fault, "once", 1), ...some, expected });
    }
  }
  return planned;
}

/** The second thread makes several hundred calls: only for a release is each of its writes and reads made to fail. */
const longSweep = 60;
const longStep = 5;

function plan(
  scenario: Scenario,
  fault: Fault,
  lasting: Lasting,
  calls: number,
  size: Size,
  seed: number,
): Planned {
  // One run makes a few calls more or fewer than the next; a sample must be reached.
  const reached = Math.max(1, Math.floor(calls * 0.8));
  if (size === "quick") return { ...sample(scenario, fault, lasting, reached, seed), expected: 1 };
  const step = size === "full" && calls > longSweep ? longStep : 1;
  return { ...whole(scenario, fault, lasting, step), expected: Math.ceil(calls / step) + 1 };
}

async function sweepAll(
  sweeps: readonly Sweep[],
  grounds: readonly Ground[],
  tell: (sweep: Sweep, nth: number, result: Result) => void,
): Promise<void> {
  const waiting = [...sweeps];
  await Promise.all(
    grounds.map(async (ground) => {
      for (let sweep = waiting.shift(); sweep !== undefined; sweep = waiting.shift()) {
        const { scenario, fault, lasting, from, step, to } = sweep;
        for (let nth = from; nth <= to; nth += step) {
          const result = await trial(scenario, fault, lasting, nth, ground);
          tell(sweep, nth, result);
          if (result.fired === 0) break;
        }
      }
    }),
  );
}

const armName = ({ scenario, lasting }: Sweep): string =>
  controls.includes(scenario) ? scenario.name : `${scenario.name}: a call fails ${lasting}`;

function armsOf(accounts: ReadonlyMap<string, Account>): Arm[] {
  const isControl = (name: string): boolean => controls.some((one) => one.name === name);
  return [...accounts].map(([name, account]) =>
    account.arm(name, isControl(name) ? "control" : "defence"),
  );
}
