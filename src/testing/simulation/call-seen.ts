/** A call as it was made, and what was so at that moment. */
export interface CallSeen {
  readonly caseId: string;
  readonly requestId: string;
  readonly payload: string;
  readonly variant: string;
  readonly life: string;
  /** May be given up by its caller. */
  readonly impatient: boolean;
  /** How often it had happened before. */
  readonly happenedBefore: number;
  /** It was settled before, and what it was settled with. */
  readonly settledBefore: string | null;
  /** How often the store had failed its process before. */
  readonly troublesBefore: number;
}
