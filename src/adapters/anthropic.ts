/**
 * Guards tools of Anthropic's tool runner: a tool keeps its type, and its `run` goes through the guard.
 *
 * @module
 */
import { type Guard, GuardError } from "../index.ts";
import {
  callThrough,
  effectWithin,
  isHeld,
  markGuarded,
  refuseGuarded,
  shownOf,
  withEffect,
} from "./tool.ts";
import { checkedRules, type ToolRules } from "./tool-rules.ts";

export { effectOf } from "./tool.ts";
export type { ToolRules } from "./tool-rules.ts";

/** A tool of `betaZodTool` or `betaTool`, by structure. */
export interface AnthropicTool {
  readonly name: string;
  readonly run: (input: never, context?: never) => unknown;
}

/** What the tool runner hands a tool's `run` beside its input, as far as it is used here. */
export interface AnthropicToolCall {
  readonly toolUse: { readonly id: string };
  readonly signal?: AbortSignal | null | undefined;
}

type InputOf<T extends AnthropicTool> = T["run"] extends (
  input: infer In,
  context?: infer _,
) => unknown
  ? In
  : never;

/** How a tool of the tool runner is guarded. */
export interface AnthropicToolRules<T extends AnthropicTool> extends ToolRules<InputOf<T>> {
  /** What makes a tool use's id unique, such as the conversation's id. Default: the case. */
  readonly scope?: string;
}

/**
 * The same tool, with its own type, whose `run` runs at most once per key. A repeat gets the original
 * result. What is held reaches the model as a result whose text says what to do, never as an error.
 *
 * @throws GuardError `invalid_request` for wrong rules, a tool without `run`, or one that is guarded already
 * @example
 * const refund = guardTool(guard, refundTool, { key: ({ orderId }) => `refund:${orderId}` });
 */
export function guardTool<T extends AnthropicTool>(
  guard: Guard,
  tool: T,
  rules: AnthropicToolRules<T>,
): T {
  const plain = runnable(tool);
  const action = rules?.action ?? tool.name;
  const { scope, ...terms } = checkedRules(
    action,
    rules,
  ) as unknown as AnthropicToolRules<Runnable>;

  const run: Run = async (input, context) => {
    const answer = await callThrough<unknown, unknown, unknown>(guard, terms, {
      action,
      input,
      context,
      within: effectWithin(context),
      callId: context?.toolUse.id,
      scope: () => scope,
      signal: context?.signal ?? undefined,
      run: (payload, effect) =>
        plain.run(payload, withEffect({ ...context, signal: effect.signal } as never, effect)),
    });
    const shown = shownOf(answer);
    return isHeld(shown) ? shown.message : shown;
  };
  markGuarded(run);

  return { ...tool, ...methodsOf(plain), run };
}

type Run = (input: unknown, context?: AnthropicToolCall) => unknown;

interface Runnable {
  readonly name: string;
  readonly run: Run;
  readonly parse?: (content: unknown) => unknown;
  readonly close?: () => unknown;
  readonly toJSON?: () => unknown;
}

function runnable(tool: AnthropicTool): Runnable {
  const { name, run } = (tool ?? {}) as Partial<Runnable>;
  if (typeof run !== "function") {
    throw new GuardError("invalid_request", `The tool "${name ?? "unnamed"}" has no \`run\`.`, {
      next: "Guard what betaZodTool or betaTool returns: a tool of the server's is not run here.",
    });
  }
  refuseGuarded(name ?? "unnamed", run);
  return tool as Runnable;
}

/** A tool that is an object of a class has its methods elsewhere, and they ask for their own object. */
function methodsOf(tool: Runnable): Partial<Runnable> {
  return {
    ...(tool.parse && { parse: tool.parse.bind(tool) }),
    ...(tool.close && { close: tool.close.bind(tool) }),
    ...(tool.toJSON && { toJSON: tool.toJSON.bind(tool) }),
  };
}
