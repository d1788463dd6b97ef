import {
  type History,
  judgeHistory,
  type Violation,
  type ViolationKind,
} from "../../testing/history.ts";
import type { Audited } from "./audit.ts";
import { type Finding, namedFailures } from "./finding.ts";
import type { Kase } from "./scene.ts";

/** What the arms with the guard say of themselves, beside their calls. */
export interface Defended {
  readonly name: string;
  readonly runs: number;
  /** How many there had to be. */
  readonly wanted: number;
  readonly unit: string;
  /** Further counts of this arm. */
  readonly counts: Readonly<Record<string, number>>;
  /** Why it has shown nothing: a point that was never reached, say. */
  readonly void: readonly string[];
  readonly again: string;
}

/** The guard must hold every promise, and the run must have put them to the test. */
export function defenceFinding(
  cases: readonly Kase[],
  { history, listed }: Audited,
  arm: Defended,
): Finding {
  const violations = judgeHistory(history);
  const pending = undecided(cases, history);
  const receipts = receiptsOf(history);
  const wrong = [
    ...violations.map((one) => `${one.promise}, case ${one.caseId}: ${one.says}; ${arm.again}`),
    ...pending.map(
      (caseId) =>
        `P4, case ${caseId}: votes and decision were acknowledged, and it isn't final; ${arm.again}`,
    ),
  ];
  const empty = [...arm.void];
  if (arm.runs < arm.wanted) empty.push(`void: only ${arm.runs} of ${arm.wanted} ${arm.unit}`);
  // Each kill is followed by calls that have to come to something.
  if (receipts < arm.runs / 2) empty.push(`void: only ${receipts} cases got a receipt`);
  const counts = {
    cases: cases.length,
    calls: history.calls.length,
    "effects that happened": sum(Object.values(history.book).map(({ effects }) => effects)),
    "cases with a receipt": receipts,
    ...arm.counts,
    "doubts listed": listed,
    "effects doubled": count(violations, "effect_doubled"),
    "acknowledged receipts lost": count(violations, "receipt_lost"),
    "doubts not listed": count(violations, "doubt_not_listed"),
    "other promises broken": others(violations) + pending.length,
  };
  return {
    name: arm.name,
    role: "defence",
    runs: arm.runs,
    unit: arm.unit,
    counts,
    asExpected: wrong.length === 0 && empty.length === 0,
    failures: [...empty, ...wrong].slice(0, namedFailures),
  };
}

/** A control must double what was cut off after it happened: else the lab has shown nothing. */
export function controlFinding(name: string, history: History, should: readonly string[]): Finding {
  const happened = should.filter((caseId) => history.book[caseId] !== undefined);
  const violations = judgeHistory(history);
  const doubled = new Set(
    violations.filter(({ kind }) => kind === "effect_doubled").map(({ caseId }) => caseId),
  );
  const done = happened.filter((caseId) => doubled.has(caseId)).length;
  const isEnough = happened.length > 0 && done >= happened.length * shareThatDoubles;
  return {
    name,
    role: "control",
    runs: happened.length,
    unit: "effects cut off after they happened",
    counts: { doubled: done },
    asExpected: isEnough,
    failures: isEnough ? [] : [`void: ${done} of ${happened.length} doubled; all should`],
  };
}

const shareThatDoubles = 0.95;

/** Cases whose votes and decision were all acknowledged, and that were last answered as not final. */
function undecided(cases: readonly Kase[], { calls }: History): readonly string[] {
  const last = new Map<string, string>();
  for (const { caseId, end } of calls) if (end !== null) last.set(caseId, end.answer.status);
  return cases
    .filter(({ caseId, steps }) => steps?.length === 0 && last.get(caseId) === "pending")
    .map(({ caseId }) => caseId);
}

function receiptsOf({ calls }: History): number {
  const settled = calls.filter(
    ({ end }) => end?.answer.status === "settled" || end?.answer.status === "void",
  );
  return new Set(settled.map(({ caseId }) => caseId)).size;
}

function count(violations: readonly Violation[], kind: ViolationKind): number {
  return violations.filter((one) => one.kind === kind).length;
}

function others(violations: readonly Violation[]): number {
  const named: readonly ViolationKind[] = ["effect_doubled", "receipt_lost", "doubt_not_listed"];
  return violations.filter(({ kind }) => !named.includes(kind)).length;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}
