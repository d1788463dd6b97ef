import { setTimeout as sleep } from "node:timers/promises";
import type { Agent, Asked, Stage } from "./stage.ts";
import type { Cell, Table } from "./table.ts";
import { type Answer, each, type Pair, type Side, type Ticket } from "./task.ts";

/** Three ordinary failures. Every word in a cell comes from an answer of an agent or the help desk. */

/** The ticket is made, its reply never arrives, and the model calls the tool once more. */
export async function replyLost(stage: Stage, table: Table): Promise<void> {
  const ticket = { customer: "C-123", subject: "The invoice is wrong" };
  const call = (agent: Agent, toolCallId: string) =>
    agent.ask({ do: "open_ticket", toolCallId, ticket });
  const agents = await each((side) => stage.hire(side, "agent"));
  const asked: { [S in Side]?: Asked } = {};

  table.act("The reply got lost");
  await table.row("agent calls the tool", async (side) => {
    await stage.desk(side).nextReply("cut");
    asked[side] = call(agents[side], "call_1");
    return { text: `${await made(stage, side, 1)} created, reply cut` };
  });
  await table.row("agent is told", async (side) => ticketCell(await asked[side]?.answer));
  await table.row("agent calls it again", async (side) =>
    ticketCell(await call(agents[side], "call_2").answer, true),
  );
  await dismiss(agents);
}

/** A worker dies when its ticket is made and nobody has noted it; the next one gets the same task. */
export async function workerKilled(stage: Stage, table: Table): Promise<void> {
  const ticket = { customer: "C-456", subject: "The parcel is late" };
  const before = await each(async (side) => (await stage.desk(side).books()).tickets.length);
  const next: { agents?: Pair<Agent>; asked: { [S in Side]?: Asked } } = { asked: {} };

  table.act("The worker was killed in the middle of the call");
  await table.row("worker killed (SIGKILL)", async (side) => {
    const worker = await stage.hire(side, "worker-1");
    await stage.desk(side).nextReply("held");
    worker.ask(openTicket("task-2:call_1", ticket));
    const number = await made(stage, side, before[side] + 1);
    await worker.kill();
    return { text: `${number} created` };
  });
  await table.row("next worker finds", async (side) => {
    const worker = await stage.hire(side, "worker-2");
    next.asked[side] = worker.ask(openTicket("task-2:call_2", ticket));
    next.agents = { ...(next.agents as Pair<Agent>), [side]: worker };
    if (side === "without") return { text: "no trace of it", tone: "quiet" };
    const doubted = await next.asked[side]?.doubt;
    return doubted ? { text: "a claim without end: IN_DOUBT" } : { text: "no doubt", tone: "bad" };
  });
  await table.row("next worker does", async (side) =>
    ticketCell(await next.asked[side]?.answer, true),
  );
  if (next.agents !== undefined) await dismiss(next.agents);
}

/** Two agents judge one account differently; without a common decision, the first to act wins. */
export async function disagree(stage: Stage, table: Table): Promise<void> {
  const account = "A-789";
  let why = "";

  table.act("Two agents disagree about closing an account");
  await table.row("billing: keep, 91 % sure", async (side) => {
    if (side === "without") return { text: "nobody asks", tone: "quiet" };
    const billing = await stage.hire(side, "billing");
    const vote = { do: "vote", account, outcome: "keep", confidence: 0.91 } as const;
    const cell = voteCell(await billing.ask(vote).answer);
    await billing.dismiss();
    return cell;
  });
  await table.row("triage: close, 62 % sure", async (side) => {
    const triage = await stage.hire(side, "triage");
    if (side === "with") {
      await triage.ask({ do: "vote", account, outcome: "close", confidence: 0.62 }).answer;
    }
    const asked = triage.ask({ do: "close_account", toolCallId: "call_3", account });
    const answer = await asked.answer;
    if (answer.kind === "held") why = answer.why;
    await triage.dismiss();
    return closureCell(answer);
  });
  await table.row("because", async (side) => ({
    text: side === "without" ? "it was the first to act" : why,
    tone: "quiet",
  }));
}

function openTicket(toolCallId: string, ticket: Ticket) {
  return { do: "open_ticket", toolCallId, ticket } as const;
}

/** The number of the n-th ticket, as soon as the help desk has it in its books. */
async function made(stage: Stage, side: Side, n: number): Promise<string> {
  for (;;) {
    const number = (await stage.desk(side).books()).tickets[n - 1];
    if (number !== undefined) return number;
    await sleep(10);
  }
}

/** @param again the tool was called for this ticket before */
function ticketCell(answer: Answer | undefined, again = false): Cell {
  switch (answer?.kind) {
    case "done":
      return again
        ? { text: `${answer.what} created again`, tone: "bad" }
        : { text: `${answer.what} created` };
    case "settled":
      return {
        text: `${answer.what} ${wordFor(answer)}`,
        tone: "good",
        receipt: answer.settlementId,
      };
    default:
      return heldCell(answer);
  }
}

function wordFor(answer: Extract<Answer, { kind: "settled" }>): string {
  if (answer.found) return "found, not run again";
  return answer.replayed ? "replayed, not run again" : "created";
}

function closureCell(answer: Answer): Cell {
  switch (answer.kind) {
    case "done":
      return { text: "account closed", tone: "bad" };
    case "settled":
      return { text: "account closed", tone: "bad", receipt: answer.settlementId };
    default:
      return heldCell(answer);
  }
}

function voteCell(answer: Answer): Cell {
  return answer.kind === "voted" ? { text: `vote ${answer.status}` } : heldCell(answer);
}

function heldCell(answer: Answer | undefined): Cell {
  switch (answer?.kind) {
    case "error":
      return { text: "an error", tone: "bad" };
    case "held":
      if (answer.effect === "unknown")
        return { text: answer.status.replace("_", " "), tone: "bad" };
      return answer.status === "pending"
        ? { text: "held: not FINAL, nothing ran", tone: "good" }
        : { text: `${answer.status.replace("_", " ")}, nothing ran` };
    default:
      return { text: "no answer", tone: "bad" };
  }
}

async function dismiss(agents: Pair<Agent>): Promise<void> {
  await each((side) => agents[side].dismiss());
}
