import type { Case, Guard } from "../index.ts";

/**
 * The case that a call without a key asks for. Equal arguments are one effect; where the config sets
 * a window, a call that comes so long after the effect was settled is a new effect, with a case of
 * its own. Only a settled case makes room for the next: one that waits, runs, is in doubt or was
 * denied never does, whatever a clock says.
 */
export interface Window {
  /** `requestId`: the call's own name; what is bound to a case stays with it. */
  caseFor(first: string, windowMs: number | null, requestId: string | undefined): Promise<string>;
}

/** What is remembered is only where to begin to look. */
const rememberedMost = 10_000;

export function createWindow(guard: Guard, now: () => number): Window {
  const remembered = new Map<string, number>();
  const name = (first: string, turn: number) => (turn === 1 ? first : `${first}~${turn}`);
  const caseAt = (first: string, turn: number) => guard.case(name(first, turn)).get();

  /** The last of the cases 1, 2, 3 … that exists. */
  const lastOf = async (first: string): Promise<{ turn: number; kase: Case | undefined }> => {
    let turn = remembered.get(first) ?? 0;
    let kase: Case | undefined;
    for (let stride = 1; ; ) {
      const further = await caseAt(first, turn + stride);
      if (further !== undefined) {
        turn += stride;
        stride *= 2;
        kase = further;
      } else if (stride === 1) break;
      else stride = 1;
    }
    if (turn > 0) remember(first, turn);
    return { turn, kase: kase ?? (turn === 0 ? undefined : await caseAt(first, turn)) };
  };

  const remember = (first: string, turn: number) => {
    remembered.delete(first);
    remembered.set(first, turn);
    const [oldest] = remembered.keys();
    if (remembered.size > rememberedMost && oldest !== undefined) remembered.delete(oldest);
  };

  return {
    async caseFor(first, windowMs, requestId) {
      if (windowMs === null) return first;
      const { turn, kase } = await lastOf(first);
      if (kase === undefined) return first;
      if (!isOver(kase, windowMs, now())) return name(first, turn);
      // The same request again, after its window: its receipt, not a new effect. It was bound before
      // its case was settled, so it is seen here.
      const receipt = requestId === undefined ? undefined : await guard.receipt(requestId);
      return receipt?.caseId ?? name(first, turn + 1);
    },
  };
}

function isOver(kase: Case, windowMs: number, now: number): boolean {
  if (kase.state === "RETIRED") return kase.effect === "once";
  if (kase.state !== "SETTLED") return false;
  // A window of nothing needs no clock.
  return windowMs === 0 || now - kase.receipt.settledAt > windowMs;
}
