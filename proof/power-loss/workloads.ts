import { approval, type Guard, manual, threshold } from "../../src/index.ts";
import type { Said } from "./said.ts";

/** What a workload has in hand. */
export interface Desk {
  readonly guard: Guard;
  /** Tells runs and processes of one recording apart. */
  readonly name: string;
  say(said: Said): void;
  /**
   * Executes a case, with a text of up to so many characters that its name decides, and says its
   * receipt; an error of the guard is passed over.
   */
  execute(caseId: string, mostChars: number, requestId?: string): Promise<void>;
  /** Does the same in another process of this kind, until it ends. */
  another(name: string): Promise<void>;
}

type Workload = (desk: Desk) => Promise<void>;

export const workloads = {
  async "one caller"(desk) {
    for (let count = 1; count <= 70; count += 1) {
      const caseId = `${desk.name} ${count}`;
      await desk.execute(caseId, 2_000);
      if (count % 10 === 0) await desk.execute(caseId, 2_000, `${caseId} again`);
    }
  },

  async "few calls"(desk) {
    for (let count = 1; count <= 8; count += 1) {
      await desk.execute(`${desk.name} ${count}`, 2_000);
    }
  },

  async "16 callers"(desk) {
    await lanes(16, 8, (lane, count) => desk.execute(`${desk.name} ${lane}/${count}`, 1_500));
  },

  async "4 callers"(desk) {
    await lanes(4, 24, (lane, count) => desk.execute(`${desk.name} ${lane}/${count}`, 6_000));
  },

  async "200 callers at once"(desk) {
    for (let round = 1; round <= 2; round += 1) {
      await lanes(200, 1, (lane) => desk.execute(`${desk.name} ${round}/${lane}`, 800));
    }
  },

  async "large payloads"(desk) {
    await lanes(8, 16, (lane, count) => desk.execute(`${desk.name} ${lane}/${count}`, 80_000));
  },

  async "two processes"(desk) {
    const other = desk.name === "b" ? undefined : desk.another("b");
    for (let count = 1; count <= 15; count += 1) {
      await desk.execute(`${desk.name} ${count}`, 1_000);
      // Whoever comes first runs it; the other one is answered with its receipt.
      await desk.execute(`shared ${count}`, 100, `shared ${count} by ${desk.name}`);
    }
    await other;
  },

  async "signals, decisions, approvals"(desk) {
    await lanes(3, 6, (lane, count) =>
      deliberate(desk, `${desk.name} ${lane}/${count}`, lane + count),
    );
  },

  async "ask again"(desk) {
    const { items } = await desk.guard.list({ limit: 1_000 });
    for (const { caseId } of items) {
      const receipt = await desk.guard.receipt(caseId);
      if (receipt === undefined) continue;
      desk.say({ said: "receipt", requestId: caseId, caseId, text: JSON.stringify(receipt) });
    }
  },

  async pruning(desk) {
    for (let count = 1; count <= 20; count += 1) await desk.execute(`${desk.name} ${count}`, 1_000);
    desk.say({ said: "pruning" });
    await desk.guard.prune({ before: new Date(Date.now() + 60_000) });
    desk.say({ said: "pruned" });
  },
} as const satisfies { readonly [name: string]: Workload };

export type WorkloadName = keyof typeof workloads;

/** So many lanes at once, each of which does one after the other. */
async function lanes(
  width: number,
  length: number,
  work: (lane: number, count: number) => Promise<void>,
): Promise<void> {
  const lane = async (_: unknown, number: number) => {
    for (let count = 1; count <= length; count += 1) await work(number, count);
  };
  await Promise.all(Array.from({ length: width }, lane));
}

/** One case that several voices decide, in one of five ways. */
async function deliberate(desk: Desk, caseId: string, way: number): Promise<void> {
  const { guard, say } = desk;
  const held = { action: "pay", payload: { caseId } };
  const run = () => {
    say({ said: "started", caseId });
    say({ said: "ended", caseId });
    return caseId;
  };
  const decided = (type: "decide" | "approve" | "deny" | "withdraw", by: string) =>
    say({ said: "decided", caseId, type, by });
  const settle = async (handle: ReturnType<Guard["case"]>) => {
    const outcome = await handle.settle({ requestId: caseId, ...held, run });
    if (outcome.status !== "settled" || !outcome.recorded) return;
    const text = JSON.stringify(outcome.receipt);
    say({ said: "receipt", requestId: caseId, caseId, text });
  };
  const signal = async (handle: ReturnType<Guard["case"]>, source: string, outcome: string) => {
    const signalId = `${caseId} from ${source}`;
    await handle.signal({ source, outcome, signalId });
    say({ said: "signalled", caseId, signalId });
  };

  switch (way % 5) {
    case 0: {
      const handle = guard.case(caseId, { policy: threshold({ share: 0.6, quorum: 3 }) });
      await Promise.all(["a", "b", "c"].map((source) => signal(handle, source, "YES")));
      await settle(handle);
      await signal(handle, "late", "NO");
      return;
    }
    case 1: {
      const handle = guard.case(caseId, { outcomes: ["YES", "NO"], policy: manual() });
      await signal(handle, "a", "YES");
      await signal(handle, "b", "NO");
      await handle.decide("YES", { by: "ana", reason: "seen" });
      decided("decide", "ana");
      await settle(handle);
      return;
    }
    case 2:
    case 3: {
      const handle = guard.case(caseId, { policy: approval({ need: 2 }), ...held });
      await handle.get();
      await guard.approve(caseId, { actor: "ana" });
      decided("approve", "ana");
      if (way % 5 === 3) {
        await guard.deny(caseId, { actor: "bo" });
        decided("deny", "bo");
        return;
      }
      await guard.approve(caseId, { actor: "bo" });
      decided("approve", "bo");
      await settle(handle);
      return;
    }
    case 4: {
      const handle = guard.case(caseId, { policy: manual() });
      await signal(handle, "a", "YES");
      await handle.withdraw({ by: "ana", reason: "no longer wanted" });
      decided("withdraw", "ana");
    }
  }
}
