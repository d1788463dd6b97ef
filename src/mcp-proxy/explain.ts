import type { Policy } from "../index.ts";
import type { ProxyConfig } from "./config.ts";
import { type Guarded, treatmentOf } from "./treatment.ts";
import type { ToolInfo } from "./upstream.ts";

/** What one tool gets, and why. */
export type Explained = ExplainedPass | ExplainedGuard;

interface Named {
  readonly tool: string;
  /** False: the config names it, and the server has no such tool. */
  readonly listed: boolean;
  readonly why: string;
}

export interface ExplainedPass extends Named {
  readonly guarded: false;
}

export interface ExplainedGuard extends Named {
  readonly guarded: true;
  readonly effect: "opaque" | "idempotent";
  readonly effectWhy: string;
  /** What makes two calls the same effect. */
  readonly same: string;
  /** What an error of the tool is taken for. */
  readonly onError: "unknown" | "not_performed";
  /** What a call waits for; undefined: nothing. */
  readonly policy: string | undefined;
  /** What its owner may want to set. */
  readonly advice: readonly string[];
}

/** Every tool of the server in its order, then those that only the config names. */
export function explained(
  config: ProxyConfig,
  tools: ReadonlyMap<string, ToolInfo>,
): readonly Explained[] {
  const unlisted = [...config.tools.keys()].filter((tool) => !tools.has(tool));
  return [...tools.keys(), ...unlisted].map((tool) => {
    const info = tools.get(tool);
    const treatment = treatmentOf(config, tool, info ?? "unlisted");
    const named = { tool, listed: info !== undefined, why: treatment.why };
    if (!treatment.guarded) return { ...named, guarded: false };
    const { effect, effectWhy, onError, policy } = treatment;
    return {
      ...named,
      guarded: true,
      effect,
      effectWhy,
      onError,
      same: sameOf(treatment),
      policy: policy === undefined ? undefined : policyText(policy),
      advice: adviceFor(treatment),
    };
  });
}

function sameOf({ rule, windowMs }: Guarded): string {
  const { key, keyArgument, ignore = [], shared } = rule;
  const explicit = keyArgument === undefined ? "" : ` (or the argument ${keyArgument})`;
  if (key !== undefined) {
    return `the key ${key.text}${shared === true ? ", whoever calls" : ", for each caller"}`;
  }
  const but = ignore.length === 0 ? "" : ` but ${ignore.join(", ")}`;
  const until =
    windowMs === null
      ? ", for good"
      : windowMs === 0
        ? ", while the first is not over"
        : `, until ${milliseconds(windowMs)} after the first was done`;
  return `the client's idempotency key${explicit}; without one, equal arguments${but}${until}`;
}

function adviceFor({ rule, effect, windowMs, onError }: Guarded): readonly string[] {
  const advice: string[] = [];
  if (rule.key === undefined && windowMs === null) {
    advice.push(
      "two equal calls are one effect, even if both are meant: give it a key or a window",
    );
  }
  if (rule.key === undefined && rule.keyArgument !== undefined) {
    advice.push("a model may make up a new key for each try: give it a key of business facts");
  }
  if (effect === "opaque" && onError === "unknown") {
    advice.push(
      "an error leaves it in doubt, for a person: onError says if it means that nothing was done",
    );
  }
  return advice;
}

function policyText(policy: Policy): string {
  switch (policy.kind) {
    case "immediate":
      return "nobody's word";
    case "manual":
      return "a person's decision";
    case "approval": {
      const who = policy.from === null ? "anyone but the caller" : policy.from.join(", ");
      return `${policy.need} approval${policy.need === 1 ? "" : "s"} by ${who}`;
    }
    case "threshold":
      return `${policy.sharePpm / 10_000} % of at least ${policy.quorum} votes`;
    case "majority":
      return `a majority of at least ${policy.quorum} votes`;
    case "unanimous":
      return `all of at least ${policy.quorum} votes`;
    case "all":
      return policy.of.map(policyText).join(", and ");
    case "any":
      return policy.of.map(policyText).join(", or ");
  }
}

function milliseconds(ms: number): string {
  const units = [
    [86_400_000, "d"],
    [3_600_000, "h"],
    [60_000, "min"],
    [1_000, "s"],
  ] as const;
  const [unit, sign] = units.find(([one]) => ms % one === 0) ?? [1, "ms"];
  return `${ms / unit} ${sign}`;
}

/** The same as text, for a terminal. */
export function explainText(tools: readonly Explained[]): string {
  const blocks = tools.map((one) => {
    const absent = one.listed ? "" : " (in the config, but the server does not list it)";
    const head = `${one.tool}${absent}\n`;
    if (!one.guarded) return `${head}${line("not guarded", one.why)}`;
    return [
      head,
      line("guarded", one.why),
      line("same effect", one.same),
      line(`${one.effect} effect`, one.effectWhy),
      line("on an error", errorTexts[one.effect][one.onError]),
      ...(one.policy === undefined ? [] : [line("waits for", one.policy)]),
      ...one.advice.map((advice) => line("note", advice)),
    ].join("");
  });
  const guarded = tools.filter((one) => one.guarded).length;
  return `${blocks.join("\n")}${blocks.length === 0 ? "" : "\n"}${guarded} of ${tools.length} tools guarded\n`;
}

const errorTexts = {
  opaque: {
    unknown: "in doubt, until a person says what happened",
    not_performed: "nothing was done, and it may be called again",
  },
  idempotent: {
    unknown: "in doubt, and the next call runs it again",
    not_performed: "told as it is, and it may be called again",
  },
} as const;

function line(what: string, says: string): string {
  return `  ${what.padEnd(18)}${says}\n`;
}
