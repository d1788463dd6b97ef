import { describe, expect, test } from "vitest";
import type { Case } from "../../src/core/case.ts";
import {
  all,
  any,
  approval,
  immediate,
  majority,
  manual,
  type Policy,
  threshold,
} from "../../src/core/policy.ts";
import {
  absent,
  approve,
  claim,
  deny,
  event,
  fingerprint,
  intent,
  open,
  reached,
  refusal,
  release,
  right,
  settle,
  vote,
} from "./samples.ts";

const opened = (policy: Policy, rest: Parameters<typeof open>[1] = {}) =>
  reached(absent, event(open(policy, { intent: intent(), ...rest })));
const by = (actor: string, at = 0) => event(approve(right), { by: actor, at });
const no = (actor: string) => event(deny(right), { by: actor });
const approvalsOf = (kase: Case) =>
  kase.state === "RETIRED" ? [] : (kase.deliberation?.approvals ?? []);

describe("an approval", () => {
  const two = opened(approval({ need: 2, from: ["ann", "ben", "pat"] }));

  test("suffices when enough people gave it", () => {
    expect(reached(two, by("ann")).state).toBe("OPEN");
    expect(reached(two, by("ann"), by("ben")).state).toBe("FINAL");
  });

  test("is kept with the fingerprint it binds to", () => {
    expect(approvalsOf(reached(two, by("ann")))).toEqual([
      { actor: "ann", approved: true, fingerprint: fingerprint(right), note: null, at: 0 },
    ]);
  });

  test("counts once for one person", () => {
    expect(refusal(reached(two, by("ann")), by("ann"))).toBe("unchanged");
  });

  test("is refused from the proposer, even where the rule lists him", () => {
    expect(refusal(two, by("pat"))).toBe("not_eligible");
    expect(refusal(opened(approval()), by("pat"))).toBe("not_eligible");
  });

  test("is refused from a stranger to the rule, and free for anybody where none are named", () => {
    expect(refusal(two, by("eve"))).toBe("not_eligible");
    expect(reached(opened(approval()), by("eve")).state).toBe("FINAL");
  });

  test("is refused for another payload", () => {
    expect(refusal(two, event(approve('"q"'), { by: "ann" }))).toBe("payload_conflict");
  });

  test("is refused where nothing is there to approve", () => {
    expect(refusal(opened(approval(), { intent: null }), by("ann"))).toBe("no_intent");
  });

  test("is refused where no rule asks for it", () => {
    expect(refusal(opened(majority({ quorum: 1 })), by("ann"))).toBe("no_approvals");
  });

  test("is in time while one of the rules that want it is", () => {
    const either = opened(any(approval({ expiresIn: 5 }), approval({ expiresIn: 9 })));
    expect(reached(either, by("ann", 7)).state).toBe("FINAL");
    expect(refusal(either, by("ann", 9))).toBe("expired");
  });

  test("needs no outcome, whatever outcomes are allowed", () => {
    expect(reached(opened(approval(), { allow: ["YES"] }), by("ann")).state).toBe("FINAL");
  });

  test("can't be decided in its place, nor voted", () => {
    const kase = opened(approval());
    expect(refusal(kase, event({ type: "decide", outcome: "YES", reason: "x" }))).toBe("no_votes");
    expect(refusal(kase, event(vote("a", "YES")))).toBe("no_votes");
  });

  test("outlasts an effect that was not performed, and is used up by the settlement", () => {
    const again = reached(
      two,
      by("ann"),
      by("ben"),
      event(claim()),
      event(release(1)),
      event(claim()),
    );
    expect(again).toMatchObject({ state: "EXECUTING", claim: { fence: 2 } });
    expect(refusal(reached(again, event(settle(2))), event(claim()))).toBe("settled");
  });
});

describe("a denial", () => {
  const two = opened(approval({ need: 2, from: ["ann", "ben"] }));

  test("by one who may approve voids the case", () => {
    expect(reached(two, by("ann"), no("ben"))).toMatchObject({
      state: "VOID",
      fence: 0,
      receipt: { effect: "none", reason: "denied", note: "denied by an approver" },
    });
  });

  test("may be a change of mind", () => {
    const kase = reached(two, by("ann"), no("ann"));
    expect(kase.state).toBe("VOID");
    expect(approvalsOf(kase)).toMatchObject([{ actor: "ann", approved: false }]);
  });

  test("may be taken back while another way is open", () => {
    const either = opened(any(approval({ from: ["ann"] }), manual()));
    const denied = reached(either, no("ann"));
    expect(denied.state).toBe("OPEN");
    expect(refusal(denied, no("ann"))).toBe("unchanged");
    expect(reached(denied, by("ann")).state).toBe("FINAL");
    expect(approvalsOf(reached(denied, by("ann")))).toHaveLength(1);
  });

  test("is refused from a stranger", () => {
    expect(refusal(two, no("eve"))).toBe("not_eligible");
  });

  test("by one voids all, and any only where every part is denied", () => {
    const parts = [approval({ from: ["ann"] }), approval({ from: ["ben"] })];
    expect(reached(opened(all(...parts)), no("ann")).state).toBe("VOID");
    expect(reached(opened(any(...parts)), no("ann")).state).toBe("OPEN");
    expect(reached(opened(any(...parts)), no("ann"), no("ben")).state).toBe("VOID");
  });
});

