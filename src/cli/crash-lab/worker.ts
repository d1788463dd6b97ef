/**
 * A worker, in a process of its own, so that it can really be killed. It loads everything first, and
 * is told what it is only when it is needed.
 */
import module from "node:module";
import { isGuardError } from "../../index.ts";
import { createEffects } from "./effect.ts";
import { guarded } from "./guarded.ts";
import type { Keeper, KeeperOptions } from "./keeper.ts";
import { ledgerAt } from "./ledger-client.ts";
import type { Command, FromWorker, WorkerConfig } from "./message.ts";
import { forgetOnThrow, inMemory, retryOnLeaseEnd } from "./naive.ts";
import { createTraps } from "./point.ts";

const say = (message: FromWorker): void => {
  process.send?.(message);
};

const traps = createTraps((caseId) => say({ kind: "stopping", caseId }));
let keeper: Keeper | undefined;

function keeperOf(config: WorkerConfig): Keeper {
  const effects = createEffects(ledgerAt(config.ledgerPort), traps);
  const options: KeeperOptions = {
    config,
    effects,
    traps,
    stepped: (caseId, step) => say({ kind: "stepped", caseId, step }),
  };
  switch (config.keeper) {
    case "guard":
      return guarded(options);
    case "retry on lease end":
      return retryOnLeaseEnd(options);
    case "forget on throw":
      return forgetOnThrow(options);
    case "in memory":
      return inMemory(options);
  }
}

async function perform(command: Command): Promise<unknown> {
  if (keeper === undefined) throw new Error("a worker was asked before it was told what it is");
  switch (command.do) {
    case "ask":
      if (command.trap !== null) traps.set(command.trap);
      return keeper.ask(command.ask);
    case "sweep":
      await keeper.sweep();
      return null;
    case "receipts":
      return Promise.all(command.requestIds.map(keeper.receipt));
    case "doubts":
      return keeper.doubts();
    case "resolve":
      if (command.trap !== null) traps.set(command.trap);
      return keeper.resolve(command.caseId, command.happened);
  }
}

type ToWorker =
  | { readonly be: WorkerConfig }
  | { readonly id: number; readonly command: Command }
  /** Nothing is wanted of it but what it has compiled. */
  | { readonly compile: true };

const messageOf = (error: unknown): string => {
  if (isGuardError(error)) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
};

process.on("message", (message: ToWorker) => {
  if ("be" in message) {
    keeper = keeperOf(message.be);
  } else if ("compile" in message) {
    module.flushCompileCache?.();
    process.exit();
  } else {
    const { id, command } = message;
    perform(command).then(
      (answer) => say({ kind: "answer", id, answer }),
      (error: unknown) => say({ kind: "fault", id, message: messageOf(error) }),
    );
  }
});
// Ctrl-C reaches every process of the terminal; the lab ends its children itself, in order.
process.on("SIGINT", () => undefined);
process.once("disconnect", () => process.exit());
say({ kind: "ready" });
