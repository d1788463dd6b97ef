import {
  type Measurement,
  type Phase,
  pairedRatio,
  type Subject,
  type Summary,
  type SystemName,
  summarize,
} from "./measurement.ts";
import { callersOfProcesses, postgresCallerCounts, processCounts } from "./plan-postgres.ts";
import type { Table } from "./table.ts";
import { ms, names, power, rate } from "./words.ts";

const systems = [
  "postgres",
  "postgres-bare",
  "postgres-bare-no-journal",
  "postgres-by-hand",
] as const;

const heads = [
  "per second",
  "ratio",
  "p50 ms",
  "p99 ms",
  "CPU us",
  "server us",
  "WAL bytes",
  "loop delay",
];

export function postgresTables(
  measurements: readonly Measurement[],
  sizes: readonly number[],
): readonly Table[] {
  const line = (words: readonly string[], subject: Subject, against: Subject) => {
    const found = summarize(measurements, subject);
    if (found === undefined) return [];
    const ratio = pairedRatio(measurements, subject, against);
    return [[...words, ...figuresOf(found, ratio)]];
  };
  const of = (phase: Phase, system: SystemName, callers: number): Subject => {
    return { phase, system, callers, processes: 1, receipts: 0 };
  };
  const fresh = postgresCallerCounts.flatMap((callers) =>
    systems.flatMap((system) =>
      line(
        [String(callers), names[system]],
        of("fresh", system, callers),
        of("fresh", "postgres-bare", callers),
      ),
    ),
  );
  const replays = postgresCallerCounts.flatMap((callers) => {
    const byHand = of("stored", "postgres-by-hand", callers);
    const cached = of("cached", "postgres", callers);
    const stored = of("stored", "postgres", callers);
    return [
      ...line([String(callers), `${names.postgres}: from the guard`], cached, byHand),
      ...line([String(callers), `${names.postgres}: from the store`], stored, byHand),
      ...line([String(callers), names["postgres-by-hand"]], byHand, byHand),
    ];
  });
  const processes = processCounts.flatMap((count) => {
    const subject = { ...of("fresh", "postgres", callersOfProcesses), processes: count };
    return line([`${count} x ${callersOfProcesses}`], subject, { ...subject, processes: 1 });
  });
  const growth = sizes.flatMap((receipts) =>
    (["fresh", "stored"] as const).flatMap((phase) => {
      const subject = { ...of(phase, "postgres", 256), receipts };
      const against = { ...subject, receipts: Math.min(...sizes) };
      return line([power(receipts), phase === "fresh" ? "fresh" : "replay"], subject, against);
    }),
  );
  return [
    {
      title:
        "Postgres: fresh executions (ratio: of (q); server us: the server's CPU time an execution)",
      heads: ["callers", "fresh", ...heads],
      rows: fresh,
      figuresFrom: 2,
    },
    {
      title: "Postgres: replays (ratio: of (r))",
      heads: ["callers", "replay", ...heads],
      rows: replays,
      figuresFrom: 2,
    },
    {
      title: "Postgres: processes (ratio: of one)",
      heads: ["processes and callers", ...heads],
      rows: processes,
      figuresFrom: 1,
    },
    {
      title: `Postgres: growth, 256 callers, random keys (ratio: of ${power(Math.min(...sizes))})`,
      heads: ["receipts", "", ...heads],
      rows: growth,
      figuresFrom: 2,
    },
  ];
}

function figuresOf(found: Summary, ratio: number | undefined): readonly string[] {
  return [
    rate(found.perSecond),
    ratio === undefined ? "" : ratio.toFixed(2),
    ms(found.p50Ms),
    ms(found.p99Ms),
    rate(found.cpuMicros),
    rate(found.serverCpuMicros),
    rate(found.walBytes),
    ms(found.delayP99Ms),
  ];
}
