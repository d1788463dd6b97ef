import { type Guard, isGuardError } from "../index.ts";

/**
 * Calls that are made again with other arguments under the same key. That is a conflict, except
 * where the server refused the first arguments before its tool began: a model that left one out must
 * be able to put it right. The first case is then withdrawn, so that it never runs, and the corrected
 * call has a case of its own, by the next name.
 */
export interface Corrections {
  /** Whether a case has made room, or makes room now, for a call that its arguments don't fit. */
  makesRoom(caseId: string): Promise<boolean>;
}

/** Why a claim was given back: the journal's word for it, by which every process knows it. */
export const refusedReason = "the server refused the call before its tool began";
const reason = "another call with other arguments took its place";

/** The names of the cases of one key, the first one's first. */
export function nameOf(first: string, turn: number): string {
  return turn === 1 ? first : `${first}#${turn}`;
}

export function createCorrections(guard: Guard): Corrections {
  const isWithdrawn = async (caseId: string): Promise<boolean> => {
    const kase = await guard.case(caseId).get();
    return kase?.state === "VOID" && kase.receipt.note === reason;
  };

  return {
    async makesRoom(caseId) {
      const kase = await guard.case(caseId).get();
      if (kase?.state !== "FINAL") return isWithdrawn(caseId);
      const isUntouched =
        kase.past?.reason === refusedReason && kase.past.claim.earlierDoubt === null;
      if (!isUntouched) return false;
      try {
        await guard.case(caseId).withdraw({ by: "safeagent mcp", reason });
        return true;
      } catch (error) {
        // Another call runs it by now, or has withdrawn it.
        if (isGuardError(error)) return isWithdrawn(caseId);
        throw error;
      }
    },
  };
}
