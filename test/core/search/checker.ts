import type { Case } from "../../../src/core/case.ts";
import { naiveTooLate } from "../../../src/testing/simulation/naive-verdict.ts";
import { intent } from "../samples.ts";
import { evidenceOf } from "./hearing.ts";
import type { Action, Run, Scenario, World } from "./world.ts";

/** What is wrong with one step, in a sentence that begins with the promise it breaks; undefined: nothing. */
export function fault(
  scenario: Scenario,
  before: World,
  action: Action,
  next: Case | undefined,
  refusal: string | undefined,
  after: World,
): string | undefined {
  return (
    (action.event === null
      ? undefined
      : answerFault(scenario, before, action.event, next, refusal)) ??
    startFault(scenario, before, after) ??
    effectFault(scenario, after) ??
    transactionFault(scenario, after) ??
    doubtFault(scenario, after) ??
    receiptFault(before, after) ??
    verdictFault(scenario, before, after)
  );
}

type Asked = NonNullable<Action["event"]>;

function answerFault(
  scenario: Scenario,
  before: World,
  event: Asked,
  next: Case | undefined,
  refusal: string | undefined,
): string | undefined {
  return (
    payloadFault(before, event, refusal) ??
    (next === undefined
      ? undefined
      : (fenceFault(before, event, next) ??
        claimFault(scenario, before, event) ??
        decisionFault(scenario, before, event) ??
        timeFault(scenario, before, event, next) ??
        queueFault(before, event, next)))
  );
}

/** P3: another payload is a conflict, whatever else is so. */
function payloadFault(
  { bound }: World,
  event: Asked,
  refusal: string | undefined,
): string | undefined {
  const fingerprint =
    event.type === "ask"
      ? event.fingerprint
      : event.type === "claim" || event.type === "open"
        ? event.intent?.fingerprint
        : undefined;
  if (bound === null || fingerprint === undefined || fingerprint === intent(bound).fingerprint)
    return undefined;
  return refusal === "payload_conflict"
    ? undefined
    : `P3: another payload was answered ${refusal ?? "with a yes"}`;
}

/** P8: only the holder of the latest claim has a say on it. */
function fenceFault({ runs }: World, event: Asked, next: Case): string | undefined {
  const latest = runs.reduce((most, run) => Math.max(most, run.fence), 0);
  switch (event.type) {
    case "claim":
      return next.state === "EXECUTING" && next.claim.fence > latest
        ? undefined
        : "P8: a claim whose fence is not above every earlier one";
    case "settle":
    case "release":
    case "doubt":
    case "renew":
    case "probed":
    case "resolve":
      return event.fence === latest ? undefined : `P8: a stale fence was heard: ${event.type}`;
    case "late_result": {
      const isOver = next.state === "SETTLED" || next.state === "VOID";
      return event.fence < latest || isOver
        ? undefined
        : "P8: a result that would have settled the case was kept as mere evidence";
    }
    default:
      return undefined;
  }
}

/** P6, P7: nothing is claimed before the verdict, and only on an outcome that permits it. */
function claimFault({ opening }: Scenario, before: World, event: Asked): string | undefined {
  if (event.type !== "claim" || opening === null) return undefined;
  const { decided } = before;
  if (decided?.status !== "final") return "P6: claimed before the verdict was final";
  const { allow } = opening;
  return allow !== null && decided.outcome !== null && !allow.includes(decided.outcome)
    ? "P6: claimed on an outcome that doesn't permit it"
    : undefined;
}

/** P6: a person can decide for what was declared, or else for what somebody voted for, and nothing else. */
function decisionFault({ opening }: Scenario, before: World, event: Asked): string | undefined {
  if (event.type !== "decide") return undefined;
  const choice = opening?.outcomes ?? before.heard.signals.map((signal) => signal.outcome);
  return choice.includes(event.outcome)
    ? undefined
    : "P6: an outcome was decided that nobody declared";
}

/** P5, P9: the end of a lease or of a time can cause a doubt or an end without effect, in its time. */
function timeFault(
  { opening, terms }: Scenario,
  before: World,
  event: Asked,
  next: Case,
): string | undefined {
  if (event.type === "lease_ended") {
    const wanted = terms.class === "transactional" ? "FINAL" : "IN_DOUBT";
    if (before.kase.state !== "EXECUTING" || next.state !== wanted) {
      return `P5: the end of a lease led from ${before.kase.state} to ${next.state}`;
    }
    return before.now < before.leaseUntil ? "P9: the lease ended before its time" : undefined;
  }
  if (event.type !== "expire") return undefined;
  const isOver =
    opening !== null && naiveTooLate(opening.policy, evidenceOf(before, before.heard), before.now);
  return isOver && next.state === "VOID"
    ? undefined
    : "P9: expiry before its time, or to another end than VOID";
}

/**
 * P4: a queued case that may run is due for its workers, neither sooner nor later than it was put off
 * to; no other is. Which request asked for that is settled with the payload.
 */
