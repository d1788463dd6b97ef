import type { Machine } from "./machine.ts";
import {
  type Measurement,
  type Phase,
  pairedRatio,
  type Subject,
  type Summary,
  summarize,
} from "./measurement.ts";
import { quietShare } from "./neighbours.ts";
import type { Options } from "./options.ts";
import { median } from "./percentile.ts";
import { callerCounts, growthCallerCounts } from "./plan.ts";
import { postgresTables } from "./report-postgres.ts";
import { type Table, type TableStyle, tableText } from "./table.ts";
import { judge, targets } from "./targets.ts";
import { ms, names, percent, power, rate } from "./words.ts";

/** All that a run says in the end. */
export function report(
  measurements: readonly Measurement[],
  machine: Machine,
  options: Options,
  style: TableStyle,
): string {
  const tables = [
    freshTable(measurements),
    replayTable(measurements),
    growthTable(measurements, options.sizes),
    ...postgresTables(measurements, options.sizes),
    targetTable(measurements),
  ];
  const texts = tables
    .filter((table) => table.rows.length > 0)
    .map((table) => tableText(table, style));
  return [machineText(machine, options), neighbourText(measurements), ...texts].join("\n\n");
}

/** A reader must know whether the machine was the bench's own. */
function neighbourText(measurements: readonly Measurement[]): string {
  const shares = measurements.map(({ othersShare }) => othersShare);
  const disturbed = shares.filter((share) => share > quietShare).length;
  return [
    `Other processes took ${percent(median(shares))} of the CPU in the median measurement;`,
    `in ${disturbed} of ${shares.length} more than ${percent(quietShare)}${disturbed === 0 ? "." : ": these say little."}`,
  ].join(" ");
}

function machineText(machine: Machine, { seconds, rounds }: Options): string {
  const { cpu, cores, memoryGiB, kernel, node, sqlite, date, syncP50Ms, syncP99Ms } = machine;
  return [
    `${date}: ${cpu}, ${cores} cores, ${memoryGiB} GiB, ${kernel}, Node ${node}, SQLite ${sqlite}.`,
    `Overwriting 4 KiB with fdatasync: p50 ${ms(syncP50Ms)} ms, p99 ${ms(syncP99Ms)} ms.`,
    `Medians of ${rounds} rounds of ${seconds} s in which the systems took turns; ratios are medians over the rounds, too.`,
  ].join("\n");
}

const systems = ["memory", "sqlite", "bare", "bare-no-journal", "by-hand", "by-hand-wal"] as const;

function freshTable(measurements: readonly Measurement[]): Table {
  const heads = [
    "callers",
    "fresh",
    "per second",
    "of (a)",
    "p50 ms",
    "p99 ms",
    "CPU us",
    "loop delay",
    "lowest - highest",
  ];
  const rows = callerCounts.flatMap((callers) =>
    systems.flatMap((system) => {
      const subject: Subject = { phase: "fresh", system, callers, processes: 1, receipts: 0 };
      const found = summarize(measurements, subject);
      if (found === undefined) return [];
      const ratio = pairedRatio(measurements, subject, { ...subject, system: "bare" });
      return [
        [
          String(callers),
          names[system],
          rate(found.perSecond),
          ratio === undefined ? "" : ratio.toFixed(2),
          ms(found.p50Ms),
          ms(found.p99Ms),
          rate(found.cpuMicros),
          ms(found.delayP99Ms),
          `${rate(found.perSecondLeast)} - ${rate(found.perSecondMost)}`,
        ],
      ];
    }),
  );
  const title =
    "Fresh executions (loop delay: p99 of the event loop's delay above the meter's floor, ms)";
  return { title, heads, rows, figuresFrom: 2 };
}

function replayTable(measurements: readonly Measurement[]): Table {
  const heads = [
    "callers",
    "replay",
    "per second",
    "p50 ms",
    "p99 ms",
    "CPU us",
    "loop delay",
    "lowest - highest",
  ];
  const rows = callerCounts.flatMap((callers) =>
    (["memory", "sqlite"] as const).flatMap((system) =>
      (["cached", "stored"] as const).flatMap((phase) => {
        const found = summarize(measurements, {
          phase,
          system,
          callers,
          processes: 1,
          receipts: 0,
        });
        return found === undefined ? [] : [replayRow(found, phase)];
      }),
    ),
  );
  const title =
    "Replays (4,000 finished cases, which fit into the guard's memory; or by a guard that never saw them)";
  return { title, heads, rows, figuresFrom: 2 };
}

function replayRow(found: Summary, phase: Phase): readonly string[] {
  return [
    String(found.callers),
    `${names[found.system]}: ${phase === "cached" ? "from the guard" : "from the store"}`,
    rate(found.perSecond),
    ms(found.p50Ms),
    ms(found.p99Ms),
    rate(found.cpuMicros),
    ms(found.delayP99Ms),
    `${rate(found.perSecondLeast)} - ${rate(found.perSecondMost)}`,
  ];
}

function growthTable(measurements: readonly Measurement[], sizes: readonly number[]): Table {
  const least = Math.min(...sizes);
  const heads = [
    "receipts",
    "callers",
    "fresh/s",
    `of ${power(least)}`,
    "p50 ms",
    "p99 ms",
    "CPU us",
    "loop delay",
    "replay/s from the store",
  ];
  const rows = growthCallerCounts.flatMap((callers) =>
    sizes.flatMap((receipts) => {
      const subject: Subject = {
        phase: "fresh",
        system: "sqlite",
        callers,
        processes: 1,
        receipts,
      };
      const found = summarize(measurements, subject);
      if (found === undefined) return [];
      const ratio = pairedRatio(measurements, subject, { ...subject, receipts: least });
      const stored = summarize(measurements, { ...subject, phase: "stored" });
      return [
        [
          power(receipts),
          String(callers),
          rate(found.perSecond),
          ratio === undefined ? "" : ratio.toFixed(2),
          ms(found.p50Ms),
          ms(found.p99Ms),
          rate(found.cpuMicros),
          ms(found.delayP99Ms),
          stored === undefined ? "" : rate(stored.perSecond),
        ],
      ];
    }),
  );
  return { title: "Growth: SafeAgent, SQLite, random keys", heads, rows, figuresFrom: 1 };
}

function targetTable(measurements: readonly Measurement[]): Table {
  const heads = ["target", "wanted", "measured", ""];
  const rows = targets
    .map((target) => judge(target, measurements))
    .filter(({ verdict }) => verdict !== "not measured")
    .map(({ says, wanted, measured, verdict }) => [says, wanted, measured, verdict]);
  return { title: "Targets", heads, rows, figuresFrom: 4 };
}
