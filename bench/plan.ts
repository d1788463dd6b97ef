import { join } from "node:path";
import type { Phase, SystemName } from "./measurement.ts";
import type { Options } from "./options.ts";
import type { MeasureTask, PrefillTask, Task } from "./task.ts";

export const callerCounts: readonly number[] = [1, 16, 256, 1_000];
export const growthCallerCounts: readonly number[] = [16, 256];

/** From so many receipts on, a file is used over all rounds and grows a little by each: a copy would take longer than the measurement. */
const copiedBelow = 1e6;

/** All tasks, in the order in which they run. What is compared runs side by side in time. */
export function plan(options: Options, folder: string): Task[] {
  return [...rounds(options, folder), ...growth(options, folder)];
}

function rounds({ rounds, parts, stores, seconds }: Options, folder: string): MeasureTask[] {
  const systems: readonly SystemName[] = [
    ...stores,
    ...(stores.includes("sqlite") && parts.includes("fresh")
      ? (["bare", "bare-no-journal", "by-hand", "by-hand-wal"] as const)
      : []),
  ];
  const replays: readonly Phase[] = parts.includes("replay") ? ["cached", "stored"] : [];
  if (!parts.includes("fresh") && !parts.includes("replay")) return [];
  return numbers(rounds).flatMap((round) =>
    callerCounts.flatMap((callers) =>
      turned(systems, round).map((system) => ({
        kind: "measure" as const,
        system,
        callers,
        round,
        seconds,
        phases: ["fresh", ...(system === "memory" || system === "sqlite" ? replays : [])] as const,
        receipts: 0,
        path: join(folder, `${system}-${callers}-${round}.db`),
      })),
    ),
  );
}

function growth({ rounds, parts, stores, seconds, sizes }: Options, folder: string): Task[] {
  if (!parts.includes("growth") || !stores.includes("sqlite")) return [];
  const filled = (receipts: number): string => join(folder, `filled-${receipts}.db`);
  const prefills = sizes.map(
    (receipts): PrefillTask => ({ kind: "prefill", receipts, path: filled(receipts) }),
  );
  const measures = numbers(rounds).flatMap((round) =>
    growthCallerCounts.flatMap((callers) =>
      turned(sizes, round).map((receipts): MeasureTask => {
        const phases: readonly Phase[] = ["fresh", "stored"];
        const task = {
          kind: "measure",
          system: "sqlite",
          callers,
          round,
          seconds,
          phases,
        } as const;
        if (receipts >= copiedBelow) return { ...task, receipts, path: filled(receipts) };
        const path = join(folder, `grown-${receipts}-${callers}-${round}.db`);
        return { ...task, receipts, path, copyOf: filled(receipts) };
      }),
    ),
  );
  return [...prefills, ...measures];
}

/** In another order each round, so that nobody always runs in the wake of the same one. */
function turned<T>(items: readonly T[], round: number): readonly T[] {
  const start = (round - 1) % items.length;
  return [...items.slice(start), ...items.slice(0, start)];
}

function numbers(count: number): readonly number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}

/** About how long a task takes, for the time that is left. */
export function secondsOf(task: Task): number {
  if (task.kind === "prefill") return 1 + task.receipts / 40_000;
  const replays = task.phases.length - 1;
  return 1.2 + task.seconds * (1.35 + 0.5 * replays);
}
