import { describe, expect, test } from "vitest";
import { limits } from "../../src/core/limits.ts";
import {
  type ApprovalRule,
  all,
  any,
  approval,
  approvalRules,
  immediate,
  listensTo,
  majority,
  manual,
  type Policy,
  policyFault,
  threshold,
  unanimous,
} from "../../src/core/policy.ts";
import { expiresAt, inTime, judge } from "../../src/core/verdict.ts";
import { nobody, right, vote } from "./samples.ts";

describe("policies are plain data", () => {
  test.each<[string, Policy, Policy]>([
    ["immediate", immediate(), { kind: "immediate" }],
    ["manual", manual(), { kind: "manual" }],
    [
      "threshold",
      threshold({ share: 0.8 }),
      { kind: "threshold", sharePpm: 800_000, quorum: 1, weights: null, byConfidence: false },
    ],
    ["majority", majority({ quorum: 2 }), { kind: "majority", quorum: 2 }],
    ["unanimous", unanimous({ quorum: 3 }), { kind: "unanimous", quorum: 3 }],
    ["approval", approval(), { kind: "approval", need: 1, from: null, expiresInMs: null }],
    [
      "all",
      all(manual(), approval({ expiresIn: 5 })),
      {
        kind: "all",
        of: [{ kind: "manual" }, { kind: "approval", need: 1, from: null, expiresInMs: 5 }],
      },
    ],
    ["any", any(manual()), { kind: "any", of: [{ kind: "manual" }] }],
  ])("%s survives JSON", (_name, policy, data) => {
    expect(policy).toEqual(data);
    expect(JSON.parse(JSON.stringify(policy))).toEqual(data);
    expect(policyFault(policy)).toBeUndefined();
  });

  test("shares are exact millionths, for all the shares a person would write", () => {
    for (let percent = 1; percent <= 100; percent += 1) {
      expect(threshold({ share: percent / 100 })).toMatchObject({ sharePpm: percent * 10_000 });
    }
  });

  test.each([
    [2, 3],
    [3, 7],
    [999, 1_000],
  ])("a share of %i/%i is reached by as many", (part, whole) => {
    const votes = [...Array(whole).keys()].map(
      (index) => vote(`s${index}`, index < part ? "YES" : `NO${index}`).signal,
    );
    const rule = threshold({ share: part / whole, quorum: whole });
    expect(judge(rule, { ...nobody, signals: votes })).toMatchObject({ outcome: "YES" });
    const less = votes.map((signal, index) =>
      index === part - 1 ? { ...signal, outcome: "OTHER" } : signal,
    );
    expect(judge(rule, { ...nobody, signals: less }).outcome).not.toBe("YES");
  });

  test("what the caller changes later doesn't change the policy", () => {
    const weights = { a: 1 };
    const from = ["ann"];
    const policies = [threshold({ share: 0.5, weights }), approval({ from })];
    weights.a = 9;
    from.push("eve");
    expect(policies).toMatchObject([{ weights: { a: 1 } }, { from: ["ann"] }]);
  });
});

const nest = (levels: number): Policy => (levels === 0 ? manual() : all(nest(levels - 1)));
const names = (count: number) => [...Array(count).keys()].map((index) => `n${index}`);
const weigh = (count: number) => Object.fromEntries(names(count).map((name) => [name, 1]));

