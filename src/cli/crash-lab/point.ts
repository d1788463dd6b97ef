/** The named points at which a worker is killed or stopped. */

/** What the guard writes: an event of the journal, or a renewal, which is not journaled. */
export const written = {
  claim: "the claim",
  renew: "a renewal",
  settle: "the settle",
  ask: "another ask",
  doubt: "the doubt",
  release: "the release",
  lease_ended: "the lease's end",
  probed: "the probe's finding",
  resolve: "a person's word",
  open: "the opening",
  signal: "a signal",
  decide: "the decision",
} as const;

export type Written = keyof typeof written;

/** `after`: it is on the disk, and the guard was not told so yet. */
export type WritePoint = `${"before" | "after"} ${(typeof written)[Written]} is written`;

export const moments = [
  "in the effect, before it happens",
  "in the effect, its request on the way",
  "in the effect, after it happened",
  "in the probe, before it asks",
  "in the probe, after it was answered",
  "answered by the guard, before the caller is",
] as const;

export type Point = WritePoint | (typeof moments)[number];

export function writePoint(when: "before" | "after", event: Written): WritePoint {
  return `${when} ${written[event]} is written`;
}

/** A point that is armed: whoever reaches it for this case is killed, or stopped until it is woken. */
export interface Trap {
  readonly caseId: string;
  readonly point: Point;
  readonly how: "kill" | "stop";
}

/** The traps of one process. */
export interface Traps {
  set(trap: Trap): void;
  /** Springs where one is set here. A stopped process goes on from here when it is woken. */
  reach(caseId: string, point: Point): void;
  /** Whether one is set for a case: spares looking closer at the others. */
  has(caseId: string): boolean;
}

/** @param stopping told just before a stop: the process itself can't say anything then */
export function createTraps(stopping: (caseId: string) => void): Traps {
  const traps = new Map<string, Trap>();
  return {
    set(trap) {
      traps.set(trap.caseId, trap);
    },
    reach(caseId, point) {
      const trap = traps.get(caseId);
      if (trap?.point !== point) return;
      traps.delete(caseId);
      if (trap.how === "kill") {
        process.kill(process.pid, "SIGKILL");
      } else {
        stopping(caseId);
        process.kill(process.pid, "SIGSTOP");
      }
    },
    has: (caseId) => traps.has(caseId),
  };
}
