import type { Case } from "../../../src/core/case.ts";
import type { Event, Happening } from "../../../src/core/event.ts";
import {
  claim,
  event,
  happened,
  intent,
  notHappened,
  open,
  release,
  requestId,
} from "../samples.ts";
import { heardActions } from "./hearing.ts";
import {
  type Action,
  intentOf,
  mayLand,
  type Payload,
  type Run,
  type Scenario,
  type World,
  withRun,
} from "./world.ts";

/** Everything that may happen in a world, whether or not the machine will allow it. */
export function actionsOf(scenario: Scenario, world: World): readonly Action[] {
  return [
    ...claims(scenario, world),
    ...world.runs.flatMap((run, index) => work(scenario, world, run, index)),
    ...sweeps(scenario, world),
    ...repeats(scenario, world),
    ...heardActions(scenario, world),
  ];
}

const asks = (world: World, by: string, happening: Happening): Event =>
  event(happening, { at: world.now, by });

function claims(scenario: Scenario, world: World): readonly Action[] {
  if (world.runs.length >= scenario.claims) return [];
  return scenario.workers.flatMap((worker, index) => {
    const busy = world.runs.some((run) => run.worker === index && run.phase !== "ended");
    if (busy || (worker.declares !== undefined && world.kase.state !== "IN_DOUBT")) return [];
    const leaseUntil = world.now + scenario.leaseTicks;
    const happening = claim({
      requestId: requestId(worker.requestId),
      intent: intentOf(scenario, worker.requestId, worker.payload),
      terms: worker.declares ?? scenario.terms,
      leaseUntil,
      opens: scenario.opening === null,
    });
    return {
      name: `${worker.requestId} claims ${worker.payload}`,
      event: asks(world, worker.requestId, happening),
      facts: (next: Case | undefined) => {
        if (next?.state !== "EXECUTING") return {};
        const run: Run = {
          worker: index,
          fence: next.claim.fence,
          requestId: worker.requestId,
          payload: worker.payload,
          claimedAt: world.now,
          phase: "claimed",
          flight: "none",
          proved: false,
          lostAt: null,
        };
        return { runs: [...world.runs, run], leaseUntil, bound: world.bound ?? worker.payload };
      },
    };
  });
}

/** What a worker does, and what becomes of its effect: also after its claim was lost. */
function work(scenario: Scenario, world: World, run: Run, index: number): readonly Action[] {
  const who = `${run.requestId}#${run.fence}`;
  const { fence } = run;
  const become = (change: Partial<Run>) => () => ({ runs: withRun(world, index, change) });
  const by = (name: string, happening: Happening, facts: Action["facts"] = () => ({})): Action => ({
    name: `${who} ${name}`,
    event: asks(world, run.requestId, happening),
    facts,
  });
  const itself = (name: string, facts: Action["facts"]): Action => ({
    name: `${who} ${name}`,
    event: null,
    facts,
  });
  const found: Action[] = [];

  const isTransaction = scenario.terms.class === "transactional";
  if (run.flight === "live") {
    if (!isTransaction)
      found.push(itself("its effect happens", () => landed(scenario, world, index)));
    found.push(itself("its effect fails", become({ flight: "dead" })));
  }
  if (run.phase === "ended") return found;
  // A transaction that is open ends with who holds it.
  const left = isTransaction && run.flight === "live" ? "dead" : run.flight;
  found.push(itself("crashes", become({ phase: "ended", flight: left })));
  if (run.phase === "claimed")
    found.push(itself("starts its effect", become({ phase: "started", flight: "live" })));

  const leaseUntil = world.now + scenario.leaseTicks;
  found.push(
    by("renews", { type: "renew", fence, leaseUntil }, (next) =>
      next === undefined ? {} : { leaseUntil },
    ),
  );
  const nothingRan = run.flight === "dead" || run.phase === "claimed";
  if (nothingRan) {
    for (const [name, happening] of releases(scenario, world, fence)) {
      found.push(
        by(name, happening, (next) => ({
          runs: withRun(world, index, {
            proved: run.proved || next !== undefined,
            phase: run.phase === "claimed" ? "ended" : run.phase,
          }),
        })),
      );
    }
  }
  if (run.phase === "started")
    found.push(by("threw", { type: "doubt", fence, reason: "threw", error: "?" }));
  const value = `by ${who}`;
  const settle = { type: "settle", fence, value, valueForm: "exact" } as const;
  if (isTransaction && run.flight === "live") {
    // Its effect and its settle are one commit: refused, nothing of it is written.
    found.push(
      by("commits its effect and its settle", settle, (next) =>
        next === undefined
          ? { runs: withRun(world, index, { flight: "dead" }) }
          : landed(scenario, world, index),
      ),
    );
  }
  if (run.flight === "landed") {
    found.push(by("settles", settle));
    found.push(
      by("brings a late result", { type: "late_result", fence, value, valueForm: "exact" }),
    );
  }
  return found;
}

/** "Not performed", as it can be said: for good or not, and with an instant to try again or none. */
function releases(
  { queued }: Scenario,
  world: World,
  fence: number,
): readonly (readonly [name: string, happening: Happening])[] {
  const later = queued.length === 0 ? [] : [world.now - 1, world.now + 1];
  return [
    ["was not performed", release(fence)],
    ["was not performed, for good", release(fence, true)],
    ...later.map((at) => [`was not performed, again at ${at}`, release(fence, false, at)] as const),
  ];
}

