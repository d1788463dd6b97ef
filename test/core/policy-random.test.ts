import fc from "fast-check";
import { expect, test } from "vitest";
import { type Policy, policyFault, type Threshold, threshold } from "../../src/core/policy.ts";
import { judge } from "../../src/core/verdict.ts";
import { nobody } from "./samples.ts";

test("no share is rounded up, nor down by more than a millionth", () => {
  const property = fc.property(fc.double({ min: 0.000_001, max: 1, noNaN: true }), (share) => {
    const { sharePpm } = threshold({ share }) as Threshold;
    expect(sharePpm).toBeLessThanOrEqual(share * 1e6 + 1e-3);
    expect(sharePpm).toBeGreaterThan(share * 1e6 - 1);
  });
  fc.assert(property, { numRuns: 2_000 });
});

test("any JSON is answered, and what has no fault can be judged", () => {
  const part = fc.oneof(fc.jsonValue({ maxDepth: 1 }), fc.constantFrom<unknown>(1, 2, "ann"));
  const kinds = ["threshold", "majority", "unanimous", "approval", "all", "any", "manual"];
  const members = {
    kind: fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...kinds) }, part),
    sharePpm: part,
    quorum: part,
    weights: part,
    byConfidence: part,
    need: part,
    from: part,
    expiresInMs: part,
    of: fc.oneof(part, fc.constant([{ kind: "manual" }])),
  };
  const met = { fault: 0, none: 0 };
  const property = fc.property(fc.record(members, { requiredKeys: ["kind"] }), (policy) => {
    const fault = policyFault(policy as Policy);
    met[fault === undefined ? "none" : "fault"] += 1;
    if (fault === undefined) judge(policy as Policy, nobody);
    else expect(fault).toEqual(expect.any(String));
  });
  fc.assert(property, { numRuns: 5_000 });
  expect(Math.min(...Object.values(met))).toBeGreaterThan(100);
});
