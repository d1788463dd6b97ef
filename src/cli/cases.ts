import { Command, InvalidArgumentError } from "commander";
import type { Case, CaseState } from "../index.ts";
import { visible } from "../mcp-proxy/shown.ts";
import { openStored, type StoreOptions, withStoreOptions } from "./operator.ts";

interface CasesOptions extends StoreOptions {
  readonly state: readonly CaseState[];
  readonly limit: number;
  readonly json?: boolean;
}

/** What waits for a person. */
const waiting: readonly CaseState[] = [
  "IN_DOUBT",
  "OPEN",
  "RESOLVED_PROVISIONAL",
  "IN_RECONCILIATION",
];
const known: readonly CaseState[] = [
  ...waiting,
  "FINAL",
  "EXECUTING",
  "SETTLED",
  "VOID",
  "RETIRED",
];

/** `safeagent cases`: what waits for a person, a line each. */
export function cases(): Command {
  return withStoreOptions(
    new Command("cases")
      .summary("list what is in doubt or waits for a decision")
      .description(
        "Lists cases, a line each: what is in doubt and what waits for a decision, or those of the states that you name.",
      ),
  )
    .option("--state <states>", `of ${known.join(", ")}; with commas between`, states, waiting)
    .option("--limit <n>", "the most to list", count, 100)
    .option("--json", "print one JSON object, with the whole cases")
    .action(async (options: CasesOptions) => {
      await using guard = openStored(options);
      const { items, next } = await guard.list({ states: options.state, limit: options.limit });
      if (options.json === true) {
        const data = { cases: items, more: next !== null };
        process.stdout.write(`${JSON.stringify({ ok: true, data }, null, 2)}\n`);
        return;
      }
      for (const kase of items) process.stdout.write(`${lineOf(kase)}\n`);
      if (items.length === 0) process.stdout.write("There is none.\n");
      if (next !== null) process.stdout.write("There are more: --limit N.\n");
    });
}

function lineOf(kase: Case): string {
  const action = kase.state === "RETIRED" ? null : (kase.intent?.action ?? null);
  const since = new Date(kase.updatedAt).toISOString();
  return visible(`${since}  ${kase.state.padEnd(20)}  ${action ?? "-"}  ${kase.caseId}`);
}

function states(text: string): readonly CaseState[] {
  return text.split(",").map((name) => {
    const state = known.find((one) => one === name.trim().toUpperCase());
    if (state === undefined) throw new InvalidArgumentError(`There is no state "${name}".`);
    return state;
  });
}

function count(text: string): number {
  const number = Number(text);
  if (Number.isInteger(number) && number >= 1 && number <= 1_000) return number;
  throw new InvalidArgumentError("It must be a whole number from 1 to 1000.");
}
