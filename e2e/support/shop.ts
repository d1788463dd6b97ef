import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Command, fixture } from "./run.ts";

/** What an agent's model pays for, each time it calls the tool. */
export const order: { orderId: string; cents: number } = { orderId: "A1", cents: 500 };

/** Stands before an MCP server, or not. */
export type Front = (server: Command, home: string) => Command;
export const direct: Front = (server) => server;

/** Where the runs of `pay` are written, a line each. */
export const ledger = (home: string): string => join(home, "ledger.txt");

/** The MCP server with the tool `pay`, which writes each of its runs into the home's ledger. */
export const shopServer = (home: string): Command => fixture("shop-server.ts", ledger(home));

/** The runs of `pay`, a line each. */
export const payments = (home: string): string[] =>
  existsSync(ledger(home)) ? readFileSync(ledger(home), "utf8").trim().split("\n") : [];
