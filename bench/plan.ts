import { join } from "node:path";
import { isAddress } from "./database.ts";
import type { Phase, SystemName } from "./measurement.ts";
import type { Options } from "./options.ts";
import { planOfPostgres } from "./plan-postgres.ts";
import { numbers, type Server, turned } from "./rounds.ts";
import type { MeasureTask, PrefillTask, Task } from "./task.ts";

export const callerCounts: readonly number[] = [1, 16, 256, 1_000];
export const growthCallerCounts: readonly number[] = [16, 256];

/** From so many receipts on, a file is used over all rounds and grows a little by each: a copy would take longer than the measurement. */
const copiedBelow = 1e6;

/** Where tasks keep their stores. */
export interface Places {
  readonly folder: string;
  /** Undefined: none was asked for. */
  readonly server?: Server;
}

/** All tasks, in the order in which they run. What is compared runs side by side in time. */
export function plan(options: Options, places: Places): Task[] {
  const { folder, server } = places;
  const isWanted = server !== undefined && options.stores.includes("postgres");
  const onPostgres = isWanted ? planOfPostgres(options, server) : [];
  return [...rounds(options, folder), ...growth(options, folder), ...onPostgres];
}

function rounds({ rounds, parts, stores, seconds }: Options, folder: string): MeasureTask[] {
  const embedded = stores.filter((store) => store !== "postgres");
  const systems: readonly SystemName[] = [
    ...embedded,
    ...(stores.includes("sqlite") && parts.includes("fresh")
      ? (["bare", "bare-no-journal", "by-hand", "by-hand-wal"] as const)
      : []),
  ];
  const replays: readonly Phase[] = parts.includes("replay") ? ["cached", "stored"] : [];
  if (embedded.length === 0) return [];
  if (!parts.includes("fresh") && !parts.includes("replay")) return [];
  return numbers(rounds).flatMap((round) =>
    callerCounts.flatMap((callers) =>
      turned(systems, round).map((system) => ({
        kind: "measure" as const,
        system,
        callers,
        processes: 1,
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
          processes: 1,
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

/** About how long a task takes, for the time that is left. */
export function secondsOf(task: Task): number {
  if (task.kind === "prefill") return 1 + task.receipts / (isAddress(task.path) ? 10_000 : 40_000);
  const replays = task.phases.length - 1;
  return 1.2 + task.seconds * (1.35 + 0.5 * replays);
}
