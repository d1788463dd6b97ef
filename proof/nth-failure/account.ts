import { type Arm, namedFailures } from "../campaign.ts";
import type { Fault } from "./fault.ts";
import type { Wrong } from "./judge.ts";
import type { Sweep } from "./sweep.ts";
import type { Result } from "./trial.ts";

/** What came of the trials of one arm. */
export interface Account {
  add(sweep: Sweep, nth: number, result: Result): void;
  arm(name: string, role: Arm["role"]): Arm;
}

const kinds: readonly Fault["kind"][] = ["sync", "write", "open", "unlink", "truncate", "read"];

const falseAnswers: readonly Wrong["kind"][] = ["false success", "false failure", "forgotten"];

export function newAccount(): Account {
  const fired = new Map<Fault["kind"], number>(kinds.map((kind) => [kind, 0]));
  const wrong = new Map<Wrong["kind"], number>();
  const failures: string[] = [];
  let runs = 0;
  let recorded = 0;
  let unrecorded = 0;
  let refused = 0;

  return {
    add({ scenario, fault, lasting }, nth, { fired: calls, answers, wrongs }) {
      runs += 1;
      if (calls > 0) fired.set(fault.kind, (fired.get(fault.kind) ?? 0) + 1);
      for (const answer of answers) {
        if (answer.came === "error" || answer.came === "held") refused += 1;
        if (answer.came === "settled" && answer.recorded) recorded += 1;
        if (answer.came === "settled" && !answer.recorded) unrecorded += 1;
      }
      for (const kind of new Set(wrongs.map((one) => one.kind))) {
        wrong.set(kind, (wrong.get(kind) ?? 0) + 1);
      }
      const [first] = wrongs;
      if (first === undefined || failures.length >= namedFailures) return;
      const which = `"${scenario.name}" ${fault.kind} ${fault.error} "${lasting}" ${nth}`;
      const what = `${fault.kind} ${nth} fails ${lasting} (${fault.error}): ${first.kind}, ${first.what.slice(0, 300)}`;
      failures.push(`${what}. npx node proof/nth-failure/show.ts ${which}`);
    },
    arm(name, role) {
      const count = (...which: readonly Wrong["kind"][]): number =>
        which.reduce((sum, kind) => sum + (wrong.get(kind) ?? 0), 0);
      const never = kinds.filter((kind) => fired.get(kind) === 0);
      const lies = count(...falseAnswers);
      // A control needs one kind of fault to show its falsehood; a defence must have met them all.
      const voids = role === "defence" ? never.map((kind) => `No ${kind} was made to fail.`) : [];
      const missed = role === "control" && lies === 0 ? ["The control answered no falsehood."] : [];
      const shown = role === "defence" ? failures : missed;
      return {
        name,
        role,
        runs,
        unit: "runs",
        counts: {
          ...Object.fromEntries(
            kinds.map((kind) => [`with a failing ${kind}`, fired.get(kind) ?? 0]),
          ),
          "answered, recorded": recorded,
          "answered, not recorded yet": unrecorded,
          refused,
          "false successes": count("false success"),
          "false failures": count("false failure"),
          "effects forgotten": count("forgotten"),
          "effects doubled": count("doubled"),
          "untyped errors": count("untyped"),
          "crashed, hung or damaged": count("broken"),
          "did not recover": count("stuck"),
        },
        asExpected: role === "defence" ? voids.length + failures.length === 0 : lies > 0,
        failures: [...voids, ...shown].slice(0, namedFailures),
      };
    },
  };
}
