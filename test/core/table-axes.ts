import { type Absent, type Case, retired, type Settled, type Void } from "../../src/core/case.ts";
import type { Event, Happening } from "../../src/core/event.ts";
import { all, approval, immediate, threshold } from "../../src/core/policy.ts";
import type { EffectTerms } from "../../src/core/receipt.ts";
import {
  absent,
  approve,
  claim,
  deny,
  doubt,
  event,
  happened,
  idempotent,
  intent,
  keyed,
  notHappened,
  opaque,
  open,
  probeable,
  queued,
  reached,
  release,
  requestId,
  right,
  settle,
  transactional,
  vote,
} from "./samples.ts";

// Sources a, b, c vote; ann and ben may approve, and so may pat, but for being the proposer.
const votes = threshold({ share: 0.6, quorum: 2, weights: { a: 1, b: 1, c: 1 } });
const both = all(votes, approval({ need: 1, from: ["ann", "ben", "pat"], expiresIn: 50 }));
const voted = { outcomes: ["YES", "NO"], allow: ["YES"] };

const opened = (rest = {}) => event(open(votes, { ...voted, ...rest }));
const said = (source: string, outcome: string) => event(vote(source, outcome), { by: source });

/** Claimed for the second time, so that fence 1 is stale; the lease ends at 100. */
const claimedTwice = (terms: EffectTerms, rest: Parameters<typeof claim>[0] = {}) =>
  reached(
    absent,
    event(claim({ terms, ...rest })),
    event(release(1)),
    event(claim({ terms, requestId: requestId("r2") })),
  );
const doubted = (terms: EffectTerms) =>
  reached(claimedTwice(terms), event({ type: "lease_ended" }, { at: 100 }));

/** Claimed again while the first claim was in doubt, by terms that permit it. */
const rerun = (terms: EffectTerms) =>
  reached(
    absent,
    event(claim({ terms })),
    event({ type: "lease_ended" }, { at: 100 }),
    event(claim({ terms, leaseUntil: 100, requestId: requestId("r2") }), { at: 100 }),
  );

const votedFinal = reached(absent, opened(), said("a", "YES"), said("b", "YES"));
const settled = reached(claimedTwice(opaque), event(settle(2), { at: 90 }));
const rejected = reached(absent, opened(), said("a", "NO"), said("b", "NO"));
const hash = "0".repeat(64);
const gone = (kase: Case): Case =>
  retired(kase as Settled | Void, { receiptHash: hash, journalHash: hash, requests: [] });

