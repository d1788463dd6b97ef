import type { Patch } from "../patched-source.ts";
import type { WorkloadName } from "./workloads.ts";

/** Writers that work on one folder, one after the other, under one log. */
export interface Recording {
  readonly name: string;
  /** Recordings of one arm are counted together. */
  readonly arm: string;
  readonly role: "defence" | "control";
  /** Of the sources they run on. */
  readonly patches?: readonly Patch[];
  readonly runs: readonly [Run, ...Run[]];
  /** The power goes only after so many runs: what comes before was looked at elsewhere. Default 0. */
  readonly calmRuns?: number;
  /** Of all images, how many parts are of this recording. */
  readonly share: number;
  /** Left out of quick runs. */
  readonly long?: true;
}

interface Run {
  readonly workload: WorkloadName;
  /** What strace does to calls on the database's files. */
  readonly inject?: string;
  /** The writer's exit code, or the signal that ends it; default "0". */
  readonly ends?: string;
}

const synced = "fsync,fdatasync";

/** The same store, which writes its log back every few commits: what else takes 16 MiB. */
const oftenWrittenBack: Patch = {
  file: "stores/sqlite-wal.ts",
  from: "export const checkpointPages = 4_000;",
  to: "export const checkpointPages = 60;",
};

/** The store with another setting of SQLite, and without the check that refuses it. */
function synchronous(word: string, value: number): readonly Patch[] {
  const file = "stores/sqlite-open.ts";
  return [
    { file, from: "PRAGMA synchronous = FULL", to: `PRAGMA synchronous = ${word}` },
    { file, from: "synchronous === 2", to: `synchronous === ${value}` },
  ];
}

const plain: readonly Recording[] = [
  plainly("one caller", 4, ["one caller"]),
  plainly("16 callers, group commit", 4, ["16 callers"]),
  plainly("signals, decisions, approvals", 4, ["signals, decisions, approvals"]),
  plainly("200 callers, second thread", 2, ["200 callers at once"]),
  { ...plainly("log written back every 60 pages", 4, ["4 callers"]), patches: [oftenWrittenBack] },
  plainly("closed and opened again", 3, ["few calls", "few calls", "few calls"]),
  plainly("two processes", 3, ["two processes"]),
  plainly("pruned", 1, ["pruning"]),
  { ...plainly("large payloads, 16 MiB of log", 0.5, ["large payloads"]), long: true },
];

function plainly(
  name: string,
  share: number,
  each: readonly [WorkloadName, ...WorkloadName[]],
): Recording {
  const [first, ...rest] = each;
  const runs = [{ workload: first }, ...rest.map((workload) => ({ workload }))] as const;
  return { name, arm: name, role: "defence", share, runs };
}

/**
 * Killed in one of its syncs, when what it wrote is in the kernel's memory alone: the next process finds
 * it there, and must not tell of it before it is on the disk.
 */
const killed = [4, 5, 3, 6, 8, 10, 12, 14].map((sync, index): Recording => {
  const inject = `${synced}:signal=SIGKILL:when=${sync}`;
  return {
    name: `killed in sync ${sync}, then asked again`,
    arm: "killed in a commit, then asked again",
    role: "defence",
    share: 0.8,
    calmRuns: 2,
    ...(index < 2 ? {} : { long: true }),
    runs: [
      { workload: "few calls" },
      { workload: "few calls", inject, ends: "SIGKILL" },
      { workload: "ask again" },
    ],
  };
});

/** The first syncs of a process are of the folder and of the log's head. */
const failed = [
  "4..5",
  "4+",
  "3",
  "1",
  "2",
  "4",
  "5",
  "6",
  "7..9",
  "9",
  "12",
  "1+",
  "3+",
  "5+",
  "8+",
  "12+",
].map(
  (when, index): Recording => ({
    name: `sync ${when} fails`,
    arm: "a sync that failed before",
    role: "defence",
    share: 0.3,
    calmRuns: 1,
    ...(index < 3 ? {} : { long: true }),
    runs: [
      { workload: "few calls" },
      { workload: "few calls", inject: `${synced}:error=EIO:when=${when}` },
    ],
  }),
);

const controls: readonly Recording[] = (["NORMAL", "OFF"] as const).map((word) => ({
  name: `synchronous=${word}`,
  arm: `synchronous=${word}`,
  role: "control",
  share: 1,
  patches: synchronous(word, word === "OFF" ? 0 : 1),
  runs: [{ workload: "one caller" }],
}));

export const recordings: readonly Recording[] = [...plain, ...killed, ...failed, ...controls];
