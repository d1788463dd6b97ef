import { databaseAt } from "./database.ts";
import type { Phase, SystemName } from "./measurement.ts";
import type { Options } from "./options.ts";
import { numbers, type Server, turned } from "./rounds.ts";
import type { MeasureTask, Task } from "./task.ts";

export const postgresCallerCounts: readonly number[] = [1, 16, 256];
const growthCallers = 256;
export const processCounts: readonly number[] = [1, 2];
/** In each process: as many as keep batches busy, and leave a second process something to add. */
export const callersOfProcesses = 64;
/** From so many receipts on, a database is used over all rounds and grows a little by each. */
const copiedBelow = 1e6;

/** The tasks on Postgres, each in a database of its own. */
export function planOfPostgres(options: Options, server: Server): Task[] {
  const { rounds, parts } = options;
  const each = numbers(rounds);
  const has = (part: (typeof parts)[number]): boolean => parts.includes(part);
  const base = {
    kind: "measure",
    system: "postgres",
    seconds: options.seconds,
    receipts: 0,
    processes: 1,
    phases: ["fresh"],
    server: server.pid,
  } as const;
  const at = (...words: readonly unknown[]): string =>
    databaseAt(server.url, words.join("_").replaceAll("-", "_"));

  const systems: readonly SystemName[] = [
    "postgres",
    ...(has("fresh") ? (["postgres-bare", "postgres-bare-no-journal"] as const) : []),
    "postgres-by-hand",
  ];
  const phasesOf = (system: SystemName): readonly Phase[] => {
    if (!has("replay") || system.startsWith("postgres-bare")) return ["fresh"];
    return system === "postgres" ? ["fresh", "cached", "stored"] : ["fresh", "stored"];
  };
  const rounded = each.flatMap((round) =>
    postgresCallerCounts.flatMap((callers) =>
      turned(systems, round).map((system): MeasureTask => {
        const path = at(system, callers, round);
        return { ...base, system, callers, round, phases: phasesOf(system), path };
      }),
    ),
  );

  const shared = each.flatMap((round) =>
    turned(processCounts, round).map((processes): MeasureTask => {
      const path = at("processes", processes, round);
      return { ...base, callers: callersOfProcesses, processes, round, path };
    }),
  );

  const grown = each.flatMap((round) =>
    turned(options.sizes, round).map((receipts): MeasureTask => {
      const task = { ...base, callers: growthCallers, round, receipts } as const;
      const phases = ["fresh", "stored"] as const;
      const filled = at("filled", receipts);
      if (receipts >= copiedBelow) return { ...task, phases, path: filled };
      return { ...task, phases, path: at("grown", receipts, round), copyOf: filled };
    }),
  );
  const filled = options.sizes.map(
    (receipts): Task => ({ kind: "prefill", receipts, path: at("filled", receipts) }),
  );

  return [
    ...(has("fresh") || has("replay") ? rounded : []),
    ...(has("processes") ? shared : []),
    ...(has("growth") ? [...filled, ...grown] : []),
  ];
}
