import type { Arm, Campaign } from "../../proof/campaign.ts";
import type { Run } from "../../proof/record.ts";

/** Ready-made parts for the tests of the harness. */

export const arm = (rest: Partial<Arm> = {}): Arm => ({
  name: "killed at a named point",
  role: "defence",
  runs: 2_000,
  unit: "kills",
  counts: { "effects doubled": 0, "doubts listed": 40 },
  asExpected: true,
  failures: [],
  ...rest,
});

export const campaign = (name: string, rest: Partial<Campaign> = {}): Campaign => ({
  name,
  about: `What ${name} does.`,
  run: async () => ({ arms: [arm()] }),
  ...rest,
});

export const run = (rest: Partial<Run> = {}): Run => ({
  campaign: "crash-lab",
  about: "Processes are killed.",
  size: "full",
  seed: 7,
  commit: "0123456789abcdef0123456789abcdef01234567",
  changed: false,
  date: "2026-01-02",
  node: "v24.0.0",
  machine: "2 cores (a CPU), 4 GiB, Linux 6.1",
  seconds: 61.2,
  command: "npm run prove -- --only crash-lab --seed 7",
  findings: { arms: [arm()] },
  ...rest,
});
