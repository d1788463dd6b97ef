import { describe, expect, test } from "vitest";
import type { Case } from "../../src/core/case.ts";
import { all, approval, immediate, manual, type Policy } from "../../src/core/policy.ts";
import {
  absent,
  approve,
  claim,
  deny,
  event,
  intent,
  open,
  reached,
  refusal,
  right,
  settle,
} from "./samples.ts";

const opened = (policy: Policy, rest: Parameters<typeof open>[1] = {}) =>
  reached(absent, event(open(policy, { intent: intent(), ...rest })));
const by = (actor: string) => event(approve(right), { by: actor });
const no = (actor: string) => event(deny(right), { by: actor });

describe("a claim that insists on a policy", () => {
  const rule = approval({ from: ["ann"] });
  const waiting = opened(rule);
  const final = reached(waiting, by("ann"));
  const running = reached(final, event(claim({ policy: rule })));
  const lost = reached(running, event({ type: "lease_ended" }, { at: 100 }));
  const states: readonly (readonly [string, Case, otherwise: string])[] = [
    ["waiting", waiting, "not_final"],
    ["FINAL", final, "accepted"],
    ["EXECUTING", running, "busy"],
    ["IN_DOUBT", lost, "in_doubt"],
    ["SETTLED", reached(running, event(settle(1))), "settled"],
    ["VOID", reached(waiting, no("ann")), "void"],
  ];
  test.each(states)(
    "is refused where the case was opened with another: %s",
    (_name, kase, otherwise) => {
      for (const policy of [immediate(), approval({ from: ["ann", "ben"] })]) {
        expect(refusal(kase, event(claim({ policy })))).toBe("policy_conflict");
        expect(refusal(kase, event(claim({ policy, intent: intent("q") })))).toBe(
          "payload_conflict",
        );
      }
      expect(refusal(kase, event(claim({ policy: rule })))).toBe(otherwise);
      expect(refusal(kase, event(claim()))).toBe(otherwise);
    },
  );

  test("is refused where nobody was asked", () => {
    const asksNobody = opened(immediate());
    expect(refusal(asksNobody, event(claim({ policy: rule })))).toBe("policy_conflict");
    expect(refusal(asksNobody, event(claim({ policy: immediate() })))).toBe("accepted");
  });

  // A defect, reported: the claim that opens a case doesn't look at the policy it carries.
  test("is not given at birth, unless it asks nobody", () => {
    expect(refusal(absent, event(claim({ policy: immediate() })))).toBe("accepted");
    expect(refusal(absent, event(claim({ policy: rule })))).not.toBe("accepted");
  });
});

describe("a word that is said again after the decision", () => {
  const decide = (outcome: string, who = "ana") =>
    event({ type: "decide", outcome, reason: "seen" }, { by: who });
  const final = reached(
    opened(all(approval(), manual()), { outcomes: ["YES", "NO"] }),
    by("ann"),
    decide("YES"),
  );
  const running = reached(final, event(claim()));
  const states: readonly (readonly [string, Case, otherwise: string])[] = [
    ["FINAL", final, "already_final"],
    ["EXECUTING", running, "already_final"],
    ["IN_DOUBT", reached(running, event({ type: "lease_ended" }, { at: 100 })), "already_final"],
    ["SETTLED", reached(running, event(settle(1))), "settled"],
    ["VOID", reached(final, event({ type: "withdraw", note: "" })), "void"],
  ];
  test.each(states)("is a repeat, and any other comes too late: %s", (_name, kase, otherwise) => {
    expect([by("ann"), decide("YES")].map((word) => refusal(kase, word))).toEqual([
      "unchanged",
      "unchanged",
    ]);
    const others = [by("ben"), no("ann"), no("ben"), decide("NO"), decide("YES", "eve")];
    for (const word of others) expect(refusal(kase, word)).toBe(otherwise);
  });

  // A defect, reported: whoever approves another payload is told that it is so already.
  test("is no repeat for another payload (P7)", () => {
    expect(refusal(final, event(approve('"q"'), { by: "ann" }))).not.toBe("unchanged");
  });
});
