// In your project: from "safeagent"

import assert from "node:assert/strict";
import { createGuard } from "../../src/index.ts";

// The help desk makes the ticket, and its reply is lost. A probe finds the ticket; nobody makes a second one.
const guard = createGuard({ store: "memory:" });
const helpDesk = new Map<string, string>();

const openTicket = guard.wrap("open_ticket", {
  key: (ticket: { alarm: string }) => `ticket:${ticket.alarm}`,
  run: async ({ alarm }): Promise<{ ticketId: string }> => {
    helpDesk.set(alarm, `TCK-${helpDesk.size + 1}`);
    throw new Error("socket hang up");
  },
  // Read-only: does the world know of it?
  probe: ({ alarm }) => {
    const ticketId = helpDesk.get(alarm);
    return ticketId === undefined ? "absent" : { happened: true, value: { ticketId } };
  },
  settlingMs: 50, // how long a lost call may still be on its way; no probe before that
});

const first = await openTicket.outcome({ alarm: "disk-7" });
const again = await openTicket.outcome({ alarm: "disk-7" });
assert(first.status === "settled" && again.status === "settled");

console.log(`the reply was lost, the probe found ${first.receipt.value?.ticketId}`);
console.log(`asked again: ${again.receipt.value?.ticketId}, replayed`);
console.log(`tickets at the help desk: ${helpDesk.size}`);
assert.equal(first.receipt.source, "probe");
assert.deepEqual(again.receipt, first.receipt);
assert.equal(helpDesk.size, 1);

await guard.close();
