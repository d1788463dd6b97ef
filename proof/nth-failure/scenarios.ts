import type { Patch } from "../patched-source.ts";

/** What a process does while calls to the kernel fail under it. Each step is tried again after an error. */
export interface Scenario {
  readonly name: string;
  /** Whether there is a database when it starts, with cases in it. */
  readonly starts: "with cases" | "with nothing";
  readonly steps: readonly Step[];
  /** Of the sources it runs on. */
  readonly patches?: readonly Patch[];
}

export type Step =
  | { readonly do: "execute"; readonly caseId: string }
  /** So many at once, so that they share transactions. */
  | { readonly do: "crowd"; readonly caseId: string; readonly size: number }
  | { readonly do: "signal"; readonly caseId: string; readonly source: string }
  | { readonly do: "decide"; readonly caseId: string; readonly by: string }
  | { readonly do: "approve"; readonly caseId: string; readonly by: string }
  | { readonly do: "settle"; readonly caseId: string };

const execute = (caseId: string): Step => ({ do: "execute", caseId });

const cycle: Scenario = {
  name: "claim, effect, settle",
  starts: "with cases",
  steps: [execute("A"), execute("A"), execute("B")],
};

const migration: Scenario = {
  name: "migration of a new file",
  starts: "with nothing",
  steps: [execute("A"), execute("A")],
};

const deciding: Scenario = {
  name: "signals, a decision, approvals",
  starts: "with cases",
  steps: [
    { do: "signal", caseId: "voted", source: "a" },
    { do: "signal", caseId: "voted", source: "b" },
    { do: "settle", caseId: "voted" },
    { do: "signal", caseId: "decided", source: "a" },
    { do: "decide", caseId: "decided", by: "ana" },
    { do: "settle", caseId: "decided" },
    { do: "approve", caseId: "approved", by: "ana" },
    { do: "settle", caseId: "approved" },
  ],
};

/** The same store, which writes its log back every few commits: what else takes 16 MiB. */
const writtenBack: Scenario = {
  name: "the second thread, and the log written back",
  starts: "with cases",
  steps: [execute("A"), { do: "crowd", caseId: "crowd 1", size: 20 }, execute("B"), execute("C")],
  patches: [
    {
      file: "stores/sqlite-wal.ts",
      from: "export const checkpointPages = 4_000;",
      to: "export const checkpointPages = 20;",
    },
  ],
};

export const scenarios: readonly Scenario[] = [cycle, migration, deciding, writtenBack];

/** The defence is off: each of these answers falsely when a call fails, and must be found out. */
export const controls: readonly Scenario[] = [
  {
    ...cycle,
    name: "errors of a commit are swallowed",
    patches: [
      {
        file: "stores/sqlite-write.ts",
        from: "        rollback(db);\n        throw error;",
        to: "        rollback(db);\n        return sizes.map(() => true);",
      },
    ],
  },
  {
    ...cycle,
    name: "a receipt that can't be written is told as a failure",
    patches: [
      {
        file: "guard/run.ts",
        from: "      return postponed(held, returned, error, { ...happening, ...occasion }, write);",
        to: "      throw error;",
      },
    ],
  },
];
