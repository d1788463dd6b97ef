import { createInterface } from "node:readline/promises";
import { Command } from "commander";
import { type Case, type Guard, GuardError } from "../index.ts";
import { visible } from "../mcp-proxy/shown.ts";
import { exits } from "./failure.ts";
import {
  actorOf,
  openStored,
  type StoreOptions,
  withActorOption,
  withStoreOptions,
} from "./operator.ts";

type Word = "approve" | "deny";

interface ReviewOptions extends StoreOptions {
  readonly note?: string;
  readonly fingerprint?: string;
  readonly yes?: boolean;
  readonly json?: boolean;
}

const summaries = {
  approve: "approve what a case holds: what is asked for again then runs",
  deny: "deny what a case holds: it never runs",
} as const;

/** `safeagent approve CASE` and `safeagent deny CASE`: a person's word on what a case holds. */
export function review(word: Word): Command {
  const command = new Command(word)
    .summary(summaries[word])
    .description(`Shows what the case holds, asks, and writes down that you ${word} exactly that.`)
    .argument("<case>", "the case's id");
  return withActorOption(withStoreOptions(command))
    .option("--note <text>", "why; kept in the journal")
    .option("--fingerprint <hex>", "what you were shown: anything else is refused")
    .option("--yes", "don't ask")
    .option("--json", "print one JSON object")
    .action(async (caseId: string, options: ReviewOptions) => {
      process.exitCode = await perform(word, caseId, options);
    });
}

async function perform(word: Word, caseId: string, options: ReviewOptions): Promise<number> {
  const { note, fingerprint, json = false } = options;
  const by = actorOf(options);
  await using guard = openStored(options);
  const held = await heldBy(guard, caseId);
  if (!json) process.stdout.write(`${held.text}\n`);
  const isSure = options.yes === true || fingerprint !== undefined;
  if (!isSure && !(await agrees(word))) {
    process.stdout.write("Nothing was written down.\n");
    return exits.failed;
  }
  const { state } = await guard[word](caseId, {
    actor: by,
    // What was shown, unless another fingerprint was named: then that is what was looked at.
    fingerprint: fingerprint ?? held.fingerprint,
    ...(note === undefined ? {} : { note }),
  });
  if (json) {
    const data = { caseId, state, by, action: held.action, fingerprint: held.fingerprint };
    process.stdout.write(`${JSON.stringify({ ok: true, data }, null, 2)}\n`);
  } else {
    process.stdout.write(`${told(word, state)}\n`);
  }
  return 0;
}

function told(word: Word, state: Case["state"] | "ABSENT"): string {
  if (word === "deny") return "Denied. It never runs; a new action needs a new case.";
  if (state === "FINAL") return "Approved. It runs when it is asked for again.";
  return `Approved. The case is ${state}: it still waits for others.`;
}

interface Held {
  readonly action: string;
  readonly fingerprint: string;
  readonly text: string;
}

async function heldBy(guard: Guard, caseId: string): Promise<Held> {
  const kase = await guard.case(caseId).get();
  if (kase === undefined) throw new GuardError("not_found", "There is no such case.", { caseId });
  if (kase.state === "RETIRED" || kase.intent === null) {
    throw new GuardError("held", `The case is ${kase.state} and holds no action.`, { caseId });
  }
  const { action, payload, fingerprint, proposer } = kase.intent;
  const text = [
    `case         ${caseId}`,
    `state        ${kase.state}`,
    `action       ${action}`,
    `asked for by ${proposer}`,
    `fingerprint  ${fingerprint}`,
    `payload      ${visible(JSON.stringify(payload, null, 2))}`,
  ];
  return { action, fingerprint, text: text.join("\n") };
}

/** Asks on a terminal; elsewhere nobody has seen anything, and nothing is agreed to. */
async function agrees(word: Word): Promise<boolean> {
  if (!process.stdin.isTTY || !process.stdout.isTTY) {
    throw new GuardError("invalid_request", "Nobody can be asked here.", {
      next: "Run it in a terminal, where a person is shown what the case holds.",
    });
  }
  const asking = createInterface({ input: process.stdin, output: process.stdout });
  try {
    return /^y(es)?$/i.test((await asking.question(`${word} this? [y/N] `)).trim());
  } finally {
    asking.close();
  }
}
