import { limits } from "./limits.ts";
import { ppm } from "./signal.ts";

/**
 * When signals suffice, as plain data: any process at any time reaches the same verdict from it.
 * Shares are in millionths, spans in milliseconds.
 */
export type Policy =
  | { readonly kind: "immediate" }
  | { readonly kind: "manual" }
  | Threshold
  | { readonly kind: "majority"; readonly quorum: number }
  | { readonly kind: "unanimous"; readonly quorum: number }
  | ApprovalRule
  | { readonly kind: "all"; readonly of: readonly Policy[] }
  | { readonly kind: "any"; readonly of: readonly Policy[] };

export interface Threshold {
  readonly kind: "threshold";
  readonly sharePpm: number;
  readonly quorum: number;
  /** Who may vote and how much each vote weighs; null: anyone, one each. */
  readonly weights: { readonly [source: string]: number } | null;
  /** Each vote counts by its confidence. */
  readonly byConfidence: boolean;
}

export interface ApprovalRule {
  readonly kind: "approval";
  readonly need: number;
  /** Who may approve; null: anyone but the proposer. */
  readonly from: readonly string[] | null;
  readonly expiresInMs: number | null;
}

/** Final at once: nobody has to be asked. What `execute` and `wrap` do where no policy is given. */
export function immediate(): Policy {
  return { kind: "immediate" };
}

/** Final when a person decides (`decide`), never by signals. */
export function manual(): Policy {
  return { kind: "manual" };
}

/**
 * Final when one outcome holds at least `share` of the votes and at least `quorum` sources voted.
 *
 * @param rule.share above 0, at most 1; kept to the millionth, rounded down, and compared exactly:
 *   4 of 5 reaches 0.8, 3 of 5 doesn't
 * @param rule.quorum sources that must have voted; at least 1, default 1
 * @param rule.weights who may vote, and a whole number for how much each vote weighs
 * @param rule.byConfidence each vote counts by its confidence; default false
 * @example threshold({ share: 0.8, quorum: 3 })
 */
export function threshold(rule: {
  share: number;
  quorum?: number;
  weights?: { readonly [source: string]: number };
  byConfidence?: boolean;
}): Policy {
  return {
    kind: "threshold",
    // Down to the millionth, so that 2 of 3 reaches 2/3; the little more is for 0.29 and its kind.
    sharePpm: Math.floor(rule.share * ppm + 1e-4),
    quorum: rule.quorum ?? 1,
    weights: rule.weights === undefined ? null : { ...rule.weights },
    byConfidence: rule.byConfidence ?? false,
  };
}

/** Final when more than half of the votes agree and at least `quorum` sources voted. */
export function majority(rule: { quorum: number }): Policy {
  return { kind: "majority", quorum: rule.quorum };
}

/** Final when all votes agree and at least `quorum` sources voted. */
export function unanimous(rule: { quorum: number }): Policy {
  return { kind: "unanimous", quorum: rule.quorum };
}

/**
 * Final when `need` people have approved what will run. The proposer can't approve; one person
 * counts once; a single denial by one who may approve voids the case.
 *
 * @param rule.need approvals wanted, default 1
 * @param rule.from who may approve; default anyone but the proposer
 * @param rule.expiresIn milliseconds after which the case is void if not approved; default never
 */
export function approval(
  rule: { need?: number; from?: readonly string[]; expiresIn?: number } = {},
): Policy {
  return {
    kind: "approval",
    need: rule.need ?? 1,
    from: rule.from === undefined ? null : [...rule.from],
    expiresInMs: rule.expiresIn ?? null,
  };
}

/** Final when every one of the policies is satisfied and those that name an outcome name the same. */
export function all(...policies: readonly Policy[]): Policy {
  return { kind: "all", of: policies };
}

/** Final when one of the policies is satisfied; the first in the order given names the outcome. */
export function any(...policies: readonly Policy[]): Policy {
  return { kind: "any", of: policies };
}

