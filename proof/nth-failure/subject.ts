/** A process that works with a guard while calls to the kernel fail under it, and tells what it was told. */
import { appendFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as rest } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import {
  approval,
  type Guard,
  isGuardError,
  manual,
  type Outcome,
  threshold,
} from "../../src/index.ts";
import { type Answer, closingLine, lastLine } from "./answer.ts";
import type { Step } from "./scenarios.ts";

export interface SubjectConfig {
  /** Where the sources are that are put to the test. */
  readonly source: string;
  readonly path: string;
  /** The world outside: a file that gets a line for each effect. */
  readonly ledger: string;
  readonly steps: readonly Step[];
}

const config = JSON.parse(process.argv[2] ?? "{}") as SubjectConfig;
const index = pathToFileURL(join(config.source, "index.ts")).href;
const { createGuard } = (await import(index)) as typeof import("../../src/index.ts");

const tries = 3;

type What = Answer extends infer A
  ? A extends Answer
    ? Omit<A, "step" | "caseId" | "attempt">
    : never
  : never;

const say = (text: string): void => void writeSync(1, `${text}\n`);

/** Until it works, or has been tried often enough. */
async function attempt(
  step: string,
  caseId: string,
  work: (attempt: number) => Promise<What>,
): Promise<boolean> {
  for (let attempt = 1; attempt <= tries; attempt += 1) {
    const what = await work(attempt).catch(faultOf);
    say(JSON.stringify({ step, caseId, attempt, ...what }));
    if (what.came !== "error" && what.came !== "held") return true;
    await rest(60);
  }
  return false;
}

function faultOf(error: unknown): What {
  const typed = isGuardError(error);
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { came: "error", typed, effect: typed ? error.effect : "", message };
}

function whatOf(outcome: Outcome<unknown>): What {
  if (outcome.status !== "settled") {
    return { came: "held", status: outcome.status, effect: outcome.effect };
  }
  const { recorded, receipt } = outcome;
  return { came: "settled", recorded, receipt: JSON.stringify(receipt) };
}

async function perform(guard: Guard, step: Step): Promise<unknown> {
  const { caseId } = step;
  const name = `${step.do} ${caseId}`;
  const action = "pay";
  const call = (id: string, name: string, count: number) => ({
    requestId: id,
    action,
    payload: { id },
    run: () => {
      appendFileSync(config.ledger, `${JSON.stringify([id, name, count])}\n`);
      return { done: id };
    },
  });
  const executed = (id: string) => {
    const own = `execute ${id}`;
    return attempt(own, id, async (count) => whatOf(await guard.execute(call(id, own, count))));
  };
  switch (step.do) {
    case "execute":
      return executed(caseId);
    case "crowd":
      return Promise.all(
        Array.from({ length: step.size }, (_, number) => executed(`${caseId}/${number}`)),
      );
    case "settle":
      return attempt(name, caseId, async (count) =>
        whatOf(await handleOf(guard, caseId).settle(call(caseId, name, count))),
      );
    case "signal": {
      const { source } = step;
      return attempt(`${name} ${source}`, caseId, async () => {
        const signal = { source, outcome: "YES", signalId: `${caseId} from ${source}` };
        await handleOf(guard, caseId).signal(signal);
        return { came: "accepted", type: "signal", by: source };
      });
    }
    case "decide": {
      const { by } = step;
      return attempt(name, caseId, async () => {
        const handle = handleOf(guard, caseId);
        // Taken at an earlier try whose answer was an error.
        if ((await handle.get())?.state !== "FINAL")
          await handle.decide("YES", { by, reason: "seen" });
        return { came: "accepted", type: "decide", by };
      });
    }
    case "approve": {
      const { by } = step;
      return attempt(name, caseId, async () => {
        await handleOf(guard, caseId).get();
        await guard.approve(caseId, { actor: by });
        return { came: "accepted", type: "approve", by };
      });
    }
  }
}

function handleOf(guard: Guard, caseId: string): ReturnType<Guard["case"]> {
  switch (caseId) {
    case "voted":
      return guard.case(caseId, { policy: threshold({ share: 0.6, quorum: 2 }) });
    case "approved":
      return guard.case(caseId, {
        policy: approval({ need: 1 }),
        action: "pay",
        payload: { id: caseId },
      });
    default:
      return guard.case(caseId, { policy: manual() });
  }
}

let guard: Guard | undefined;
await attempt("open", "", async () => {
  guard = createGuard({ store: config.path, leaseMs: 3_000, waitMs: 2_000 });
  return { came: "opened" };
});
if (guard !== undefined) {
  for (const step of config.steps) await perform(guard, step);
  const opened = guard;
  say(closingLine);
  await attempt("close", "", async () => {
    await opened.close();
    return { came: "closed" };
  });
}
say(lastLine);