export const states: readonly (readonly [name: string, kase: Case | Absent])[] = [
  ["ABSENT", absent],
  ["OPEN, no intent", reached(absent, opened())],
  [
    "OPEN, intent, waits for approval too, expires at 50",
    reached(absent, event(open(both, { ...voted, intent: intent() }))),
  ],
  [
    "OPEN, one approval of what is wanted",
    reached(
      absent,
      event(open(both, { ...voted, intent: intent() })),
      event(approve(right), { by: "ann" }),
    ),
  ],
  ["RESOLVED_PROVISIONAL", reached(absent, opened(), said("a", "YES"))],
  ["IN_RECONCILIATION", reached(absent, opened(), said("a", "YES"), said("b", "NO"))],
  [
    "IN_RECONCILIATION, intent",
    reached(absent, opened({ intent: intent() }), said("a", "YES"), said("b", "NO")),
  ],
  ["FINAL, immediate, no intent", reached(absent, event(open(immediate())))],
  ["FINAL, voted, no intent", votedFinal],
  [
    "FINAL, decided by a person and approved by ann",
    reached(
      absent,
      event(open(both, { ...voted, intent: intent() })),
      event(approve(right), { by: "ann" }),
      event({ type: "decide", outcome: "YES", reason: "seen" }),
    ),
  ],
  ["FINAL, queued, due at 0", reached(absent, event(open(immediate(), { intent: queued() })))],
  [
    "FINAL, queued, claim 1 given back, due at 60",
    reached(absent, event(claim({ intent: queued() })), event(release(1, false, 60), { at: 20 })),
  ],
  ["FINAL, immediate, claim 2 given back", reached(claimedTwice(opaque), event(release(2)))],
  ["EXECUTING, opaque, fence 2", claimedTwice(opaque)],
  ["EXECUTING, keyed, fence 2", claimedTwice(keyed(150))],
  ["EXECUTING, probeable, fence 2", claimedTwice(probeable(10))],
  ["EXECUTING, idempotent, fence 2", claimedTwice(idempotent)],
  ["EXECUTING, transactional, fence 2", claimedTwice(transactional)],
  [
    "EXECUTING, transactional, queued, fence 2",
    claimedTwice(transactional, { intent: queued("p", "r2") }),
  ],
  ["EXECUTING, keyed, fence 2, fence 1 in doubt", rerun(keyed(150))],
  ["EXECUTING, keyed, fence 2, fence 1 in doubt, probe from 110", rerun(keyed(150, 10))],
  ["EXECUTING, idempotent, fence 2, fence 1 in doubt", rerun(idempotent)],
  ["EXECUTING, voted, fence 1", reached(votedFinal, event(claim()))],
  ["IN_DOUBT, opaque, fence 2", doubted(opaque)],
  ["IN_DOUBT, keyed until 150, fence 2", doubted(keyed(150))],
  ["IN_DOUBT, keyed until 150, probe from 110, fence 2", doubted(keyed(150, 10))],
  ["IN_DOUBT, probe from 110, fence 2", doubted(probeable(10))],
  ["IN_DOUBT, idempotent, fence 2", doubted(idempotent)],
  [
    "IN_DOUBT, keyed, probe from 130, fence 2 behind fence 1, probe from 110",
    reached(rerun(keyed(150, 10)), event(doubt(2), { at: 120 })),
  ],
  [
    "IN_DOUBT, keyed, fence 2 did not happen, fence 1 in doubt",
    reached(rerun(keyed(150)), event(release(2), { at: 120 })),
  ],
  ["SETTLED, fence 2", settled],
  ["SETTLED, voted, fence 1", reached(votedFinal, event(claim()), event(settle(1)))],
  ["VOID, rejected, no intent", rejected],
  ["VOID, not performed, intent", reached(claimedTwice(opaque), event(release(2, true)))],
  ["RETIRED, settled", gone(settled)],
  ["RETIRED, void, no intent", gone(rejected)],
];

const found = { answer: "happened", value: "found", valueForm: "exact" } as const;
const probed = (fence: number, found: Extract<Happening, { type: "probed" }>["found"]) =>
  ({ type: "probed", fence, found }) as const;
const late = (fence: number) =>
  ({ type: "late_result", fence, value: "done", valueForm: "exact" }) as const;
const ask = (payload: string) =>
  ({ type: "ask", requestId: requestId("r9"), fingerprint: intent(payload).fingerprint }) as const;

