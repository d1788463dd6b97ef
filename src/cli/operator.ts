import { existsSync } from "node:fs";
import { userInfo } from "node:os";
import type { Command } from "commander";
import { createGuard, type Guard, GuardError } from "../index.ts";

/** What the verbs of an operator have in common: the store that is there already, and who says so. */

export interface StoreOptions {
  readonly store: string;
  readonly namespace?: string;
  readonly by?: string;
}

export function withStoreOptions(command: Command): Command {
  return command
    .option("--store <address>", "a file's path, or postgres://…", "safeagent.db")
    .option("--namespace <name>", "where the cases are kept apart (default: default)");
}

export function withActorOption(command: Command): Command {
  return command.option("--by <name>", "who you are (default: the user who is logged in)");
}

/** Who acts: as told, or the user who is logged in. */
export function actorOf({ by }: StoreOptions): string {
  return by ?? userInfo().username;
}

/** A guard on a store that is there: a wrong path would make an empty one. */
export function openStored({ store, namespace, by }: StoreOptions): Guard {
  const isFile = !/^[a-z][a-z0-9+.-]+:/i.test(store);
  if (isFile && !existsSync(store)) {
    throw new GuardError("not_found", `There is no store ${store}.`, {
      next: "Name the store that the agent uses: --store ADDRESS.",
    });
  }
  const actor = actorOf({ store, ...(by === undefined ? {} : { by }) });
  return createGuard({ store, actor, ...(namespace === undefined ? {} : { namespace }) });
}
