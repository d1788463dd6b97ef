import type { Policy } from "../index.ts";
import type { ProxyConfig, ToolRule } from "./config.ts";
import type { ToolInfo } from "./upstream.ts";

/** What a tool gets, and why: by its rule, else by its server's word, else the safe side. */
export type Treatment = { readonly guarded: false; readonly why: string } | Guarded;

export interface Guarded {
  readonly guarded: true;
  readonly why: string;
  readonly rule: ToolRule;
  readonly action: string;
  readonly effect: "opaque" | "idempotent";
  readonly effectWhy: string;
  /** What an error of the tool is taken for. */
  readonly onError: "unknown" | "not_performed";
  /** Milliseconds after a settlement until an equal call without a key is a new effect; null: never. */
  readonly windowMs: number | null;
  readonly policy: Policy | undefined;
  /** Its server has no such tool: it listed its tools for this call, and this was none of them. */
  readonly isUnlisted: boolean;
}

/** What is known of a tool. */
export type Known = ToolInfo | "unlisted" | "list failed" | "not asked";

export function ruleFor(config: ProxyConfig, tool: string): ToolRule {
  return config.tools.get(tool) ?? config.others;
}

/** Whether the server's word on a tool changes what it gets. */
export function needsAnnotations(config: ProxyConfig, tool: string): boolean {
  const { guard, effect } = ruleFor(config, tool);
  return (
    config.trustAnnotations && guard !== false && (guard === undefined || effect === undefined)
  );
}

export function treatmentOf(config: ProxyConfig, tool: string, known: Known): Treatment {
  const rule = ruleFor(config, tool);
  const hints = typeof known === "string" ? {} : (known.annotations ?? {});
  const trusted = config.trustAnnotations ? hints : {};
  if (rule.guard === false) return { guarded: false, why: "the config says so" };
  if (rule.guard === undefined && trusted.readOnlyHint === true) {
    return { guarded: false, why: "its server says that it only reads (readOnlyHint)" };
  }
  const [effect, effectWhy] = effectOf(rule, trusted.idempotentHint === true);
  return {
    guarded: true,
    why: whyGuarded(config, rule, known),
    rule,
    action: rule.action ?? tool,
    effect,
    effectWhy,
    // Once it was sent, an error tells how the tool ended, not that nothing happened: a time-out
    // after the charge reads like a declined card. Where a repeat does no harm that doesn't matter,
    // and what the tool said can be told as it is, to be tried again.
    onError: rule.onError ?? (effect === "idempotent" ? "not_performed" : "unknown"),
    // A clock must not run anything again unless somebody asked for that: no window by default. What
    // may be repeated without harm need not be held back at all once it has ended: the world may have
    // changed since (write a, write b, write a), and an old result would hide that.
    windowMs: rule.windowMs === undefined ? (effect === "idempotent" ? 0 : null) : rule.windowMs,
    policy: rule.policy,
    isUnlisted: known === "unlisted",
  };
}

function effectOf(rule: ToolRule, hinted: boolean): readonly ["opaque" | "idempotent", string] {
  if (rule.effect !== undefined) return [rule.effect, "the config says so"];
  if (hinted) return ["idempotent", "its server says that a repeat does nothing (idempotentHint)"];
  return ["opaque", "nothing says that a repeat does no harm"];
}

function whyGuarded(config: ProxyConfig, rule: ToolRule, known: Known): string {
  if (rule.guard === true) return "the config says so";
  if (!config.trustAnnotations) return "the config does not trust the server's annotations";
  if (known === "unlisted") return "its server does not list it";
  if (known === "list failed") return "its server's tools could not be listed";
  return "its server does not say that it only reads";
}
