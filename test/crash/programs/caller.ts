/** A process that asks a guard to run effects, and may kill itself at a named step of one. */
import { createHash } from "node:crypto";
import {
  createGuard,
  type EffectContext,
  type Guard,
  isGuardError,
  type Outcome,
} from "../../../src/index.ts";
import { sqliteStore } from "../../../src/stores/sqlite.ts";
import { deed, lineAt } from "../ledger.ts";
import { watched } from "../store-wrappers.ts";
import type { Answer, CallerConfig, Command, Fault, FromCaller } from "./protocol.ts";

const config = JSON.parse(process.argv[2] ?? "{}") as CallerConfig;
const { ledger, kind, dieAt, pause, leaseMs = 30_000, settlingMs = 50 } = config;
const declared = config.declared ?? kind;
const action = "pay";
let opened: Guard | undefined;
let goOn = Promise.withResolvers<void>();

function die(): never {
  process.kill(process.pid, "SIGKILL");
  throw new Error("killed");
}

/** Opened by the first command, and by the next one where that failed. */
function guard(): Guard {
  if (opened !== undefined) return opened;
  const store = watched(sqliteStore({ path: config.path }), {
    beforeClaim: () => dieAt === "before the claim" && die(),
    afterClaim: () => dieAt === "after the claim" && die(),
    afterSettle: () => dieAt === "in the settle, written and not answered" && die(),
  });
  opened = createGuard({ store, leaseMs });
  opened.wrap(action, { ...rules, key: ({ caseId }: { caseId: string }) => caseId });
  return opened;
}

async function run(_: unknown, ctx: EffectContext): Promise<unknown> {
  if (dieAt === "in the effect") die();
  if (dieAt === "in the effect, its request sent") {
    void deed(ledger, kind, ctx, true);
    while ((await lineAt(ledger, ctx.caseId)) === null);
    die();
  }
  if (pause === "before") await told(ctx.caseId);
  const { calls } = await deed(ledger, kind, ctx);
  if (dieAt === "after the effect") die();
  if (pause === "after") await told(ctx.caseId);
  return { by: process.pid, calls };
}

function told(caseId: string): Promise<void> {
  say({ waits: caseId });
  return goOn.promise;
}

const rules = {
  effect: declared,
  run,
  ...(declared === "probeable"
    ? {
        settlingMs,
        async probe(_: unknown, { caseId }: { caseId: string }) {
          const line = await lineAt(ledger, caseId);
          return line === null ? "absent" : ({ happened: true, value: { found: true } } as const);
        },
      }
    : {}),
} as const;

async function execute(caseId: string, requestId = caseId, waitMs?: number): Promise<Answer> {
  const wait = waitMs === undefined ? {} : { waitMs };
  const payload = { caseId };
  const call = { action, caseId, requestId, payload, ...rules, ...wait };
  const outcome = await guard().execute(call);
  if (dieAt === "after the settle") die();
  return answerOf(outcome);
}

function answerOf(outcome: Outcome<unknown>): Answer {
  const { status, effect } = outcome;
  if (outcome.status !== "settled") return { status, effect };
  const { replayed, recorded, receipt } = outcome;
  return { status, effect, replayed, recorded, receipt: JSON.stringify(receipt) };
}

/** Asks for all keys in an order of its own, some at once. Answers the hash of each receipt. */
async function storm(
  keys: readonly string[],
  me: number,
  atOnce: number,
): Promise<[string, string][]> {
  const order = [...keys];
  for (let last = order.length - 1; last > 0; last -= 1) {
    const other = Math.floor(Math.random() * (last + 1));
    [order[last], order[other]] = [order[other]!, order[last]!];
  }
  const hashes: [string, string][] = [];
  const lane = async () => {
    for (let key = order.pop(); key !== undefined; key = order.pop()) {
      // Every fifth case is asked for under a request id of each process's own.
      const requestId = key.endsWith("0") || key.endsWith("5") ? `${key} by ${me}` : key;
      const { status, receipt } = await execute(key, requestId, 300_000);
      if (receipt === undefined) throw new Error(`${key}: ${status}`);
      hashes.push([key, createHash("sha256").update(receipt).digest("hex")]);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  return hashes;
}

async function perform(command: Command): Promise<unknown> {
  switch (command.do) {
    case "execute":
      return execute(command.caseId, command.requestId, command.waitMs);
    case "storm":
      return storm(command.keys, command.me, command.atOnce);
    case "reconcile":
      return guard().reconcile();
    case "list": {
      const page = await guard().list({ states: command.states, limit: 1_000 });
      return page.items.map(({ caseId }) => caseId);
    }
    case "history": {
      const entries = await guard().history(command.caseId);
      return entries.map(({ entry }) => entry.event.type);
    }
    case "receipt":
      return JSON.stringify(await guard().receipt(command.requestId)) ?? null;
    case "resolve": {
      const { caseId, happened } = command;
      const word = { by: "ops", evidence: "the provider's own list" };
      return answerOf(await guard().resolve(caseId, { happened }, word));
    }
    case "go on":
      goOn.resolve();
      goOn = Promise.withResolvers();
      return undefined;
    case "close":
      return opened?.close();
  }
}

function faultOf(error: unknown): Fault {
  if (isGuardError(error)) {
    const { code, effect, message } = error;
    return { typed: true, code, effect, message };
  }
  return { typed: false, code: "", effect: "", message: String((error as Error).stack) };
}

function say(message: FromCaller): void {
  process.send?.(message);
}

process.on("disconnect", () => process.exit());
process.on("message", ({ id, command }: { id: number; command: Command }) => {
  perform(command).then(
    (value) => say({ id, value: value ?? null }),
    (error: unknown) => say({ id, fault: faultOf(error) }),
  );
});