describe("a policy that can't work is named", () => {
  test.each<[string, Policy, string]>([
    ["no share", threshold({ share: 0 }), "share"],
    ["a share below a millionth", threshold({ share: 0.000_000_4 }), "share"],
    ["a share above 1", threshold({ share: 1.000_001 }), "share"],
    ["a share that is no number", threshold({ share: Number.NaN }), "share"],
    ["no quorum", majority({ quorum: 0 }), "quorum"],
    ["half a source", unanimous({ quorum: 1.5 }), "quorum"],
    [
      "a quorum above the signals a case keeps",
      majority({ quorum: limits.signalsPerCase + 1 }),
      "quorum",
    ],
    [
      "a quorum above the sources that may vote",
      threshold({ share: 1, quorum: 2, weights: { a: 1 } }),
      "quorum",
    ],
    ["weights of nobody", threshold({ share: 1, weights: {} }), "weights"],
    ["a weight of 0", threshold({ share: 1, weights: { a: 0 } }), "weight"],
    ["a weight of half", threshold({ share: 1, weights: { a: 0.5 } }), "weight"],
    [
      "a weight above the greatest",
      threshold({ share: 1, weights: { a: limits.weight + 1 } }),
      "weight",
    ],
    [
      "too many weights",
      threshold({ share: 1, weights: weigh(limits.policyNames + 1) }),
      "weights",
    ],
    ["no approval needed", approval({ need: 0 }), "need"],
    ["more approvals than a case keeps", approval({ need: limits.approvalsPerCase + 1 }), "need"],
    ["more approvals than approvers", approval({ need: 2, from: ["ann"] }), "approvals"],
    ["an approver named twice", approval({ from: ["ann", "ann"] }), "twice"],
    ["nobody may approve", approval({ from: [] }), "approvers"],
    ["too many approvers", approval({ from: names(limits.policyNames + 1) }), "approvers"],
    ["no time to approve", approval({ expiresIn: 0 }), "expiresIn"],
    ["more than a year to approve", approval({ expiresIn: limits.spanMsMax + 1 }), "expiresIn"],
    ["all of nothing", all(), "nothing"],
    ["any of nothing, further in", all(manual(), any()), "nothing"],
    ["a fault further in", any(manual(), all(majority({ quorum: 0 }))), "quorum"],
    ["too many policies", all(...Array<Policy>(limits.policyNodes).fill(manual())), "policies"],
    ["too deep a nest", nest(limits.policyNodes), "policies"],
    ["an unknown kind", { kind: "always" } as never, "not a policy"],
  ])("%s", (_name, policy, says) => expect(policyFault(policy)).toContain(says));

  test("a policy that holds itself", () => {
    const policy = { kind: "all" as const, of: [] as Policy[] };
    policy.of.push(policy);
    expect(policyFault(policy)).toContain("policies");
  });

  test.each<[string, Policy]>([
    ["a share of one millionth", threshold({ share: 0.000_001 })],
    ["a share of 1", threshold({ share: 1 })],
    ["as many policies as allowed", all(...Array<Policy>(limits.policyNodes - 1).fill(manual()))],
    ["as deep as allowed", nest(limits.policyNodes - 1)],
    [
      "as many weights, as heavy as allowed",
      threshold({ share: 1, weights: { ...weigh(limits.policyNames), n0: limits.weight } }),
    ],
    [
      "as many approvers as allowed",
      approval({ need: limits.approvalsPerCase, from: names(limits.policyNames) }),
    ],
    ["a quorum of all that may vote", threshold({ share: 1, quorum: 2, weights: { a: 1, b: 1 } })],
    ["the approval of all who may give it", approval({ need: 2, from: ["ann", "ben"] })],
    ["as large a quorum as allowed", majority({ quorum: limits.signalsPerCase })],
    ["as long as allowed", approval({ expiresIn: limits.spanMsMax })],
  ])("but not %s", (_name, policy) => expect(policyFault(policy)).toBeUndefined());

  // Policies are data, and data from outside may lack anything.
  const asked = { kind: "approval", need: 1, from: null, expiresInMs: null };
  const shared = {
    kind: "threshold",
    sharePpm: 1,
    quorum: 1,
    weights: null,
    byConfidence: false,
  };
  const notPolicy =
    "not a policy: use immediate, manual, threshold, majority, unanimous, approval, all or any";
  const inTime = "expiresIn must be whole milliseconds, at least 1 and at most a year";
  const byNames = "from must be a list of names or null";
  test.each<[string, unknown, string]>([
    ["null", null, notPolicy],
    ["a part that is null", { kind: "any", of: [null] }, notPolicy],
    [
      "a threshold that doesn't say whether confidence counts",
      { ...shared, byConfidence: undefined },
      "byConfidence must be true or false",
    ],
    [
      "a threshold without weights",
      { ...shared, weights: undefined },
      "weights must be an object or null",
    ],
    [
      "a share that is a text",
      { ...shared, sharePpm: "1" },
      "a share must be above 0 and at most 1",
    ],
    [
      "a quorum that is a text",
      { ...shared, quorum: "1" },
      "quorum must be a whole number from 1 to 1000",
    ],
    ["an approval without approvers", { ...asked, from: undefined }, byNames],
    ["an approval without a time", { ...asked, expiresInMs: undefined }, inTime],
    ["approvers that are a text", { ...asked, from: "ann" }, byNames],
    ["approvers without a name", { ...asked, from: ["ann", 1] }, byNames],
    ["a need that is a text", { ...asked, need: "1" }, "need must be a whole number from 1 to 100"],
    ["all of a text", { kind: "all", of: "manual" }, "all of nothing"],
    ["a text", "manual", notPolicy],
    ["a list", [{ kind: "manual" }], notPolicy],
    ["nothing", undefined, notPolicy],
  ])("%s is named, not thrown at", (_name, policy, fault) => {
    expect(policyFault(policy as Policy)).toBe(fault);
  });
});

