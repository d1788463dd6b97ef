import { DatabaseSync } from "node:sqlite";
import { type Case, createGuard, type Guard } from "../../src/index.ts";
import type { Answer } from "./answer.ts";
import type { Lasting } from "./fault.ts";

/** What can be wrong with what a subject was told. */
export interface Wrong {
  readonly kind:
    | "false success"
    | "false failure"
    | "forgotten"
    | "doubled"
    | "untyped"
    | "stuck"
    | "broken";
  readonly what: string;
}

export interface Trial {
  readonly path: string;
  readonly lasting: Lasting;
  readonly answers: readonly Answer[];
  readonly effects: readonly Effect[];
}

/** A line of the ledger. */
export type Effect = readonly [caseId: string, step: string, attempt: number];

/** Holds what a process was told against the world outside, and against what a fresh guard finds. */
export async function judge(trial: Trial): Promise<Wrong[]> {
  const again = trial.lasting === "once" ? stuck(trial) : [];
  return [...untyped(trial), ...told(trial), ...again, ...(await kept(trial))];
}

/** Against what a fresh guard finds in a file. */
export async function kept(trial: Pick<Trial, "path" | "answers" | "effects">): Promise<Wrong[]> {
  try {
    const wrongs = integrity(trial.path);
    const guard = createGuard({ store: trial.path, waitMs: 0 });
    try {
      return [...wrongs, ...(await found(guard, trial))];
    } finally {
      await guard.close();
    }
  } catch (error) {
    return [{ kind: "broken", what: `opened afresh: ${String(error)}` }];
  }
}

function untyped({ answers }: Trial): Wrong[] {
  return answers.flatMap((answer) =>
    answer.came === "error" && !answer.typed
      ? [{ kind: "untyped", what: `${answer.step}: ${answer.message}` }]
      : [],
  );
}

/** Against the ledger alone. */
function told({ answers, effects }: Trial): Wrong[] {
  const wrongs: Wrong[] = [];
  const counts = new Map<string, number>();
  for (const [caseId] of effects) counts.set(caseId, (counts.get(caseId) ?? 0) + 1);
  for (const [caseId, count] of counts) {
    if (count > 1) wrongs.push({ kind: "doubled", what: `${caseId} has ${count} effects` });
  }
  for (const answer of answers) {
    const { caseId, attempt, step } = answer;
    switch (answer.came) {
      case "settled":
        if (!counts.has(caseId)) {
          wrongs.push({ kind: "false success", what: `${step} is settled, and had no effect` });
        }
        break;
      case "held":
      case "error": {
        const ran = effects.some(
          ([id, name, count]) => id === caseId && name === step && count === attempt,
        );
        if (answer.effect === "none" && ran) {
          wrongs.push({ kind: "false failure", what: `${step} ran, and was told as not executed` });
        }
        break;
      }
      case "accepted":
      case "opened":
      case "closed":
    }
  }
  return wrongs;
}

/** After one fault, trying again must do. */
function stuck({ answers }: Trial): Wrong[] {
  const last = new Map(answers.map((answer) => [answer.step, answer]));
  return [...last.values()].flatMap((answer) =>
    answer.came === "error" || answer.came === "held"
      ? [
          {
            kind: "stuck",
            what: `${answer.step} was tried ${answer.attempt} times: ${textOf(answer)}`,
          },
        ]
      : [],
  );
}

function textOf(answer: Answer): string {
  if (answer.came === "error") return answer.message;
  return answer.came === "held" ? answer.status : answer.came;
}

/** Where there is no file, there is nothing that could be broken. */
function integrity(path: string): Wrong[] {
  const db = new DatabaseSync(path);
  try {
    const rows = db.prepare("PRAGMA integrity_check").all();
    const text = rows.map((row) => String(row.integrity_check)).join("; ");
    return text === "ok" ? [] : [{ kind: "broken", what: `integrity_check: ${text}` }];
  } finally {
    db.close();
  }
}

/** The case that the judge executes to see that it still goes. */
const afterwards = "afterwards";

/** Against what a guard finds that has heard nothing. */
async function found(
  guard: Guard,
  { answers, effects }: Pick<Trial, "answers" | "effects">,
): Promise<Wrong[]> {
  const wrongs: Wrong[] = [];
  const cases = new Map<string, Case>();
  for (const kase of (await guard.list({ limit: 1_000 })).items) cases.set(kase.caseId, kase);
  for (const answer of answers) {
    const { caseId, step } = answer;
    if (answer.came === "settled") {
      const kase = cases.get(caseId);
      const receipt = kase?.state === "SETTLED" ? JSON.stringify(kase.receipt) : undefined;
      const isMissing = receipt === undefined && answer.recorded;
      const isOther = receipt !== undefined && receipt !== answer.receipt;
      if (isMissing) wrongs.push({ kind: "false success", what: `${step}: its receipt is gone` });
      if (isOther)
        wrongs.push({ kind: "false success", what: `${step}: another receipt is stored` });
    }
    if (answer.came === "accepted") {
      const entries = await guard.history(caseId);
      const isThere = entries.some(
        ({ entry: { event } }) => event.type === answer.type && event.by === answer.by,
      );
      if (!isThere) wrongs.push({ kind: "false success", what: `${step}: not in the journal` });
    }
  }
  for (const [caseId] of effects) {
    const state = cases.get(caseId)?.state ?? "not there";
    const isKnown = state === "EXECUTING" || state === "IN_DOUBT" || state === "SETTLED";
    if (!isKnown)
      wrongs.push({ kind: "forgotten", what: `${caseId} had an effect; it is ${state}` });
  }
  for (const kase of cases.values()) {
    const hasRun = effects.some(([caseId]) => caseId === kase.caseId);
    const isOurs = kase.caseId !== afterwards && !kase.caseId.startsWith("earlier ");
    if (isOurs && kase.state === "SETTLED" && !hasRun) {
      wrongs.push({ kind: "false success", what: `${kase.caseId} is settled, and had no effect` });
    }
  }
  const call = { requestId: afterwards, action: "pay", payload: {}, run: () => "done" };
  const { status } = await guard.execute(call);
  if (status !== "settled") wrongs.push({ kind: "stuck", what: `a new case is ${status}` });
  return wrongs;
}
