import { randomUUID } from "node:crypto";
import { appendFileSync, existsSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/** What the fixture servers do, counted in a file that outlives them. */
export interface Ground {
  /** Does the irreversible thing, and answers with a text that no other run has. */
  act(tool: string, order: string): string;
  /** Resolves when the test lets slow tools end. */
  mayEnd(order: string): Promise<void>;
}

/** One line for each run of a tool: the tool, the order, and the process. */
export function groundAt(ledger: string): Ground {
  return {
    act(tool, order) {
      appendFileSync(ledger, `${tool} ${order} ${process.pid}\n`);
      return `${tool} ${order} did ${randomUUID()}`;
    },
    async mayEnd(order) {
      while (!existsSync(`${ledger}.${order}`)) await sleep(5);
    },
  };
}

/** Lets the slow tools of an order end. */
export function letEnd(ledger: string, order: string): void {
  writeFileSync(`${ledger}.${order}`, "");
}

/** The tools of the fixture servers, told alike by each version of the SDK. */
export const tools = {
  look: { description: "Looks at an order", annotations: { readOnlyHint: true } },
  pay: { description: "Pays an order", annotations: { destructiveHint: true } },
  wire: { description: "Pays an order by wire", annotations: { destructiveHint: true } },
  slow: { description: "Pays an order, and ends when it is told to", annotations: {} },
  confirm: { description: "Pays an order once its user agrees", annotations: {} },
  refuse: { description: "Fails after it has done something", annotations: {} },
} as const;

export const question = {
  message: "Pay it?",
  requestedSchema: {
    type: "object" as const,
    properties: { agree: { type: "boolean" as const } },
    required: ["agree"],
  },
};
