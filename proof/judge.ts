import type { Arm, Findings } from "./campaign.ts";

/** What came of one campaign here: its findings, or why there are none. */
export type Proved = {
  readonly campaign: string;
  readonly seconds: number;
} & (
  | { readonly findings: Findings }
  /** It can't run here, or broke off: this shows nothing, so it counts as failed. */
  | { readonly trouble: string }
);

export interface Score {
  readonly passed: number;
  readonly failed: number;
}

/** An arm that did nothing has shown nothing, whatever it says of itself. */
export function holds(arm: Arm): boolean {
  return arm.asExpected && arm.runs > 0;
}

/** Counted by arms. A campaign without any is one failure. */
export function scoreOf(all: readonly Proved[]): Score {
  const scores = all.map((proved): Score => {
    if ("trouble" in proved || proved.findings.arms.length === 0) return { passed: 0, failed: 1 };
    const { arms } = proved.findings;
    const passed = arms.filter(holds).length;
    return { passed, failed: arms.length - passed };
  });
  return {
    passed: scores.reduce((sum, { passed }) => sum + passed, 0),
    failed: scores.reduce((sum, { failed }) => sum + failed, 0),
  };
}