describe("expiry", () => {
  const expire = (at: number) => event({ type: "expire" }, { at });
  const until = (kase: Case) => (kase.state === "OPEN" ? kase.deliberation.expiresAt : "not open");
  const at100 = (policy: Policy) =>
    reached(absent, event(open(policy, { intent: intent() }), { at: 100 }));

  test("is counted from the opening", () => {
    expect(until(at100(approval({ expiresIn: 5 })))).toBe(105);
    expect(until(at100(all(approval({ expiresIn: 5 }), approval({ expiresIn: 3 }))))).toBe(103);
    expect(until(at100(any(approval({ expiresIn: 5 }), approval({ expiresIn: 3 }))))).toBe(105);
    expect(until(at100(any(approval({ expiresIn: 5 }), manual())))).toBeNull();
  });

  test("voids the case in its time, and not before", () => {
    const kase = at100(approval({ expiresIn: 5 }));
    expect(refusal(kase, expire(104))).toBe("too_early");
    expect(reached(kase, expire(105))).toMatchObject({
      state: "VOID",
      receipt: { reason: "expired" },
    });
    expect(refusal(at100(approval()), expire(1e15))).toBe("too_early");
  });

  test("refuses an approval that comes too late, even before the sweeper saw it", () => {
    const kase = at100(approval({ expiresIn: 5 }));
    expect(reached(kase, by("ann", 104)).state).toBe("FINAL");
    expect(refusal(kase, by("ann", 105))).toBe("expired");
  });

  test("ends with the approval", () => {
    expect(refusal(reached(at100(approval({ expiresIn: 5 })), by("ann", 104)), expire(105))).toBe(
      "already_final",
    );
  });

  test("an approval that expires does so where votes stay open as another way", () => {
    const kase = at100(any(approval({ expiresIn: 5 }), majority({ quorum: 3 })));
    expect(refusal(kase, by("ann", 1_000))).toBe("expired");
  });

  test("a case that was approved in time and waits for votes only doesn't expire", () => {
    const kase = reached(at100(all(approval({ expiresIn: 5 }), manual())), by("ann", 104));
    expect(refusal(kase, expire(105))).toBe("too_early");
  });
});