/** The callee honours a key for its time to live and a margin, from the first call that it did. */
function landed(scenario: Scenario, world: World, index: number): Partial<World> {
  const runs = withRun(world, index, { flight: "landed" });
  const { terms } = scenario;
  if (terms.class !== "keyed") return { runs, effects: world.effects + 1 };
  const known = world.keyedAt !== null && world.now < world.keyedAt + terms.ttlMs + keyMargin;
  return known ? { runs } : { runs, effects: world.effects + 1, keyedAt: world.now };
}

/** Ticks by which a callee remembers a key longer than it says; no effect is under way longer than that. */
const keyMargin = 1;

/** The clock, the sweeper and its probes, and a person. All tell the truth. */
function sweeps(scenario: Scenario, world: World): readonly Action[] {
  const found: Action[] = [];
  if (world.now < scenario.ticks && mayTick(scenario, world)) {
    found.push({ name: "a tick", event: null, facts: () => ({ now: world.now + 1 }) });
  }
  if (world.kase.state === "ABSENT") return found;
  found.push({
    name: "the sweeper says the lease ended",
    event: asks(world, "sweeper", { type: "lease_ended" }),
    facts: () => ({}),
  });
  if (scenario.terms.class === "probeable" || scenario.terms.class === "keyed") {
    found.push(...world.runs.flatMap((run) => probes(world, run.fence)));
  }
  found.push(...world.runs.flatMap((run) => words(world, run.fence)));
  if (scenario.withdraw) {
    found.push({
      name: "the owner withdraws",
      event: asks(world, "pat", { type: "withdraw", note: "no" }),
      facts: () => ({}),
    });
  }
  return found;
}

/** What a person finds who looks into a doubt: what was so for the runs up to that claim. */
function words(world: World, fence: number): readonly Action[] {
  const seen = world.runs.filter((run) => run.fence <= fence);
  if (seen.some((run) => run.flight === "landed")) {
    return [
      {
        name: `a person who looked at #${fence} finds that it happened`,
        event: asks(world, "ana", happened(fence)),
        facts: () => ({}),
      },
    ];
  }
  if (seen.some((run) => run.flight === "live" || run.phase === "claimed")) return [];
  return [
    {
      name: `a person who looked at #${fence} finds that it did not happen`,
      event: asks(world, "ana", notHappened(fence)),
      facts: allProved(world),
    },
  ];
}

/** The word is proof for what can't happen any more; for an effect under way it proves nothing. */
const allProved = (world: World) => (next: Case | undefined) =>
  next === undefined
    ? {}
    : { runs: world.runs.map((run) => ({ ...run, proved: run.proved || !mayLand(run) })) };

/**
 * What the settling time stands for: nothing that was lost is under way any longer. And what the
 * margin of a key stands for: no call is under way longer.
 */
function mayTick({ terms }: Scenario, world: World): boolean {
  const then = world.now + 1;
  return world.runs.every((run) => {
    if (!mayLand(run)) return true;
    const settlingMs = "settlingMs" in terms ? terms.settlingMs : null;
    if (settlingMs !== null && run.lostAt !== null && then >= run.lostAt + settlingMs) return false;
    return terms.class !== "keyed" || then <= run.claimedAt + keyMargin;
  });
}

/** The answers that a probe asked under a claim may bring: what was so for the runs up to that claim. */
function probes(world: World, fence: number): readonly Action[] {
  const asked = world.runs.filter((run) => run.fence <= fence);
  const probe = (
    name: string,
    found: Extract<Event, { type: "probed" }>["found"],
    facts: Action["facts"],
  ): Action => ({
    name: `a probe for #${fence} finds ${name}`,
    event: asks(world, "sweeper", { type: "probed", fence, found }),
    facts,
  });
  if (asked.some((run) => run.flight === "landed")) {
    return [
      probe(
        "that it happened",
        { answer: "happened", value: "seen", valueForm: "exact" },
        () => ({}),
      ),
    ];
  }
  const later = probe("nothing out", { answer: "unknown", probeAt: world.now + 1 }, () => ({}));
  const absent = probe("nothing", { answer: "absent" }, allProved(world));
  const hasty = probe(
    "nothing out, hastily",
    { answer: "unknown", probeAt: world.now },
    () => ({}),
  );
  return [later, absent, hasty];
}

/** Repeats and strangers: other requests, and another opening of the same case. */
function repeats(scenario: Scenario, world: World): readonly Action[] {
  if (world.kase.state === "ABSENT") return [];
  const payloads: readonly Payload[] = ["p", "q"];
  return payloads.flatMap((payload) => {
    const { fingerprint } = intent(payload);
    const ask = { type: "ask", requestId: requestId("r9"), fingerprint } as const;
    const { policy, ...rest } = scenario.opening ?? { policy: { kind: "immediate" } as const };
    const again = open(policy, { ...rest, intent: intentOf(scenario, "r9", payload) });
    return [
      { name: `r9 asks for ${payload}`, event: asks(world, "r9", ask), facts: () => ({}) },
      {
        name: `r9 opens it with ${payload}`,
        event: asks(world, "r9", again),
        facts: (next: Case | undefined) =>
          next === undefined ? {} : { bound: world.bound ?? payload },
      },
    ];
  });
}