function queueFault({ kase: before }: World, event: Asked, next: Case): string | undefined {
  if (next.state === "RETIRED" || next.intent === null) return undefined;
  const held = "intent" in before ? before.intent : null;
  const brought = event.type === "open" || event.type === "claim" ? event.intent : null;
  const { queued } = held ?? brought ?? next.intent;
  if (next.intent.queued !== queued) return "P4: another request has queued it than the first";
  if (next.state !== "FINAL") return undefined;
  const stays = before.state === "FINAL" && held !== null;
  const put = event.type === "release" && event.retryAt !== null ? event.retryAt : event.at;
  const due = stays ? before.runAt : Math.max(event.at, put);
  const wanted = queued === null ? null : due;
  return next.runAt === wanted ? undefined : `P4: due at ${next.runAt} instead of ${wanted}`;
}

/** P1, P2: what must be known of earlier starts when an effect starts. */
function startFault({ terms }: Scenario, before: World, after: World): string | undefined {
  const index = after.runs.findIndex(
    (run, at) => run.phase === "started" && before.runs[at]?.phase === "claimed",
  );
  const starting = after.runs[index];
  if (starting === undefined) return undefined;
  if (starting.payload !== after.bound) return "P3: another payload runs";
  const earlier = after.runs.filter(
    (run) => run !== starting && isStarted(run) && run.flight !== "none",
  );
  const unproved = earlier.filter((run) => !run.proved);
  switch (terms.class) {
    case "opaque":
      return unproved.length === 0 ? undefined : "P1: an opaque effect was started a second time";
    case "probeable":
      return unproved.length === 0
        ? undefined
        : "P2: a probeable effect was called again without a conclusive probe";
    case "keyed":
    case "idempotent":
    case "transactional":
      return undefined;
  }
}

const isStarted = (run: Run) => run.phase === "started" || run.flight !== "none";

function effectFault({ terms }: Scenario, after: World): string | undefined {
  return terms.class === "idempotent" || after.effects <= 1
    ? undefined
    : "P1: the effect happened twice";
}

/** P2: a transactional effect commits if and only if its receipt does; so nobody is ever in doubt. */
function transactionFault({ terms }: Scenario, { kase, effects }: World): string | undefined {
  if (terms.class !== "transactional") return undefined;
  if (kase.state === "IN_DOUBT") return "P2: a transactional effect is in doubt";
  const receipts = kase.state === "SETTLED" ? 1 : 0;
  return effects === receipts
    ? undefined
    : `P2: the effect was committed ${effects} times, and its receipt ${receipts} times`;
}

/** P5: a case that may run anew, or ended without effect, has no start that nobody knows the end of. */
function doubtFault({ terms }: Scenario, { kase, runs, effects }: World): string | undefined {
  if (kase.state === "SETTLED" && effects === 0) return "P5: a receipt for what did not happen";
  if (kase.state !== "FINAL" && kase.state !== "VOID") return undefined;
  if (effects > 0) return `P5: it happened, and the case is ${kase.state}`;
  // What was not committed is known not to have happened.
  const isKnown = terms.class === "transactional";
  const unknown = !isKnown && runs.some((run) => isStarted(run) && !run.proved);
  return unknown
    ? `P5: an unknown outcome was taken for "did not happen": ${kase.state}`
    : undefined;
}

/** P3: one receipt for ever, the same to everybody; an end is an end. */
function receiptFault(before: World, after: World): string | undefined {
  const { kase } = after;
  const was = before.kase.state;
  if ((was === "SETTLED" || was === "VOID") && kase.state !== was)
    return `P8: ${was} was left for ${kase.state}`;
  if (kase.state !== "SETTLED" && kase.state !== "VOID") return undefined;
  const text = JSON.stringify(kase.receipt);
  if (before.receipt !== null && text !== before.receipt)
    return "P3: two callers get different receipts";
  if (kase.receipt.effect !== (kase.state === "SETTLED" ? "once" : "none"))
    return "P5: a receipt of the wrong kind";
  return undefined;
}

/** P6, P7: the stored verdict is what the naive reference makes of the set, and stays so once final. */
function verdictFault({ opening }: Scenario, before: World, after: World): string | undefined {
  const { kase, decided } = after;
  if (opening === null || kase.state === "ABSENT" || kase.state === "RETIRED") return undefined;
  if (kase.deliberation === null) return "P6: a deliberation was lost";
  const { verdict } = kase.deliberation;
  const want = decided ?? { status: "undecided", outcome: null };
  if (verdict.status !== want.status || verdict.outcome !== want.outcome) {
    return `P6: the verdict is ${verdict.status} ${verdict.outcome}, by the reference ${want.status} ${want.outcome}`;
  }
  const open =
    kase.state === "OPEN" ||
    kase.state === "RESOLVED_PROVISIONAL" ||
    kase.state === "IN_RECONCILIATION";
  if (decided !== null && open) return "P6: a verdict that is final left the case open";
  if (decided === null && !open && kase.state !== "VOID")
    return `P6: ${kase.state} without a verdict`;
  if (before.decided !== null && decided !== before.decided)
    return "P6: the verdict changed once it was final";
  const stored = kase.deliberation.signals.length + kase.deliberation.late.length;
  const said = after.heard.signals.length + after.heard.late.length;
  return stored === said ? undefined : "P6: evidence was lost or counted twice";
}
