import { Command } from "commander";
import { GuardError, type Outcome, type Resolution } from "../index.ts";
import { visible } from "../mcp-proxy/shown.ts";
import {
  actorOf,
  openStored,
  type StoreOptions,
  withActorOption,
  withStoreOptions,
} from "./operator.ts";

interface ResolveOptions extends StoreOptions {
  readonly happened?: boolean;
  readonly notHappened?: boolean;
  readonly evidence: string;
  readonly value?: string;
  readonly json?: boolean;
}

/** `safeagent resolve CASE`: a person says what became of a case in doubt. */
export function resolve(): Command {
  const command = withStoreOptions(
    new Command("resolve")
      .summary("say what became of a case in doubt: it happened, or it did not")
      .description(
        "Clears a doubt by your word. Look at the provider first: what you say is kept with your name and your evidence, and every repeat is answered by it.",
      ),
  ).argument("<case>", "the case's id");
  return withActorOption(command)
    .option("--happened", "it happened: repeats get its receipt, nothing runs")
    .option("--not-happened", "it did not, and won't: it runs when it is asked for again")
    .requiredOption("--evidence <text>", "how you know; kept in the journal")
    .option("--value <json>", "with --happened: what the effect would have returned")
    .option("--json", "print one JSON object")
    .action(async (caseId: string, options: ResolveOptions) => {
      const resolution = resolutionOf(options);
      const by = actorOf(options);
      await using guard = openStored(options);
      const kase = await guard.case(caseId).get();
      if (kase === undefined) {
        throw new GuardError("not_found", "There is no such case.", { caseId });
      }
      // The doubt that was looked at: one that came after it is left alone.
      const fence = kase.state === "IN_DOUBT" ? { fence: kase.claim.fence } : {};
      const word = { by, evidence: options.evidence, ...fence };
      const outcome = await guard.resolve(caseId, resolution, word);
      if (options.json === true) {
        process.stdout.write(`${JSON.stringify({ ok: true, data: outcome }, null, 2)}\n`);
      } else {
        process.stdout.write(`${visible(told(outcome))}\n`);
      }
    });
}

function told(outcome: Outcome): string {
  if (outcome.status !== "settled") return outcome.next;
  return `Settled: repeats get receipt ${outcome.receipt.settlementId}.`;
}

function resolutionOf({ happened, notHappened, value }: ResolveOptions): Resolution {
  if ((happened === true) === (notHappened === true)) {
    throw new GuardError("invalid_request", "Say one of --happened and --not-happened.");
  }
  if (happened !== true) {
    if (value === undefined) return { happened: false };
    throw new GuardError("invalid_request", "What did not happen has no --value.");
  }
  if (value === undefined) return { happened: true };
  try {
    return { happened: true, value: JSON.parse(value) as unknown };
  } catch (cause) {
    throw new GuardError("invalid_request", "--value is not JSON.", { cause });
  }
}