describe("the time for approval", () => {
  const in5 = approval({ expiresIn: 5 });
  const in9 = approval({ expiresIn: 9 });
  const evidence = { ...nobody, fingerprint: right, proposer: "pat", openedAt: 100 };
  const word = { actor: "ann", approved: true, fingerprint: right, note: null };
  test.each<[string, Policy, number | null]>([
    ["is the approval's, from the opening", in5, 105],
    ["is never, where there is none", approval(), null],
    ["is never for votes", threshold({ share: 1 }), null],
    ["is the soonest of all", all(in9, in5, manual()), 105],
    ["is the last of any", any(in9, in5), 109],
    ["is never where another way stays open", any(in5, manual()), null],
    ["is found further in", all(any(in5, in9), approval()), 109],
    ["is never where it is final at once", immediate(), null],
    ["is never for a majority", majority({ quorum: 1 }), null],
    ["is never where all agree", unanimous({ quorum: 1 }), null],
    ["is never where a person decides", manual(), null],
    [
      "is never where nobody is asked",
      all(immediate(), majority({ quorum: 1 }), unanimous({ quorum: 1 })),
      null,
    ],
  ])("%s", (_name, policy, at) => expect(expiresAt(policy, evidence)).toBe(at));

  test.each<[string, Policy, number, number | null]>([
    ["is over once it was given in time", in5, 104, null],
    ["stands where it was given too late", in5, 105, 105],
    [
      "is that of the rule that still waits",
      all(in5, approval({ need: 2, expiresIn: 9 })),
      104,
      109,
    ],
    ["is over for any, where one is satisfied", any(in5, in9), 104, null],
    ["is over for both, though one would have been too late", any(in5, in9), 107, null],
    ["is the first that was missed", all(in5, in9), 107, 105],
  ])("%s", (_name, policy, at, end) => {
    expect(expiresAt(policy, { ...evidence, approvals: [{ ...word, at }] })).toBe(end);
  });

  test.each([
    ["before its end", 104, true],
    ["at its end", 105, false],
    ["before the opening, by a clock that went back", -1, true],
    ["at no instant", Number.NaN, false],
    ["at the end of time", Number.POSITIVE_INFINITY, false],
  ])("a word given %s", (_name, at, counts) => {
    const rule = in5 as ApprovalRule;
    expect(inTime(rule, 100, at)).toBe(counts);
    expect(inTime({ ...rule, expiresInMs: null }, 100, at)).toBe(true);
  });

  test("nothing is in time where the opening was at no instant", () => {
    expect(inTime(in5 as ApprovalRule, Number.NaN, 0)).toBe(false);
  });
});

test("the approval rules are found at every depth", () => {
  const one = approval({ need: 1 });
  const two = approval({ need: 2 });
  expect(approvalRules(all(one, any(manual(), all(two)), majority({ quorum: 1 })))).toEqual([
    one,
    two,
  ]);
  expect(
    approvalRules(any(immediate(), threshold({ share: 1 }), unanimous({ quorum: 1 }))),
  ).toEqual([]);
});

describe("who is listened to", () => {
  const weighed = threshold({ share: 1, weights: { a: 1 } });
  test.each<[string, Policy, boolean, boolean]>([
    ["threshold", threshold({ share: 1 }), true, true],
    ["threshold with weights", weighed, true, false],
    ["majority", majority({ quorum: 1 }), true, true],
    ["unanimous", unanimous({ quorum: 1 }), true, true],
    ["manual", manual(), true, true],
    ["immediate", immediate(), false, false],
    ["approval", approval(), false, false],
    ["all, one of which listens", all(approval(), weighed), true, false],
    ["any, one of which listens", any(weighed, majority({ quorum: 1 })), true, true],
  ])("%s", (_name, policy, a, z) => {
    expect([listensTo(policy, "a"), listensTo(policy, "z")]).toEqual([a, z]);
    expect(listensTo(weighed, "constructor")).toBe(false);
  });
});