describe("opening again", () => {
  const rule = threshold({ share: 0.8, quorum: 2 });
  const terms = { outcomes: ["YES", "NO"], allow: ["YES"] };
  const bare = opened(rule, { ...terms, intent: null });

  test("with the same terms is a repeat", () => {
    expect(refusal(bare, event(open(rule, terms)))).toBe("unchanged");
    expect(refusal(bare, event(open(JSON.parse(JSON.stringify(rule)), terms)))).toBe("unchanged");
  });

  test("with members in another order is a repeat", () => {
    const { kind, ...rest } = rule;
    expect(refusal(bare, event(open({ ...rest, kind } as Policy, terms)))).toBe("unchanged");
  });

  test.each<[string, Policy, object]>([
    ["another policy", threshold({ share: 0.5, quorum: 2 }), terms],
    ["other outcomes", rule, { ...terms, outcomes: ["YES", "NO", "MAYBE"] }],
    ["another allow", rule, { ...terms, allow: ["NO"] }],
    ["the outcomes in another order", rule, { ...terms, outcomes: ["NO", "YES"] }],
    ["no deliberation", immediate(), terms],
    ["another policy, and the rest left open", majority({ quorum: 2 }), {}],
  ])("with %s is a conflict", (_name, policy, rest) => {
    expect(refusal(bare, event(open(policy, rest)))).toBe("policy_conflict");
  });

  test("leaves as it was what it leaves open", () => {
    expect(refusal(bare, event(open(rule)))).toBe("unchanged");
    expect(refusal(bare, event(open(rule, { outcomes: ["YES", "NO"] })))).toBe("unchanged");
    const free = opened(rule, { intent: null });
    expect(refusal(free, event(open(rule, terms)))).toBe("policy_conflict");
  });

  test.each([{ allow: ["YES"] }, { outcomes: ["YES"] }])(
    "with %o is a conflict, where nobody is asked",
    (rest) => {
      const asksNobody = opened(immediate());
      expect(refusal(asksNobody, event(open(immediate())))).toBe("unchanged");
      expect(refusal(asksNobody, event(open(immediate(), rest)))).toBe("policy_conflict");
    },
  );

  test("with the action that the case holds is a repeat, wherever it is by now", () => {
    const again = event(open(immediate(), { intent: intent() }));
    const final = opened(immediate());
    const running = reached(final, event(claim()));
    const lost = reached(running, event({ type: "lease_ended" }, { at: 100 }));
    const settled = reached(running, event(settle(1)));
    const withdrawn = reached(final, event({ type: "withdraw", note: "no" }));
    for (const kase of [final, running, lost, settled, withdrawn]) {
      expect(refusal(kase, again), kase.state).toBe("unchanged");
      expect(refusal(kase, event(open(immediate()))), kase.state).toBe("unchanged");
    }
  });

  test("may bring the intent, once", () => {
    const bound = reached(bare, event(open(rule, { ...terms, intent: intent() })));
    expect(bound).toMatchObject({ state: "OPEN", intent: { payload: "p" }, version: 2 });
    expect(refusal(bound, event(open(rule, { ...terms, intent: intent() })))).toBe("unchanged");
    expect(refusal(bound, event(open(rule, { ...terms, intent: intent("q") })))).toBe(
      "payload_conflict",
    );
    expect(refusal(bound, event(claim({ intent: intent("q") })))).toBe("payload_conflict");
  });

  test("may bring the intent to a case that is FINAL, and not to one that is void", () => {
    const final = reached(bare, event(vote("a", "YES")), event(vote("b", "YES")));
    expect(reached(final, event(open(rule, { ...terms, intent: intent() })))).toMatchObject({
      state: "FINAL",
      intent: { payload: "p" },
    });
    const rejected = reached(bare, event(vote("a", "NO")), event(vote("b", "NO")));
    expect(refusal(rejected, event(open(rule, { ...terms, intent: intent() })))).toBe("void");
  });

  test("lets no other proposer in: the one who brought the intent stays it", () => {
    const kase = opened(approval(), { intent: null });
    const bound = reached(kase, event(open(approval(), { intent: intent("p", "ann") })));
    expect(refusal(bound, event(open(approval(), { intent: intent("p", "ben") })))).toBe(
      "unchanged",
    );
    expect(refusal(bound, by("ann"))).toBe("not_eligible");
  });
});

describe("a verdict and what it permits", () => {
  const rule = majority({ quorum: 2 });
  const terms = { outcomes: ["YES", "NO"], allow: ["YES"], intent: null };

  test("an outcome that is allowed makes the case FINAL; another ends it as rejected", () => {
    const bare = opened(rule, terms);
    expect(reached(bare, event(vote("a", "YES")), event(vote("b", "YES"))).state).toBe("FINAL");
    const rejected = reached(bare, event(vote("a", "NO")), event(vote("b", "NO")));
    expect(rejected).toMatchObject({
      state: "VOID",
      version: 3,
      entries: 3,
      receipt: {
        effect: "none",
        reason: "rejected",
        outcome: "NO",
        action: null,
        fingerprint: null,
      },
    });
  });

  test("a case that nobody has to be asked about is FINAL when it is opened", () => {
    expect(opened(immediate())).toMatchObject({ state: "FINAL", deliberation: null });
    expect(opened(all(immediate()))).toMatchObject({
      state: "FINAL",
      deliberation: { verdict: { outcome: null } },
    });
    expect(opened(any(immediate(), approval())).state).toBe("FINAL");
  });

  test("the outcome stands on the receipt", () => {
    const voted = reached(opened(rule, terms), event(vote("a", "YES")), event(vote("b", "YES")));
    expect(reached(voted, event(claim()), event(settle(1)))).toMatchObject({
      receipt: { effect: "once", outcome: "YES" },
    });
  });

  test("all: the parts must name the same outcome", () => {
    const both = all(
      majority({ quorum: 2 }),
      threshold({ share: 0.9, quorum: 1, weights: { chief: 1 } }),
    );
    const split = reached(
      opened(both),
      event(vote("a", "YES")),
      event(vote("b", "YES")),
      event(vote("chief", "NO")),
    );
    expect(split.state).toBe("IN_RECONCILIATION");
    expect(reached(split, event(vote("chief", "YES", { at: 1, signalId: "chief2" }))).state).toBe(
      "FINAL",
    );
  });
});
