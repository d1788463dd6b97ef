/**
 * Every bound of the guard in one table, so that nothing grows without an end and every end has a
 * typed error. A test reaches each of them.
 */
export const limits = {
  /** Characters of a case id, request id, action, namespace, actor, source or outcome. */
  idChars: 255,
  /** Characters (UTF-16 code units) of a payload's canonical JSON. */
  payloadChars: 262_144,
  /** Characters of the JSON kept of an effect's returned value; a longer one is left out of the receipt. */
  valueChars: 262_144,
  /** Levels of nesting in a payload. */
  jsonDepth: 64,
  /** Members and elements in a payload, all levels together. */
  jsonNodes: 10_000,
  /** Characters of a note, reason, evidence text or recorded error message. */
  textChars: 2_000,
  /** Signals kept for one case, late ones included. */
  signalsPerCase: 1_000,
  /** Approvals and denials kept for one case. */
  approvalsPerCase: 100,
  /** Outcomes a case may declare. */
  outcomesPerCase: 100,
  /** Policies inside one policy, all levels together. */
  policyNodes: 32,
  /** Sources a policy may weigh, or approvers it may name. */
  policyNames: 1_000,
  /** The greatest weight of one source. */
  weight: 1_000_000,
  /** Journal entries of one case; past that only what the machine can't do without is journaled. */
  entriesPerCase: 100_000,
  /** Claims of one case. */
  claimsPerCase: 10_000,
  /** Paths an action may leave out of its fingerprint. */
  ignoredPaths: 32,
  /** Tries of one commit before the guard answers `store_contended`. */
  commitTries: 64,
  /** Doubts that one sweep looks into at a time. */
  probesAtOnce: 8,
  /** Queued cases that one worker may run at a time. */
  workersAtOnce: 1_000,
  /** Due cases of an action that a worker takes into one look. */
  queuePage: 256,
  /** Milliseconds between a worker's looks at the queue, however many hints it gets. */
  queueLookMs: 50,
  /** Milliseconds after which a worker looks without a hint: what was put off comes due unannounced. */
  queueRestMs: 1_000,
  /** Doublings of the pause between probes that find nothing out, or runs that bring nothing. */
  probeDoublings: 12,
  /** Rows in one page of a listing or of the journal feed. */
  pageRows: 1_000,
  /** Finished cases kept in memory to answer replays without the store: at least so many, at most twice. */
  finishedCases: 10_000,
  /** Characters of a payload or value above which a finished case is left to the store. */
  finishedChars: 16_384,
  /** Milliseconds: the shortest and the longest lease. */
  leaseMsMin: 20,
  leaseMsMax: 86_400_000,
  /** Milliseconds an effect may run, a caller may wait, a key may live or an approval may be open: a year. */
  spanMsMax: 31_622_400_000,
} as const;

/** What applies where the caller says nothing. Times in milliseconds. */
export const defaults = {
  leaseMs: 30_000,
  waitMs: 30_000,
  timeoutMs: 300_000,
  /** How long a callee is taken to honour an idempotency key: a day less an hour of margin. */
  keyTtlMs: 82_800_000,
  /** How long an effect may still be under way after its worker was lost; no probe before that. */
  settlingMs: 5_000,
  /** Queued cases that one worker runs at a time. */
  concurrency: 8,
  /** Claims of a queued case that is not performed; then it is void. */
  maxAttempts: 10,
} as const;
