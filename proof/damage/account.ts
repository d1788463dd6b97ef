import { type Arm, namedFailures } from "../campaign.ts";
import type { Kind } from "./harm.ts";
import type { Judged } from "./judge.ts";

/** Counts what came of the copies of one kind. */
export interface Account {
  add(judged: Judged, seed: number): void;
  arm(): Arm;
}

/** What a copy may come to. */
const fine = [
  "changed records found",
  "set back, and found",
  "set back like an older copy",
  "an untold binding changed, and found",
  "an untold binding changed",
  "the store's own row changed, and found",
  "the store's own row changed",
  "nothing changed, and no fault",
  "nothing changed in the records, a fault in the file",
] as const;

/** What none may come to. The first is told with a zero, too. */
const wrong = [
  "changed records missed",
  "set back, and missed",
  "nothing changed, and a case is blamed",
  "an error that is none of the guard's",
] as const;

/** How what was found is named. */
const namings = [
  "a changed case named",
  "the very entry named",
  "only the file named",
  "refused at opening",
  "refused in reading",
  "refused as unavailable",
] as const;

const wrongNamings = ["another entry named", "a case named that was not changed"] as const;

const passed = "of the changed, passed by SQLite alone";

type Outcome = (typeof fine)[number] | (typeof wrong)[number];
type Naming = (typeof namings)[number] | (typeof wrongNamings)[number];

const isWrong: ReadonlySet<string> = new Set([...wrong, ...wrongNamings]);

export function accountOf(kind: Kind): Account {
  const counts = new Map<string, number>();
  const failures: string[] = [];
  let failed = 0;
  let runs = 0;
  const count = (name: string) => counts.set(name, (counts.get(name) ?? 0) + 1);

  return {
    add(judged, seed) {
      runs += 1;
      const said = [outcomeOf(judged), namingOf(judged)].filter((name) => name !== undefined);
      for (const name of said) count(name);
      if (judged.damage.is === "changed" && judged.passesSqlite) count(passed);
      const fault = said.find((name) => isWrong.has(name));
      if (fault === undefined) return;
      failed += 1;
      if (failures.length >= namedFailures) return;
      failures.push(`${fault}: ${judged.harmed.what}: npx node proof/damage/show.ts ${seed}`);
    },
    arm: () => ({
      name: kind.name,
      role: "defence",
      runs,
      unit: "copies",
      counts: Object.fromEntries(
        [...fine, ...wrong, passed, ...namings, ...wrongNamings]
          .map((name) => [name, counts.get(name) ?? 0] as const)
          .filter(([name, times]) => times > 0 || name === wrong[0]),
      ),
      asExpected: failed === 0,
      failures,
    }),
  };
}

function outcomeOf({ harmed, damage, answer }: Judged): Outcome {
  if (answer.is === "failed") return "an error that is none of the guard's";
  const isFound = answer.is !== "sound";
  switch (damage.is) {
    case "changed":
      return isFound ? "changed records found" : "changed records missed";
    case "set back":
      if (isFound) return "set back, and found";
      return harmed.reachesEnd ? "set back like an older copy" : "set back, and missed";
    case "untold":
      return isFound ? "an untold binding changed, and found" : "an untold binding changed";
    case "own row":
      return isFound ? "the store's own row changed, and found" : "the store's own row changed";
    case "none":
      if (answer.is === "faults" && answer.faults.some(({ where }) => where !== "store")) {
        return "nothing changed, and a case is blamed";
      }
      return isFound
        ? "nothing changed in the records, a fault in the file"
        : "nothing changed, and no fault";
  }
}

/** How exactly what was found is named. */
function namingOf({ harmed, damage, answer }: Judged): Naming | undefined {
  if (damage.is !== "changed") return undefined;
  if (answer.is === "refused") {
    if (answer.code === "store_unavailable") return "refused as unavailable";
    return answer.at === "opening" ? "refused at opening" : "refused in reading";
  }
  if (answer.is !== "faults") return undefined;
  const { faults } = answer;
  const named = faults.flatMap((fault) =>
    "caseId" in fault ? [`${fault.namespace}/${fault.caseId}`] : [],
  );
  const { cases } = damage;
  if (cases !== undefined && named.some((kase) => !cases.has(kase))) {
    return "a case named that was not changed";
  }
  if (harmed.position !== undefined) {
    const isNamed = faults.some(
      (fault) => "position" in fault && fault.position === harmed.position,
    );
    return isNamed ? "the very entry named" : "another entry named";
  }
  return named.length > 0 ? "a changed case named" : "only the file named";
}