export const events: readonly (readonly [name: string, event: Event])[] = [
  ["open, votes, no intent", opened()],
  ["open, votes, same intent", opened({ intent: intent() })],
  ["open, votes, other payload", opened({ intent: intent("q") })],
  ["open, votes, other allow", opened({ allow: ["NO"] })],
  ["open, votes, allow left open", opened({ allow: null })],
  ["open, votes and approval, same intent", event(open(both, { ...voted, intent: intent() }))],
  ["open, immediate, no intent", event(open(immediate()))],
  ["open, immediate, same intent", event(open(immediate(), { intent: intent() }))],
  ["open, immediate, same intent, queued", event(open(immediate(), { intent: queued() }))],
  ["open, immediate, other payload", event(open(immediate(), { intent: intent("q") }))],
  ["signal c YES", said("c", "YES")],
  ["signal c NO", said("c", "NO")],
  ["signal a YES, sent before", said("a", "YES")],
  ["signal a NO, by an id sent before", event(vote("a", "NO", { signalId: "a:YES" }))],
  ["signal a NO, changed its mind", event(vote("a", "NO", { signalId: "a2", at: 1 }))],
  ["signal c BANANA", said("c", "BANANA")],
  ["signal z YES, a stranger", said("z", "YES")],
  ["approve by ann", event(approve(right), { by: "ann" })],
  ["approve by ben", event(approve(right), { by: "ben" })],
  ["approve by pat, the proposer", event(approve(right), { by: "pat" })],
  ["approve by eve, a stranger", event(approve(right), { by: "eve" })],
  ["approve by ann, other payload", event(approve('"q"'), { by: "ann" })],
  ["approve by ben, after the expiry", event(approve(right), { by: "ben", at: 50 })],
  ["deny by ann", event(deny(right), { by: "ann" })],
  ["deny by eve, a stranger", event(deny(right), { by: "eve" })],
  ["decide YES", event({ type: "decide", outcome: "YES", reason: "seen" })],
  ["decide NO", event({ type: "decide", outcome: "NO", reason: "seen" })],
  ["decide BANANA", event({ type: "decide", outcome: "BANANA", reason: "seen" })],
  ["expire, before its time", event({ type: "expire" }, { at: 49 })],
  ["expire, in its time", event({ type: "expire" }, { at: 50 })],
  ["withdraw", event({ type: "withdraw", note: "not wanted" })],
  ["ask, same payload", event(ask("p"))],
  ["ask, other payload", event(ask("q"))],
  ["claim, opens", event(claim({ leaseUntil: 300 }), { at: 110 })],
  ["claim", event(claim({ leaseUntil: 300, opens: false }), { at: 110 })],
  [
    "claim, opens, queued",
    event(claim({ leaseUntil: 300, intent: queued("p", "r9") }), { at: 110 }),
  ],
  ["claim, when the key is dead", event(claim({ leaseUntil: 300, opens: false }), { at: 150 })],
  ["claim, insists on the votes", event(claim({ leaseUntil: 300, policy: votes }), { at: 110 })],
  [
    "claim, insists on nobody being asked",
    event(claim({ leaseUntil: 300, policy: immediate() }), { at: 110 }),
  ],
  ["claim, other payload, opens", event(claim({ leaseUntil: 300, intent: intent("q") }))],
  ["claim, other payload", event(claim({ leaseUntil: 300, intent: intent("q"), opens: false }))],
  ["renew, fence 2", event({ type: "renew", fence: 2, leaseUntil: 200 })],
  ["renew, fence 1", event({ type: "renew", fence: 1, leaseUntil: 200 })],
  ["renew, fence 2, shorter", event({ type: "renew", fence: 2, leaseUntil: 20 })],
  ["settle, fence 2", event(settle(2))],
  ["settle, fence 1", event(settle(1))],
  ["settle, fence 3", event(settle(3))],
  ["release, fence 2", event(release(2))],
  ["release, fence 1", event(release(1))],
  ["release, fence 2, retry at 60", event(release(2, false, 60), { at: 20 })],
  ["release, fence 2, retry in the past", event(release(2, false, 5), { at: 20 })],
  ["release for good, fence 2", event(release(2, true))],
  ["release for good, fence 1", event(release(1, true))],
  ["doubt, fence 2", event(doubt(2), { at: 90 })],
  ["doubt, fence 1", event(doubt(1), { at: 90 })],
  ["lease ended, before its time", event({ type: "lease_ended" }, { at: 99 })],
  ["lease ended, in its time", event({ type: "lease_ended" }, { at: 100 })],
  ["probed happened, fence 2", event(probed(2, found))],
  ["probed happened, fence 1", event(probed(1, found))],
  ["probed absent, fence 2, too early", event(probed(2, { answer: "absent" }), { at: 109 })],
  ["probed absent, fence 2, settled", event(probed(2, { answer: "absent" }), { at: 110 })],
  ["probed absent, fence 1, settled", event(probed(1, { answer: "absent" }), { at: 110 })],
  ["probed unknown, fence 2", event(probed(2, { answer: "unknown", probeAt: 130 }), { at: 110 })],
  [
    "probed unknown, fence 2, sooner",
    event(probed(2, { answer: "unknown", probeAt: 105 }), { at: 104 }),
  ],
  ["resolve happened, fence 2", event(happened(2))],
  ["resolve happened, fence 1", event(happened(1))],
  ["resolve not happened, fence 2", event(notHappened(2))],
  ["resolve not happened, fence 1", event(notHappened(1))],
  ["late result, fence 2", event(late(2))],
  ["late result, fence 1", event(late(1))],
  ["late result, fence 3", event(late(3))],
];
