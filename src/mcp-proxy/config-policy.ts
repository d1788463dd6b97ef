import {
  all,
  any,
  approval,
  immediate,
  limits,
  majority,
  manual,
  type Policy,
  threshold,
  unanimous,
} from "../index.ts";

/** A policy as the config writes it, already of the right shape. */
export type ConfigPolicy =
  | { readonly kind: "immediate" }
  | { readonly kind: "manual" }
  | {
      readonly kind: "approval";
      readonly need?: number;
      readonly from?: readonly string[];
      readonly expiresInMs?: number;
    }
  | {
      readonly kind: "threshold";
      readonly share: number;
      readonly quorum?: number;
      readonly weights?: { readonly [source: string]: number };
      readonly byConfidence?: boolean;
    }
  | { readonly kind: "majority" | "unanimous"; readonly quorum: number }
  | { readonly kind: "all" | "any"; readonly of: readonly ConfigPolicy[] };

/** The guard's policy; or what a shape can't tell to be wrong: that nothing could ever satisfy it. */
export function policyOf(written: ConfigPolicy): Policy | string {
  let nodes = 0;
  let wrong: string | undefined;
  const read = (one: ConfigPolicy): Policy => {
    nodes += 1;
    switch (one.kind) {
      case "immediate":
        return immediate();
      case "manual":
        return manual();
      case "approval": {
        const { need = 1, from, expiresInMs } = one;
        if (from !== undefined && from.length < need) {
          wrong = "needs more approvals than there are approvers";
        }
        return approval({
          need,
          ...(from === undefined ? {} : { from }),
          ...(expiresInMs === undefined ? {} : { expiresIn: expiresInMs }),
        });
      }
      case "threshold": {
        const { kind: _, ...rule } = one;
        const sources = one.weights === undefined ? undefined : Object.keys(one.weights).length;
        if (sources !== undefined && sources < (one.quorum ?? 1)) {
          wrong = "has a quorum above the number of sources that may vote";
        }
        if (one.share < 1e-6) wrong = "has a share below a millionth";
        return threshold(rule);
      }
      case "majority":
        return majority({ quorum: one.quorum });
      case "unanimous":
        return unanimous({ quorum: one.quorum });
      case "all":
        return all(...one.of.map(read));
      case "any":
        return any(...one.of.map(read));
    }
  };
  const policy = read(written);
  if (nodes > limits.policyNodes) return `has more than ${limits.policyNodes} policies in one`;
  return wrong ?? policy;
}
