import type { HistoryAnswer, HistoryCall } from "../../testing/history.ts";
import { now } from "./clock.ts";

/** What the lab sees of the calls: their beginnings and their ends, from the outside. */
export interface Recorder {
  /** A call begins now. Its end is told to what this answers; where that never happens, its process died. */
  begin(call: Asked): (answer: HistoryAnswer) => void;
  calls(): readonly HistoryCall[];
}

export interface Asked {
  readonly caseId: string;
  readonly requestId: string;
  readonly payload: string;
}

export function createRecorder(): Recorder {
  const calls: HistoryCall[] = [];
  // A case's receipt comes many times, each time as a text of its own: one of them is enough to keep.
  const receipts = new Map<string, string>();
  const kept = (receipt: string): string => {
    const same = receipts.get(receipt);
    if (same === undefined) receipts.set(receipt, receipt);
    return same ?? receipt;
  };
  return {
    begin({ caseId, requestId, payload }) {
      const place = calls.length;
      const call = { callId: String(place + 1), caseId, requestId, payload, began: now() };
      calls.push({ ...call, end: null });
      return (answer) => {
        const told = "receipt" in answer ? { ...answer, receipt: kept(answer.receipt) } : answer;
        calls[place] = { ...call, end: { at: now(), answer: told } };
      };
    },
    calls: () => calls,
  };
}
