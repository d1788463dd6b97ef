import type { Books, Fate } from "./help-desk.ts";
import type { Ticket } from "./task.ts";

/** The help desk as one side sees it, over HTTP: what a vendor's client library would be. */
export interface Desk {
  /** Makes a new ticket, each time it is called. */
  openTicket(ticket: Ticket, reference: string, signal?: AbortSignal): Promise<string>;
  /** The ticket with this reference, if there is one. */
  findTicket(reference: string, signal?: AbortSignal): Promise<string | undefined>;
  closeAccount(account: string, signal?: AbortSignal): Promise<string>;
  /** What the help desk itself says it has done. */
  books(): Promise<Books>;
  /** For the demo: what becomes of the reply to the next new ticket. */
  nextReply(fate: Fate): Promise<void>;
}

/** @param url of one side's world at the help desk */
export function deskAt(url: string): Desk {
  const ask = async (
    method: string,
    path: string,
    body?: unknown,
    signal?: AbortSignal,
  ): Promise<unknown> => {
    const response = await fetch(`${url}/${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(signal === undefined ? {} : { signal }),
    });
    const answer: unknown = await response.json();
    if (response.status === 404) return undefined;
    if (!response.ok) throw new Error(`the help desk answered ${response.status}`);
    return answer;
  };

  return {
    async openTicket(ticket, reference, signal) {
      const made = await ask("POST", "tickets", { ticket, reference }, signal);
      return (made as { number: string }).number;
    },
    async findTicket(reference, signal) {
      const path = `tickets?reference=${encodeURIComponent(reference)}`;
      const found = await ask("GET", path, undefined, signal);
      return (found as { number: string } | undefined)?.number;
    },
    async closeAccount(account, signal) {
      await ask("POST", "closures", { account }, signal);
      return account;
    },
    books: async () => (await ask("GET", "books")) as Books,
    async nextReply(fate) {
      await ask("PUT", "fate", { fate });
    },
  };
}