const notPolicy =
  "not a policy: use immediate, manual, threshold, majority, unanimous, approval, all or any";

/** Says what is wrong with a policy, or nothing. */
export function policyFault(policy: Policy): string | undefined {
  let nodes = 0;
  const fault = (rule: Policy): string | undefined => {
    nodes += 1;
    if (typeof rule !== "object" || rule === null) return notPolicy;
    if (nodes > limits.policyNodes) return `more than ${limits.policyNodes} policies in one`;
    switch (rule.kind) {
      case "immediate":
      case "manual":
        return undefined;
      case "threshold":
        return thresholdFault(rule);
      case "majority":
      case "unanimous":
        return countFault("quorum", rule.quorum);
      case "approval":
        return approvalFault(rule);
      case "all":
      case "any": {
        if (!Array.isArray(rule.of) || rule.of.length === 0) return `${rule.kind} of nothing`;
        for (const part of rule.of) {
          const found = fault(part);
          if (found !== undefined) return found;
        }
        return undefined;
      }
    }
    return notPolicy;
  };
  return fault(policy);
}

function thresholdFault(rule: Threshold): string | undefined {
  if (!Number.isInteger(rule.sharePpm) || rule.sharePpm < 1 || rule.sharePpm > ppm) {
    return "a share must be above 0 and at most 1";
  }
  if (typeof rule.byConfidence !== "boolean") return "byConfidence must be true or false";
  if (typeof rule.weights !== "object") return "weights must be an object or null";
  const weights = rule.weights === null ? [] : Object.values(rule.weights);
  if (rule.weights !== null && weights.length === 0) return "weights that name no source";
  if (weights.length > limits.policyNames) return `more than ${limits.policyNames} weights`;
  if (weights.some((weight) => !isCount(weight, limits.weight))) {
    return `a weight must be a whole number from 1 to ${limits.weight}`;
  }
  if (rule.weights !== null && rule.quorum > weights.length) {
    return "a quorum above the number of sources that may vote";
  }
  return countFault("quorum", rule.quorum);
}

function approvalFault(rule: ApprovalRule): string | undefined {
  if (rule.from !== null) {
    if (!Array.isArray(rule.from) || !rule.from.every((name) => typeof name === "string")) {
      return "from must be a list of names or null";
    }
    if (rule.from.length > limits.policyNames) return `more than ${limits.policyNames} approvers`;
    if (new Set(rule.from).size !== rule.from.length) return "an approver named twice";
    if (rule.need > rule.from.length) return "more approvals needed than there are approvers";
  }
  if (rule.expiresInMs !== null && !isCount(rule.expiresInMs, limits.spanMsMax)) {
    return "expiresIn must be whole milliseconds, at least 1 and at most a year";
  }
  return countFault("need", rule.need, limits.approvalsPerCase);
}

function countFault(name: string, value: number, max: number = limits.signalsPerCase) {
  return isCount(value, max) ? undefined : `${name} must be a whole number from 1 to ${max}`;
}

function isCount(value: number, max: number): boolean {
  return Number.isInteger(value) && value >= 1 && value <= max;
}

/** The approval rules inside a policy. */
export function approvalRules(policy: Policy): readonly ApprovalRule[] {
  switch (policy.kind) {
    case "approval":
      return [policy];
    case "all":
    case "any":
      return policy.of.flatMap(approvalRules);
    case "immediate":
    case "manual":
    case "threshold":
    case "majority":
    case "unanimous":
      return [];
  }
}

/** Whether a policy listens to a source: one with weights listens only to the sources it names. */
export function listensTo(policy: Policy, source: string): boolean {
  switch (policy.kind) {
    case "threshold":
      return policy.weights === null || Object.hasOwn(policy.weights, source);
    case "majority":
    case "unanimous":
    case "manual":
      return true;
    case "all":
    case "any":
      return policy.of.some((part) => listensTo(part, source));
    case "immediate":
    case "approval":
      return false;
  }
}
